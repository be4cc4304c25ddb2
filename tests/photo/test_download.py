"""A download goes on where it was cut, and appears whole or not at all.

The server is a real one on this machine, told how to behave.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from sharp_golden import filled_state

from fovea.errors import ArtifactError, BackendError, BusyError, StoppedError
from fovea.photo import download as module
from fovea.photo.download import Source, download, recorded
from fovea.photo.weights import Published, cached_weights, find_weights, load_network

CONTENT = bytes(range(256)) * 4000


@dataclass
class Behaviour:
    """What the server has, and how badly it gives it."""

    content: bytes = CONTENT
    version: str = '"one"'
    cut_after: list[int] = field(default_factory=list)
    """Bytes that an answer gives before the connection breaks, one a request."""
    knows_ranges: bool = True
    status: int = 200
    says_length: bool = True
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    """An address, and what stands behind it."""
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, behaviour)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/sharp.pt", behaviour
        http.shutdown()


def _answer(handler: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
    wanted = handler.headers.get("Range")
    behaviour.asked.append(wanted)
    if behaviour.status != 200:
        handler.send_error(behaviour.status)
        return
    content, start = behaviour.content, 0
    is_same = handler.headers.get("If-Range") == behaviour.version
    if wanted and behaviour.knows_ranges and is_same:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    handler.send_header("ETag", behaviour.version)
    if behaviour.says_length:
        handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    cut = behaviour.cut_after.pop(0) if behaviour.cut_after else len(content)
    handler.wfile.write(content[start : start + cut])


def source(url: str, *, bytes: int | None = None, sha256: str | None = None) -> Source:
    return Source(url, bytes, sha256, timeout_s=5, wait_s=0)


def test_a_file_comes_with_its_length_and_digest_noted(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    target, seen = tmp_path / "deep" / "sharp.pt", list[tuple[int, int | None]]()
    download(source(server[0]), target, watch=lambda *now: seen.append(now))
    assert target.read_bytes() == CONTENT
    note = recorded(target)
    assert note["bytes"] == len(CONTENT)
    assert note["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert note["url"] == server[0]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list(target.parent.glob("*.part*"))


def test_a_cut_connection_is_taken_up_where_it_broke(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    behaviour.cut_after = [1000, 20000]
    download(source(url), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt").read_bytes() == CONTENT
    assert behaviour.asked == [None, "bytes=1000-", "bytes=21000-"]


def test_the_next_call_goes_on_where_the_last_was_stopped(
    server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4096)
    url, behaviour = server

    def stop(here: int, whole: int | None) -> None:
        if here > 10000:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        download(source(url), tmp_path / "sharp.pt", watch=stop)
    assert not (tmp_path / "sharp.pt").exists()
    kept = (tmp_path / "sharp.pt.part").stat().st_size
    download(source(url), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt").read_bytes() == CONTENT
    assert behaviour.asked == [None, f"bytes={kept}-"]


def test_a_part_of_an_older_version_is_not_gone_on_with(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    (tmp_path / "sharp.pt.part").write_bytes(b"old" * 100)
    (tmp_path / "sharp.pt.part.json").write_text(json.dumps({"version": '"zero"'}))
    download(source(server[0]), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt").read_bytes() == CONTENT


def test_a_server_without_ranges_gives_it_from_the_start(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    behaviour.knows_ranges, behaviour.cut_after = False, [5000]
    download(source(url), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt").read_bytes() == CONTENT


def test_a_part_that_is_complete_already_is_taken(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    (tmp_path / "sharp.pt.part").write_bytes(CONTENT)
    (tmp_path / "sharp.pt.part.json").write_text(json.dumps({"version": '"one"'}))
    download(source(server[0]), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("length", "digest", "sentence"),
    [(7, None, "should have 7 bytes and gave 1024000"), (None, "ab", "SHA-256 ab")],
)
def test_another_length_or_digest_than_known_is_refused_and_thrown_away(
    length: int | None,
    digest: str | None,
    sentence: str,
    server: tuple[str, Behaviour],
    tmp_path: Path,
) -> None:
    with pytest.raises(ArtifactError, match=sentence):
        download(source(server[0], bytes=length, sha256=digest), tmp_path / "sharp.pt")
    assert not (tmp_path / "sharp.pt").exists()
    assert not list(tmp_path.glob("*.part*"))


def test_a_connection_that_breaks_again_and_again_leaves_what_came(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    behaviour.cut_after = [3000, *[0] * 20]
    with pytest.raises(BackendError, match=r"ended early\. 3000 bytes are kept"):
        download(source(url), tmp_path / "sharp.pt")
    assert (tmp_path / "sharp.pt.part").read_bytes() == CONTENT[:3000]


def test_a_refusal_is_not_asked_for_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.status = 404
    with pytest.raises(BackendError, match="HTTP 404 Not Found"):
        download(source(url), tmp_path / "sharp.pt")
    assert len(behaviour.asked) == 1


def test_two_downloads_do_not_write_into_each_other(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    with (
        FileLock(tmp_path / "sharp.pt.lock", thread_local=False),
        pytest.raises(BusyError, match="by another process"),
    ):
        download(source(server[0]), tmp_path / "sharp.pt")


def test_sharp_by_name_is_downloaded_once_and_loads(
    server: tuple[str, Behaviour],
    goldens: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    url, behaviour = server
    torch.save(filled_state(goldens / "sharp", "tiny"), tmp_path / "tiny.pt")
    behaviour.content = (tmp_path / "tiny.pt").read_bytes()
    published = Published(url, "L", "http://127.0.0.1/L", "Research only.")
    path = find_weights("sharp", accept_licence=True, published=published)
    assert path == find_weights("sharp", published=published) == cached_weights(published)
    assert len(behaviour.asked) == 1
    assert load_network(path).architecture.network_size == 256


def test_a_page_in_place_of_the_file_is_refused_and_not_kept(
    server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    url, behaviour = server
    behaviour.content = b"<html>Please log in</html>"
    published = Published(url, "L", "http://127.0.0.1/L", "Research only.")
    with pytest.raises(ArtifactError, match="cannot be read as weights"):
        find_weights("sharp", accept_licence=True, published=published)
    assert cached_weights(published) is None
    assert not list((tmp_path / "weights").glob("*.part*"))
