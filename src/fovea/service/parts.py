"""Uploads that come in parts: a line may break, and what has come is kept.

uploads/.parts-<id>/note.json   who sends it, its name for the ending, and how large it will be
uploads/.parts-<id>/body        what has come of it
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable
from dataclasses import asdict, dataclass
from pathlib import Path

from anyio.to_thread import run_sync
from filelock import FileLock, Timeout

from fovea.runs.durable import write_json
from fovea.service.problems import RefusedError, not_found
from fovea.service.uploads import CHUNK_BYTES, MEGABYTE, Upload, Uploads

KEEP_S = 86_400.0
"""What has not been gone on with for so long is removed."""
MOST_OPEN = 100
"""Uploads of one owner that may be unfinished."""


@dataclass(frozen=True)
class Part:
    """An upload that is not whole yet."""

    id: str
    owner: str
    name: str
    size: int
    """Bytes of the whole."""
    offset: int = 0
    """Bytes that have come."""


class Parts:
    """Unfinished uploads, in the folder of the finished ones."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads

    def begin(self, owner: str, name: str, size: int) -> Part:
        """Announce an upload.

        Raises:
            RefusedError: it will be too large, or there are too many.
        """
        most_mb = self.uploads.settings.file_mb
        if size > most_mb * MEGABYTE:
            raise RefusedError(
                413, "file_too_large", f"a file may have {most_mb} MB, and this one has more."
            )
        if len(self._open(owner)) >= MOST_OPEN:
            raise RefusedError(
                409, "too_many", f"{MOST_OPEN} uploads are unfinished. Finish or delete some."
            )
        part = Part(secrets.token_hex(16), owner, name, size)
        folder = self._folder(part.id)
        folder.mkdir(parents=True)
        (folder / "body").touch()
        write_json(folder / "note.json", asdict(part))
        return part

    def get(self, id: str, owner: str) -> Part:
        """An unfinished upload of this owner.

        Raises:
            RefusedError: there is none.
        """
        note = self._folder(id) / "note.json"
        if not re.fullmatch(r"[0-9a-f]{32}", id) or not note.is_file():
            raise not_found("unfinished upload", id)
        known = json.loads(note.read_text())
        if known["owner"] != owner:
            raise not_found("unfinished upload", id)
        return Part(**known | {"offset": (self._folder(id) / "body").stat().st_size})

    async def add(self, part: Part, offset: int, body: AsyncIterable[bytes]) -> Part | Upload:
        """Take in the next part; the upload, once it is whole.

        Raises:
            RefusedError: it begins elsewhere than the last one ended, is too long, or another is
                coming in; or the whole is refused, as any upload may be.
        """
        folder = self._folder(part.id)
        try:
            with FileLock(folder / "lock", timeout=0):
                part = await run_sync(self.get, part.id, part.owner)
                if offset != part.offset:
                    raise _misplaced(part, offset)
                await self._append(folder / "body", part, body)
                part = await run_sync(self.get, part.id, part.owner)
                if part.offset < part.size:
                    return part
                try:
                    return await run_sync(self.uploads.adopt, folder / "body", part.name)
                finally:
                    await run_sync(self.remove, part)
        except Timeout:
            raise RefusedError(
                409, "busy", f"another part of {part.id} is coming in. Wait until it has come."
            ) from None

    def remove(self, part: Part) -> None:
        """Forget an unfinished upload."""
        shutil.rmtree(self._folder(part.id), ignore_errors=True)

    async def _append(self, path: Path, part: Part, body: AsyncIterable[bytes]) -> None:
        left = part.size - part.offset
        held = bytearray()
        with path.open("ab") as file:
            try:
                async for chunk in body:
                    left -= len(chunk)
                    if left < 0:
                        raise RefusedError(
                            413, "too_large", f"it has more than the {part.size} bytes it said."
                        )
                    held += chunk
                    if len(held) >= CHUNK_BYTES:
                        await run_sync(file.write, bytes(held))
                        held.clear()
            finally:  # also when the line breaks: what has come is kept
                file.write(held)

    def _open(self, owner: str) -> list[Path]:
        """The notes of an owner's unfinished uploads; old ones are removed on the way."""
        found: list[Path] = []
        for note in self.uploads.folder.glob(".parts-*/note.json"):
            body = note.with_name("body")
            if body.exists() and time.time() - body.stat().st_mtime > KEEP_S:
                shutil.rmtree(note.parent, ignore_errors=True)
            elif json.loads(note.read_text())["owner"] == owner:
                found.append(note)
        return found

    def _folder(self, id: str) -> Path:
        return self.uploads.folder / f".parts-{id}"


def _misplaced(part: Part, offset: int) -> RefusedError:
    return RefusedError(
        409,
        "offset",
        f"the next part begins at byte {part.offset}, and this one at {offset}. HEAD"
        f" /v1/uploads/parts/{part.id} says where to go on.",
        headers={"Upload-Offset": str(part.offset)},
    )
