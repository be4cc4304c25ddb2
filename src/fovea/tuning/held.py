"""The lock of a study's folder: one `fovea tune` conducts it at a time; workers may join."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fovea.errors import BusyError
from fovea.runs.durable import write_json
from fovea.runs.lock import me


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold the study's lock; the kernel lets it go when this process ends, however it ends.

    Raises:
        BusyError: another process holds it.
    """
    lock = FileLock(folder / "study.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        path = folder / "owner.json"
        note: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        who = f"process {note['pid']} on {note['host']}" if note else "another process"
        raise BusyError(
            f"{who} works in {folder}. Wait for it to end, or stop it; "
            f"'fovea tune status {folder}' shows how far it is, 'fovea tune worker {folder}' "
            "joins it."
        ) from None
    try:
        write_json(folder / "owner.json", me())
        yield
        (folder / "owner.json").unlink(missing_ok=True)
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process conducts the study."""
    lock = FileLock(folder / "study.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
