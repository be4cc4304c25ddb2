"""The process that holds a command's whole tree for somebody: `python -m fovea.runs.leash ORDER`.

It starts the command in a session of its own, and ends the whole tree, found by its token, when its
standard input closes: when the process at the other end of it is gone, however that ended. A line
`stop` asks the command to save and leave, and kills it after the grace. What is left once the
command has ended is ended too. Its standard output has two lines: `{"pid": 4711}`, its own, at the
start, and at the end `{"status": 0, "out_of_memory": false, "peak_mb": 512}`.

It detaches itself from its parent first: Ray ends the children of a worker that goes, and this one
has to outlive it by a moment.

ORDER is JSON: `{"argv", "cwd", "console", "token", "grace_s"}`.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fovea.runs import processes
from fovea.runs.lock import TOKEN

LOOK_EVERY_S = 0.1
NOT_STARTED = 127
"""The status of a command that could not be started, as in a shell."""


def main() -> int:
    """Do what the order on the command line says."""
    if os.fork():
        os._exit(0)
    os.setsid()
    order: dict[str, Any] = json.loads(sys.argv[1])
    kills = processes.oom_kills()
    _say({"pid": os.getpid()})
    status = _held(order)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    is_memory = processes.oom_kills() > kills
    _say({"status": status, "out_of_memory": is_memory, "peak_mb": round(peak_mb, 1)})
    return 0


def _held(order: dict[str, Any]) -> int:
    """Start the command, and wait for its end or for a reason to end it; gives its status."""
    with Path(order["console"]).open("ab") as console:
        try:
            process = subprocess.Popen(
                order["argv"],
                cwd=order["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            console.write(f"{order['argv'][0]} cannot be started: {error.strerror}\n".encode())
            return NOT_STARTED
    kill_at = float("inf")
    while process.poll() is None and time.monotonic() < kill_at:
        heard = _heard(LOOK_EVERY_S)
        if heard == b"":
            break
        if heard and kill_at == float("inf"):
            kill_at = time.monotonic() + order["grace_s"]
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    processes.end(TOKEN, order["token"])
    return process.wait()


def _heard(patience_s: float) -> bytes | None:
    """What the holder says: nothing (None), a word, or that it is gone (empty)."""
    ready, _, _ = select.select([0], [], [], patience_s)
    return os.read(0, 64) if ready else None


def _say(words: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
