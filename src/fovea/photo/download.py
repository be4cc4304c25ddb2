"""A large file from a web address: resumed where it was cut, seen whole or not at all.

What has come so far lies in `NAME.part` beside the target, with the server's mark of the file's
version in `NAME.part.json`; the next call asks for the rest by HTTP Range. A server that has
another version by now, or knows no ranges, sends it from the start. When all of it is here and was
found good, it is renamed, and its length, digest and origin are noted in `NAME.json`.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from fovea.errors import ArtifactError, BackendError, BusyError, FoveaError
from fovea.runs.cache import sha256
from fovea.runs.durable import DiskFullError, saying_when_full, sync, write_json

log = logging.getLogger(__name__)
CHUNK = 1 << 20
PATIENCE: Final = 5
"""Attempts in a row that bring nothing, before giving up."""
Progress = Callable[[int, int | None], None]
"""Told (bytes here, bytes in all, None while unknown)."""
CUT = (http.client.HTTPException, OSError)
"""What a connection that broke raises; urllib's and timeouts are OSErrors."""


@dataclass(frozen=True)
class Source:
    """Where a file is, and what is known of it."""

    url: str
    bytes: int | None = None
    sha256: str | None = None
    timeout_s: float = 30.0
    wait_s: float = 1.0
    """Before another attempt; doubled each time."""


def download(
    source: Source,
    target: Path,
    *,
    check: Callable[[Path], None] | None = None,
    watch: Progress | None = None,
) -> None:
    """Fetch a file, or what is missing of it.

    Args:
        source: its address, and its length and digest where they are known.
        target: the file; its folder is made.
        check: looks at the complete file and raises when it is not what was wanted.
        watch: told of the progress; what it raises ends the download, which can be resumed.

    Raises:
        BackendError: the server cannot be reached, refuses, or breaks off again and again.
        ArtifactError: the file has another length or digest than is known; it is thrown away.
        BusyError: another process downloads it now.
        DiskFullError: there is no room for it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"{target.name} is being downloaded into {target.parent} by another process. Wait for"
            " it to end."
        ) from None
    with lock:
        if target.is_file():
            return
        part = _Part(target)
        _fetch(source, part, watch or _nobody)
        digest = _require_good(source, part, check)
        _publish(source, part, digest)


def recorded(target: Path) -> dict[str, Any]:
    """What was noted of a downloaded file: url, bytes, sha256, version; empty if nothing was."""
    note = target.with_name(f"{target.name}.json")
    return json.loads(note.read_text()) if note.is_file() else {}


class _Part:
    """What has come so far."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str:
        """The server's mark of what this is a part of."""
        return json.loads(self.note.read_text())["version"] if self.note.is_file() else ""

    def begin(self, version: str) -> None:
        self.path.unlink(missing_ok=True)
        write_json(self.note, {"version": version})

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _fetch(source: Source, part: _Part, watch: Progress) -> None:
    attempt, wait_s = 0, source.wait_s
    while True:
        before = part.bytes
        try:
            if _once(source, part, watch):
                return
            reason: object = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise _refused(source, part, f"HTTP {error.code} {error.reason}") from error
            reason = error
        except CUT as error:
            if isinstance(error, FoveaError):
                raise
            reason = error
        attempt = 0 if part.bytes > before else attempt + 1
        if attempt >= PATIENCE:
            raise _refused(source, part, str(reason))
        log.warning("download cut at %d bytes (%s), going on", part.bytes, reason)
        time.sleep(wait_s * 2**attempt)


def _once(source: Source, part: _Part, watch: Progress) -> bool:
    """One request; whether all of the file is here after it."""
    have = part.bytes if part.version else 0
    request = urllib.request.Request(source.url, headers={"User-Agent": "fovea"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", part.version)
    try:
        answer = urllib.request.urlopen(request, timeout=source.timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        whole = _length(error.headers)
        if whole != have:
            part.discard()
        return whole == have
    with answer:
        if have and not _goes_on(answer, have):
            have = 0
        if not have:
            part.begin(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        whole = _length(answer.headers)
        _require_room(part, None if whole is None else whole - have)
        return _append(answer, part, have, whole, watch)


def _append(
    answer: http.client.HTTPResponse, part: _Part, have: int, whole: int | None, watch: Progress
) -> bool:
    watch(have, whole)
    with saying_when_full(part.target.name, part.path), part.path.open("ab") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            have += len(chunk)
            watch(have, whole)
    return whole is None or have >= whole


def _goes_on(answer: http.client.HTTPResponse, have: int) -> bool:
    if answer.status != http.client.PARTIAL_CONTENT:
        return False
    return answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _length(headers: Any) -> int | None:
    """Of the whole file, as the server says it."""
    ranged = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    if ranged:
        return int(ranged[1])
    said = headers.get("Content-Length")
    return int(said) if said is not None else None


def _require_room(part: _Part, needed: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if needed is not None and needed > free:
        raise DiskFullError(
            f"{part.target.name} needs {needed / 1e9:.2f} GB more, and {part.path.parent} has"
            f" {free / 1e9:.2f} GB free. Make room, or name another folder by FOVEA_CACHE."
        )


def _require_good(source: Source, part: _Part, check: Callable[[Path], None] | None) -> str:
    try:
        if source.bytes is not None and part.bytes != source.bytes:
            raise ArtifactError(
                f"{source.url} should have {source.bytes} bytes and gave {part.bytes}. What came is"
                " thrown away: try again, or give the path of a copy."
            )
        digest = sha256(part.path)
        if source.sha256 is not None and digest != source.sha256:
            raise ArtifactError(
                f"{source.url} should have the SHA-256 {source.sha256} and has {digest}. What came"
                " is thrown away: try again, or give the path of a copy."
            )
        if check is not None:
            check(part.path)
    except ArtifactError:
        part.discard()
        raise
    return digest


def _publish(source: Source, part: _Part, digest: str) -> None:
    note = {
        "url": source.url,
        "bytes": part.bytes,
        "sha256": digest,
        "version": part.version,
        "downloaded": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    sync(part.path)
    write_json(part.target.with_name(f"{part.target.name}.json"), note)
    part.path.replace(part.target)
    sync(part.target.parent)
    part.note.unlink()


def _refused(source: Source, part: _Part, reason: str) -> BackendError:
    kept = (
        f" {part.bytes} bytes are kept, and the next attempt goes on from there."
        if part.bytes
        else ""
    )
    return BackendError(
        f"{source.url} could not be downloaded: {reason}.{kept} Without a network, give the path of"
        " a copy of the file (weights=PATH), or take the built-in network (weights=lite)."
    )


def _nobody(here: int, whole: int | None) -> None:
    """Watches nothing."""
