"""The lock of a run folder: one owner at a time, let go by the kernel when its process ends.

Beside the lock stands a note of who holds it, for the sentence that turns a second one away. A note
without a held lock belongs to a process that died: what it left running is found by the token that
all its children carry in their environment, and ended.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fovea.errors import BusyError
from fovea.runs.durable import make_folder, write_json

TOKEN = "FOVEA_TOKEN"
"""The environment variable that marks a run's processes; nested runs join theirs with a colon."""
PROBED_S = 0.2
"""Longer than `is_held` keeps others out."""


class RunLock:
    """Holds a run folder for this process.

    Raises:
        BusyError: a live process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self._lock = FileLock(folder / "run.lock", thread_local=False)

    def __enter__(self) -> RunLock:
        make_folder(self.folder, "a run")
        try:
            # Who only asks whether it is held holds it for a moment: that is waited out.
            self._lock.acquire(timeout=PROBED_S, poll_interval=PROBED_S / 10)
        except Timeout:
            raise BusyError(self._who(owner(self.folder))) from None
        end_leftovers(owner(self.folder))
        write_json(self.folder / "owner.json", me() | {"token": self.token})
        return self

    def __exit__(self, *ended: object) -> None:
        (self.folder / "owner.json").unlink(missing_ok=True)
        self._lock.release()

    def _who(self, note: dict[str, Any]) -> str:
        if not note:
            return f"{self.folder} is held by another process. Wait for it to end."
        since = time.strftime("%H:%M:%S", time.localtime(note["since"]))
        return (
            f"{self.folder} is held by process {note['pid']} on {note['host']} since {since}. "
            "Wait for it to end, stop it, or start another run with --new."
        )


def is_held(folder: Path) -> bool:
    """Whether a live process holds the run folder."""
    path = folder / "run.lock"
    if not path.is_file():
        return False
    probe = FileLock(path, thread_local=False)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    probe.release()
    return False


def owner(folder: Path) -> dict[str, Any]:
    """The note of who holds, or last held, the folder; empty when there is none."""
    path = folder / "owner.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def me() -> dict[str, Any]:
    """This process, as notes and manifests name it."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "since": time.time(),
    }


def boot_id() -> str:
    """What changes when the machine starts anew, so that process numbers are not mistaken."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.is_file() else platform.node()


def end_leftovers(note: dict[str, Any]) -> int:
    """End what a dead owner left running on this machine; says how many would not go."""
    if not note or note["host"] != socket.gethostname() or note["boot_id"] != boot_id():
        return 0
    return end_by_token(note["token"])


def end_by_token(token: str) -> int:
    """Kill every process that carries the token; says how many would not go."""
    from fovea.runs import processes  # psutil takes a while, and few callers come this far

    return processes.end(TOKEN, token)
