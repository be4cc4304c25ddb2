"""Files that callers send: written and hashed as they come in, known by their content.

An upload is one file, or a folder (an archive, or several files at once). Its id is made of its
content and of nothing that the caller says, so that sending the same again gives the same id, what
was computed from it is found again, and nobody can send something else under that id.

    uploads/<id>/upload.json    what it is
    uploads/<id>/content/       the folder, or one file named upload.<suffix>
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from fovea.runs.durable import write_json
from fovea.service import pictures
from fovea.service.archives import Limits, lift_single_folder, safe_name, unpack
from fovea.service.problems import RefusedError
from fovea.service.settings.uploads import UploadsConfig

MEGABYTE = 1_000_000
CHUNK_BYTES = 1 << 20
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}$")


@dataclass(frozen=True)
class Upload:
    """What was sent."""

    id: str
    is_folder: bool
    files: int
    size: int
    """Bytes, unpacked."""
    sha256: str
    created: float


class Uploads:
    """The folder of uploads."""

    def __init__(self, folder: Path, settings: UploadsConfig) -> None:
        self.folder = folder
        self.settings = settings
        self.limits = Limits(
            settings.archive_entries, settings.unpacked_mb * MEGABYTE, settings.archive_ratio
        )

    def get(self, id: str) -> Upload | None:
        """The upload of that id."""
        path = self.folder / id / "upload.json"
        if not re.fullmatch(r"[0-9a-f]{32}", id) or not path.is_file():
            return None
        return Upload(**json.loads(path.read_text()))

    def path(self, id: str) -> Path | None:
        """Where the file or the folder of an upload stands."""
        found = self.get(id)
        if found is None:
            return None
        content = self.folder / id / "content"
        return content if found.is_folder else next(content.iterdir())

    async def receive(
        self, body: AsyncIterable[bytes], name: str, *, digest: bytes | None = None
    ) -> Upload:
        """Take in the body of a request as it comes: one file, or a zip archive to be unpacked.

        Args:
            body: as it comes.
            name: for its suffix; nothing else is kept of it.
            digest: the SHA-256 that it should have.

        Raises:
            RefusedError: it is too large, not what its name or its digest says, or a bomb.
        """
        from anyio import CancelScope
        from anyio.to_thread import run_sync

        draft = self._begin()
        try:
            with (draft / "body").open("wb") as file:
                sink = _Sink(file, self.settings.file_mb * MEGABYTE)
                held, size = list[bytes](), 0
                async for chunk in body:
                    held.append(chunk)
                    size += len(chunk)
                    if size >= CHUNK_BYTES:
                        await run_sync(sink.write, b"".join(held))
                        held, size = [], 0
                await run_sync(sink.write, b"".join(held))
            if digest is not None and digest != sink.hash.digest():
                raise RefusedError(
                    422,
                    "digest",
                    f"its SHA-256 should be {digest.hex()} and is {sink.hash.hexdigest()}. It was"
                    " changed on its way: send it again.",
                )
            return await run_sync(self._keep_file, draft, name, sink.hash.hexdigest())
        finally:
            if draft.is_dir():  # a folder of many files; also where the caller has gone
                with CancelScope(shield=True):
                    await run_sync(shutil.rmtree, draft, True)

    def keep(self, files: list[tuple[str, BinaryIO]], *, look: bool = True) -> Upload:
        """Take in the files of a form: one as above, several as a folder, by their names.

        Args:
            files: names and contents.
            look: whether a picture in an archive that is too large has the whole refused; else
                whoever uses it must look.

        Raises:
            RefusedError: as above.
        """
        if len(files) > self.limits.entries:
            raise RefusedError(413, "too_many", f"at most {self.limits.entries} files go at once.")
        with self._draft() as draft:
            if len(files) == 1:
                name, source = files[0]
                digest = self._copy(source, draft / "body")
                return self._keep_file(draft, name, digest, look=look)
            for name, source in files:
                target = draft / "content" / safe_name(name)
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._copy(source, target)
                except (FileExistsError, NotADirectoryError, IsADirectoryError):
                    raise RefusedError(
                        422, "twice", f"two of the files have the name {safe_name(name)!r}."
                    ) from None
            lift_single_folder(draft / "content")
            return self._publish(draft, is_folder=True, look=look)

    def adopt(self, path: Path, name: str) -> Upload:
        """Take in a file that is on this disk already, and is moved.

        Raises:
            RefusedError: as above.
        """
        with self._draft() as draft:
            path.rename(draft / "body")
            return self._keep_file(draft, name, _sha256(draft / "body"))

    def _copy(self, source: BinaryIO, target: Path) -> str:
        with target.open("xb") as file:
            sink = _Sink(file, self.settings.file_mb * MEGABYTE)
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
        return sink.hash.hexdigest()

    def _keep_file(self, draft: Path, name: str, digest: str, *, look: bool = True) -> Upload:
        body = draft / "body"
        found = _SUFFIX.search(name.lower())
        suffix = found[0] if found else ""
        if body.stat().st_size == 0:
            raise RefusedError(422, "empty", "the file is empty. Send its content.")
        (draft / "content").mkdir()
        if suffix == ".zip":
            unpack(body, draft / "content", self.limits)
            body.unlink()
            return self._publish(draft, is_folder=True, look=look)
        suffix = self._checked(body, suffix) or suffix
        target = draft / "content" / f"upload{suffix}"
        body.rename(target)
        return self._publish(draft, is_folder=False, digests={target.name: digest}, look=False)

    def _checked(self, path: Path, suffix: str) -> str:
        """The suffix of a picture that has none of its own; empty for other files."""
        if not pictures.looks_like_picture(path, suffix):
            return ""
        try:
            found = pictures.check(path, self.settings)
        except RefusedError as error:
            if error.status == 415 and suffix not in pictures.SUFFIXES:
                return ""  # it only begins like one
            raise
        return "" if suffix else found

    def _publish(
        self, draft: Path, *, is_folder: bool, digests: dict[str, str] | None = None, look: bool
    ) -> Upload:
        content = draft / "content"
        files = sorted(path for path in content.rglob("*") if path.is_file())
        if look:
            for path in files:
                self._checked(path, path.suffix.lower())
        digests = digests or {path.relative_to(content).as_posix(): _sha256(path) for path in files}
        lines = "".join(f"{name}\0{digest}\n" for name, digest in digests.items())
        # A folder of one file is another upload than that file.
        kind = "folder" if is_folder else "file"
        whole = hashlib.sha256(f"{kind}\n{lines}".encode()).hexdigest()
        id = whole[:32]
        if known := self.get(id):
            return known
        size = sum(path.stat().st_size for path in files)
        content_digest = whole if is_folder else next(iter(digests.values()))
        upload = Upload(id, is_folder, len(files), size, content_digest, round(time.time(), 3))
        write_json(draft / "upload.json", asdict(upload))
        try:
            draft.rename(self.folder / id)
        except OSError:  # somebody sent the same at the same time
            known = self.get(id)
            if known is None:
                raise
            return known
        return upload

    @contextmanager
    def _draft(self) -> Generator[Path]:
        draft = self._begin()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _begin(self) -> Path:
        draft = self.folder / f".draft-{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        return draft


class _Sink:
    """A file that is hashed while it is written, up to so many bytes."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self.file = file
        self.most_bytes = most_bytes
        self.size = 0
        self.hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.most_bytes:
            most = self.most_bytes // MEGABYTE
            raise RefusedError(
                413, "file_too_large", f"a file may have {most} MB, and this one has more."
            )
        self.hash.update(chunk)
        self.file.write(chunk)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
