"""Following a file that another program writes: partial lines, rotation, truncation, rewriting.

A file is known by its inode and by the bytes before the place that was read up to. Where either has
changed, or the file is shorter than that, it is another file, and is read from its start; whoever
uses the lines then leaves out what it has seen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

ANCHOR = 64
"""So many bytes before the place are remembered, to tell a file that was written anew."""
BLOCK = 1 << 20


class Tail:
    """The bytes of a growing file. The old file is read to its end before a rotated one begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._anchor = b""
        self._file: BinaryIO | None = None
        self._rest = b""

    def lines(self, *, is_over: bool = False) -> list[bytes]:
        """The whole lines since the last call; with `is_over` also one that has no end yet."""
        data = self._rest + self._new()
        whole, end, rest = data.rpartition(b"\n")
        self._rest = b"" if is_over else rest
        found = whole.split(b"\n") if end else []
        return [*found, rest] if is_over and rest else found

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _new(self) -> bytes:
        if self._file is None and not self._open():
            return b""
        found = b""
        if self._is_another():
            found = self._drained()
            self.close()
            if not self._open():
                return found
            found += b"\n" if self._rest + found and not found.endswith(b"\n") else b""
        elif self._was_rewritten():
            self.offset, self._anchor, self._rest = 0, b"", b""
        return found + self._drained()

    def _open(self) -> bool:
        try:
            self._file = self.path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return False
        self.offset, self._anchor = 0, b""
        return True

    def _is_another(self) -> bool:
        """Whether the name stands for another file than the one that is open."""
        assert self._file is not None
        try:
            named = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False  # renamed away; a new one may come
        opened = os.fstat(self._file.fileno())
        return (named.st_ino, named.st_dev) != (opened.st_ino, opened.st_dev)

    def _was_rewritten(self) -> bool:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self.offset:
            return True
        start = self.offset - len(self._anchor)
        return os.pread(self._file.fileno(), len(self._anchor), start) != self._anchor

    def _drained(self) -> bytes:
        assert self._file is not None
        blocks: list[bytes] = []
        while block := os.pread(self._file.fileno(), BLOCK, self.offset):
            blocks.append(block)
            self.offset += len(block)
        found = b"".join(blocks)
        self._anchor = (self._anchor + found)[-ANCHOR:]
        return found
