"""Files that callers send: written to disk as they come in, known by their content.

An upload is one file, or a folder (an archive, or several files at once). Its id is made of its
content, so that sending the same again gives the same id, and what was computed from it is found
again.

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

from fovea.runs.cache import sha256
from fovea.runs.durable import write_json
from fovea.service.archives import Limits, lift_single_folder, safe_name, unpack
from fovea.service.problems import RefusedError

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

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits

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

    async def receive(self, body: AsyncIterable[bytes], name: str) -> Upload:
        """Take in the body of a request as it comes: one file, or a zip archive to be unpacked."""
        from anyio.to_thread import run_sync

        with self._draft() as draft:
            with (draft / "body").open("wb") as file:
                async for chunk in body:
                    file.write(chunk)
            return await run_sync(self._keep_file, draft, draft / "body", name)

    def keep(self, files: list[tuple[str, BinaryIO]]) -> Upload:
        """Take in the files of a form: one as above, several as a folder, by their names."""
        if len(files) > self.limits.entries:
            raise RefusedError(413, "too_many", f"at most {self.limits.entries} files go at once.")
        with self._draft() as draft:
            if len(files) == 1:
                name, source = files[0]
                with (draft / "body").open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                return self._keep_file(draft, draft / "body", name)
            for name, source in files:
                target = draft / "content" / safe_name(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
            lift_single_folder(draft / "content")
            return self._publish(draft, is_folder=True)

    def _keep_file(self, draft: Path, body: Path, name: str) -> Upload:
        suffix = _SUFFIX.search(name.lower())
        if body.stat().st_size == 0:
            raise RefusedError(422, "empty", "the file is empty. Send its content.")
        (draft / "content").mkdir()
        if suffix and suffix[0] == ".zip":
            unpack(body, draft / "content", self.limits)
            body.unlink()
            return self._publish(draft, is_folder=True)
        body.rename(draft / "content" / f"upload{suffix[0] if suffix else ''}")
        return self._publish(draft, is_folder=False)

    def _publish(self, draft: Path, *, is_folder: bool) -> Upload:
        content = draft / "content"
        files = sorted(path for path in content.rglob("*") if path.is_file())
        digests = {path.relative_to(content).as_posix(): sha256(path) for path in files}
        lines = "".join(f"{name}\0{digest}\n" for name, digest in digests.items())
        whole = hashlib.sha256(lines.encode()).hexdigest()
        id = whole[:32]
        if known := self.get(id):
            return known
        size = sum(path.stat().st_size for path in files)
        content_digest = whole if is_folder else next(iter(digests.values()))
        upload = Upload(id, is_folder, len(files), size, content_digest, round(time.time(), 3))
        write_json(draft / "upload.json", asdict(upload))
        draft.rename(self.folder / id)
        return upload

    @contextmanager
    def _draft(self) -> Generator[Path]:
        draft = self.folder / f".draft-{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
