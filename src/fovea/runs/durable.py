"""Files that are whole or absent: what a kill, a power cut or a full disk must not spoil.

A state is written beside its place, synced, and renamed into it. That costs tens of milliseconds,
so it is for states and checkpoints; numbers and events are appended instead (`fovea.runs.events`).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fovea.errors import ArtifactError, JobError

FULL = (errno.ENOSPC, errno.EDQUOT)
LARGE_BYTES = 16 << 20


class DiskFullError(JobError):
    """There is no room left for what was being written. The run can be resumed."""

    code = "disk"


def write_text(path: Path, text: str, *, what: str = "", is_synced: bool = True) -> None:
    """Write a file that is seen whole or not at all, also after a power cut.

    Args:
        path: of the file.
        text: all that stands in it.
        what: it is, for the sentence when there is no room.
        is_synced: whether to wait for the disk; without, a kill does no harm but a power cut may
            leave it empty.

    Raises:
        DiskFullError: there is no room for it.
    """
    draft = path.with_name(f".{path.name}.draft")
    with saying_when_full(what or path.name, path):
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
        draft.replace(path)
        if is_synced:
            sync(path.parent)


def write_json(path: Path, value: Any, *, what: str = "", is_synced: bool = True) -> None:
    """Write a value as JSON, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_text(path, text, what=what, is_synced=is_synced)


def turn_over(path: Path) -> None:
    """Begin a file that is only added to anew once it is large; the former is kept, as `.old`."""
    if path.is_file() and path.stat().st_size > LARGE_BYTES:
        path.replace(path.with_name(f"{path.name}.old"))


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and all that is in it are on the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def publish(draft: Path, target: Path) -> None:
    """Let a finished folder appear under its name at once, in place of an older one."""
    sync_tree(draft)
    discard(target)
    draft.rename(target)
    sync(target.parent)


def discard(folder: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    if folder.exists():
        grave = folder.with_name(f".gone-{folder.name}")
        shutil.rmtree(grave, ignore_errors=True)
        folder.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what a kill left between the steps of the functions above."""
    for pattern in (".gone-*", ".draft-*", ".*.draft"):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end, so that the next one starts cleanly."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        whole = _end_of_last_line(file.fileno(), file.seek(0, os.SEEK_END))
        file.truncate(whole)


def _end_of_last_line(handle: int, size: int, block: int = 4096) -> int:
    end = size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def make_folder(folder: Path, what: str) -> Path:
    """Make a folder that somebody named, and those above it.

    Args:
        folder: may exist already.
        what: is to be kept there, for the sentence.

    Raises:
        ArtifactError: it cannot be made: a file is in the way, or nobody may write there.
        DiskFullError: there is no room for it.
    """
    try:
        with saying_when_full(what, folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"a folder was wanted for {what}, and {folder.absolute()} cannot be made: "
            f"{error.strerror}. Give another folder."
        ) from error
    return folder


@contextmanager
def saying_when_full(what: str, path: Path) -> Generator[None]:
    """Turn "no space left on device" into a sentence.

    Raises:
        DiskFullError: there is no room for it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_full(what, path) from error


def disk_full(what: str, path: Path) -> DiskFullError:
    """What to say when there is no room for `what` at `path`."""
    folder = next(p for p in [path, *path.absolute().parents] if p.is_dir())
    free_mb = shutil.disk_usage(folder).free / 1e6
    return DiskFullError(
        f"The disk is full: {free_mb:.0f} MB are free at {folder}, too few to write {what}. Make "
        "room there ('fovea runs gc' lists what can go) and run the same command again; it goes on "
        "from the last checkpoint."
    )
