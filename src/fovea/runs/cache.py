"""What need not be worked out twice, kept beside the runs in `cache.db`.

Two tables: the content of files by path, size, time and inode, and the folders of finished stages
by fingerprint. It is only a cache: a damaged one is made anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS content (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, sha256 TEXT);
CREATE TABLE IF NOT EXISTS finished (
    fingerprint TEXT, folder TEXT, ended REAL, PRIMARY KEY (fingerprint, folder));
"""
HASHED_UP_TO_BYTES = 4 * 2**30
"""A larger folder is known by its files' names, sizes and times instead of by their content."""


class Cache:
    """The cache of one folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "cache.db"

    def content(self, path: Path) -> str:
        """What identifies the content of a file or a folder, wherever it stands."""
        if path.is_dir():
            return self._folder_content(path)
        with self._open() as base:
            return _file_content(base, path)

    def _folder_content(self, folder: Path) -> str:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        states = {path: path.stat() for path in files}
        digest = hashlib.sha256()
        total = sum(state.st_size for state in states.values())
        with self._open() as base:
            for path, state in states.items():
                known = (
                    _file_content(base, path)
                    if total <= HASHED_UP_TO_BYTES
                    else f"{state.st_size} {state.st_mtime_ns}"
                )
                digest.update(f"{path.relative_to(folder).as_posix()}\0{known}\n".encode())
        return digest.hexdigest()

    def remember_finished(self, fingerprint: str, folder: Path, ended: float) -> None:
        """Note that a stage's folder holds the finished work of that fingerprint."""
        with self._open() as base:
            base.execute(
                "INSERT OR REPLACE INTO finished VALUES (?, ?, ?)",
                (fingerprint, str(folder.absolute()), ended),
            )

    def finished(self, fingerprint: str) -> list[Path]:
        """The folders said to hold that work, newest first; they may be gone meanwhile."""
        if not self.path.is_file():
            return []
        with self._open() as base:
            rows = base.execute(
                "SELECT folder FROM finished WHERE fingerprint = ? ORDER BY ended DESC",
                (fingerprint,),
            )
            return [Path(folder) for (folder,) in rows]

    def forget_finished(self, run: Path) -> None:
        """Take nothing more over from the stages of that run."""
        inside = f"{run.absolute()}/"
        with self._open() as base:
            base.execute(
                "DELETE FROM finished WHERE substr(folder, 1, ?) = ?", (len(inside), inside)
            )

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            base = _connect(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self.path.unlink()
            base = _connect(self.path)
        try:
            with base:
                yield base
        finally:
            base.close()


def _connect(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=30)
    try:
        base.execute("PRAGMA synchronous=OFF")  # a power cut may damage it: it is made anew then
        base.executescript(TABLES)
    except sqlite3.DatabaseError:
        base.close()
        raise
    return base


def _file_content(base: sqlite3.Connection, path: Path) -> str:
    path = path.absolute()
    state = path.stat()
    key = (state.st_size, state.st_mtime_ns, state.st_ino)
    row = base.execute(
        "SELECT size, mtime_ns, inode, sha256 FROM content WHERE path = ?", (str(path),)
    ).fetchone()
    if row and tuple(row[:3]) == key:
        return row[3]
    try:
        found = sha256(path)
    except PermissionError:  # whether that matters is for the stage to say
        return f"unreadable {state.st_size} {state.st_mtime_ns}"
    base.execute("INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?, ?)", (str(path), *key, found))
    return found


def sha256(path: Path) -> str:
    """The digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
