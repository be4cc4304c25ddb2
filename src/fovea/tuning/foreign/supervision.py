"""A trainer's whole process tree: started, listened to, stopped, and certainly gone afterwards.

The process group is not enough: torchrun gives each rank a session of its own. So all that carries
the trial's token in its environment belongs to the trial, and what that has started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from fovea.errors import BackendError
from fovea.runs import processes
from fovea.runs.device import cores
from fovea.runs.durable import saying_when_full, write_json
from fovea.runs.executor import THREADS
from fovea.runs.lock import TOKEN, me

CONSOLE_BYTES = 200 << 20
"""So long may a console get; then its middle is left out."""
LOOK_AGAIN_S = 0.5
"""How often a tree that was asked to stop is looked at: a scan reads every process's variables."""


class ProcessTree:
    """A command at work, with all that it starts."""

    def __init__(
        self, argv: tuple[str, ...], *, folder: Path, cwd: Path, environment: Mapping[str, str]
    ) -> None:
        """Start it, with its console and its note of ownership in `folder`.

        Raises:
            BackendError: there is no such command, or it may not be run.
        """
        self.token = uuid.uuid4().hex
        self.console = folder / "console.log"
        self.was_killed = False
        self.is_lost = False
        self._kill_at: float | None = None
        self._look_at = 0.0
        self._oom_kills = processes.oom_kills()
        # Noted before it starts, so that a kill in between leaves nothing that nobody finds.
        write_json(folder / "owner.json", me() | {"token": self.token}, is_synced=False)
        tokens = ":".join(filter(None, [os.environ.get(TOKEN), self.token]))
        marks = {TOKEN: tokens, "FOVEA_TRIAL_TOKEN": self.token, "FOVEA_TRIAL_DIR": str(folder)}
        with saying_when_full("console.log", self.console), self.console.open("ab") as console:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env={**environment, **marks},
                    start_new_session=True,
                )
            except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                raise BackendError(
                    f"{argv[0]} cannot be started in {cwd}: {error.strerror}. Install it, or say "
                    "another command in target.command.argv."
                ) from None

    def ended(self) -> bool:
        """Whether the command has ended; one that was asked to stop, with all that it started."""
        is_gone = self._process.poll() is not None
        if self._kill_at is None:
            return is_gone
        now = time.monotonic()
        if now >= self._kill_at:
            self.kill()
            return True
        if is_gone and now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_S
            left = processes.carrying(TOKEN, self.token)
            for process in left:  # a shell is gone at once, and leaves what it had started
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
            return not left
        return False

    def ask_to_stop(self, grace_s: float) -> None:
        """Ask it, once, to save and leave within a time."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace_s
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End all of it now."""
        self.was_killed = self._process.poll() is None
        processes.end(TOKEN, self.token)

    def finish(self) -> int:
        """End what is left of it and give the exit status; -15 for one that SIGTERM has ended.

        Raises:
            BackendError: the system would not let go of some of its processes.
        """
        left = processes.end(TOKEN, self.token)
        if left:
            raise BackendError(
                f"{left} processes of the trial do not end, not even by SIGKILL: they wait for a "
                "device or a network disk. Restart the machine before going on."
            )
        (self.console.parent / "owner.json").unlink(missing_ok=True)
        return self._process.wait()

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process for want of memory since the start."""
        return processes.oom_kills() > self._oom_kills

    def trim_console(self, most: int = CONSOLE_BYTES) -> bool:
        """Leave out the middle of a console that got too long; says whether that was so."""
        if self.console.stat().st_size <= most:
            return False
        with self.console.open("r+b") as file:
            file.seek(-(most // 4), os.SEEK_END)
            file.readline()
            tail, size = file.read(), file.tell()
            # The trainer appends, so that what it writes from now on stands behind this.
            file.truncate(most // 2)
        left_out = (size - most // 2 - len(tail)) >> 20
        with self.console.open("ab") as file:
            file.write(f"\n[{left_out} MB are left out here]\n".encode() + tail)
        return True


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def threads(wanted: int | str, workers: int) -> dict[str, str]:
    """The variables that limit a trial's CPU threads: to a number, or to its share of the cores."""
    if wanted == "auto":
        share = str(max(1, cores() // max(1, workers)))
        return {name: share for name in THREADS if name not in os.environ}
    return dict.fromkeys(THREADS, str(wanted))
