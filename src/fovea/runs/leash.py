"""The process that holds a command's whole tree for somebody: `python -m fovea.runs.leash ORDER`.

It starts the command in a session of its own, and ends the whole tree, found by its token, when
the process that holds the leash is gone, however that ended. SIGTERM asks the command to stop, and
kills it after the grace; what is left once the command has ended is ended too. One line on its
standard output says how it was: `{"status": 0, "out_of_memory": false, "peak_mb": 512}`.

ORDER is JSON: `{"argv", "cwd", "console", "token", "grace_s"}`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from fovea.runs import processes
from fovea.runs.lock import TOKEN

LOOK_EVERY_S = 0.1
NOT_STARTED = 127
"""The status of a command that could not be started, as in a shell."""


def main() -> int:
    """Do what the order on the command line says."""
    holder = os.getppid()
    order: dict[str, Any] = json.loads(sys.argv[1])
    asked: list[float] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(time.monotonic())

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    kills = processes.oom_kills()
    status = _held(order, holder, asked)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    ended = {"status": status, "out_of_memory": processes.oom_kills() > kills, "peak_mb": peak_mb}
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()
    return 0


def _held(order: dict[str, Any], holder: int, asked: list[float]) -> int:
    """Start the command, and wait for its end or for a reason to end it."""
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
    is_told = False
    while process.poll() is None:
        if os.getppid() != holder:
            break
        if asked and not is_told:
            is_told = True
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        if asked and time.monotonic() > asked[0] + order["grace_s"]:
            break
        time.sleep(LOOK_EVERY_S)
    processes.end(TOKEN, order["token"])
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
