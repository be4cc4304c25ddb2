"""Uploads and the pictures among them, without a server."""

import base64
import hashlib
import io
import os
import threading
import warnings
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.requests import ClientDisconnect

from fovea.service import pictures
from fovea.service.archives import safe_name
from fovea.service.parts import Part, Parts
from fovea.service.problems import RefusedError
from fovea.service.settings.uploads import UploadsConfig
from fovea.service.uploads import Uploads


def uploads(folder: Path, **settings: Any) -> Uploads:
    return Uploads(folder / "uploads", UploadsConfig(**settings))


def sent(name: str, content: bytes) -> list[tuple[str, Any]]:
    return [(name, io.BytesIO(content))]


def picture(width: int = 8, height: int = 8, kind: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (width, height), (200, 20, 30)).save(held, kind, **options)
    return held.getvalue()


def received(store: Uploads, chunks: list[bytes], name: str, **more: Any) -> Any:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return anyio.run(lambda: store.receive(body(), name, **more))


def code_of(error: pytest.ExceptionInfo[RefusedError]) -> tuple[int, str]:
    return error.value.status, error.value.code


# Files


def test_a_body_is_hashed_as_it_comes_and_is_the_same_upload_as_in_a_form(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    content = os.urandom(3_000_000)
    chunks = [content[start : start + 70_000] for start in range(0, len(content), 70_000)]
    digest = hashlib.sha256(content)
    one = received(store, chunks, "a.bin", digest=digest.digest())
    two = store.keep(sent("b.bin", content))
    assert one == two
    assert (one.sha256, one.size, one.files) == (digest.hexdigest(), len(content), 1)
    path = store.path(one.id)
    assert path
    assert path.name == "upload.bin"
    assert path.read_bytes() == content


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    store = uploads(tmp_path, file_mb=1)
    with pytest.raises(RefusedError, match="a file may have 1 MB") as caught:
        received(store, [bytes(300_000)] * 5, "a.bin")
    assert code_of(caught) == (413, "file_too_large")
    with pytest.raises(RefusedError, match="a file may have 1 MB"):
        store.keep(sent("a", bytes(1_000_001)))
    with pytest.raises(RefusedError, match="a file may have 1 MB"):
        store.keep([*sent("a", b"x"), *sent("b", bytes(1_000_001))])
    assert list(store.folder.iterdir()) == []


def test_a_digest_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    with pytest.raises(RefusedError, match="was changed on its way") as caught:
        received(store, [b"two"], "a", digest=hashlib.sha256(b"one").digest())
    assert code_of(caught) == (422, "digest")
    assert list(store.folder.iterdir()) == []


def test_a_folder_of_one_file_is_not_that_file(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("upload.bin", b"one")
    folder = store.keep(sent("a.zip", held.getvalue()))
    file = store.keep(sent("a.bin", b"one"))
    assert (folder.is_folder, file.is_folder) == (True, False)
    assert folder.id != file.id


def test_many_who_send_the_same_at_the_same_time_get_one_upload(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.keep(sent("a", bytes(100_000))).id))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert [path.name for path in store.folder.iterdir()] == found[:1]


@given(st.text(max_size=300))
def test_a_name_is_safe_or_refused(name: str) -> None:
    try:
        safe = safe_name(name)
    except RefusedError:
        return
    inside = Path("/somewhere") / safe
    assert inside.is_relative_to("/somewhere")
    assert ".." not in inside.parts
    assert safe.isprintable()
    assert all(len(part.encode()) <= 255 for part in inside.parts)


# In parts


def added(parts: Parts, part: Part, offset: int, *chunks: bytes, breaks: bool = False) -> Any:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if breaks:
            raise ClientDisconnect

    return anyio.run(lambda: parts.add(part, offset, body()))


def test_an_upload_goes_on_where_the_line_broke(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    parts = Parts(store)
    content = os.urandom(2_500_000)
    part = parts.begin("ada", "a.bin", len(content))
    with pytest.raises(ClientDisconnect):
        added(parts, part, 0, content[:1_300_000], content[1_300_000:1_400_000], breaks=True)
    now = parts.get(part.id, "ada")
    assert now.offset == 1_400_000
    with pytest.raises(RefusedError, match="begins at byte 1400000, and this one at 0") as caught:
        added(parts, part, 0, content)
    assert code_of(caught) == (409, "offset")
    assert caught.value.headers == {"Upload-Offset": "1400000"}
    half = added(parts, part, now.offset, content[1_400_000:2_000_000])
    assert half.offset == 2_000_000
    whole = added(parts, part, half.offset, content[2_000_000:])
    assert whole == store.keep(sent("b.bin", content))
    with pytest.raises(RefusedError, match="there is no unfinished upload"):
        parts.get(part.id, "ada")
    assert [path.name for path in store.folder.iterdir()] == [whole.id]


def test_parts_are_refused_as_whole_files_are(tmp_path: Path) -> None:
    parts = Parts(uploads(tmp_path, file_mb=1))
    with pytest.raises(RefusedError, match="may have 1 MB"):
        parts.begin("ada", "a", 1_000_001)
    part = parts.begin("ada", "me.png", 10)
    for owner, id in (("eve", part.id), ("ada", "../" + part.id), ("ada", "0" * 32)):
        with pytest.raises(RefusedError, match="there is no unfinished upload"):
            parts.get(id, owner)
    with pytest.raises(RefusedError, match="more than the 10 bytes it said"):
        added(parts, part, 0, bytes(11))
    with pytest.raises(RefusedError, match="is no picture"):
        added(parts, part, 0, b"no picture")
    assert list(parts.uploads.folder.iterdir()) == []


def test_one_part_comes_in_at_a_time(tmp_path: Path) -> None:
    parts = Parts(uploads(tmp_path))
    part = parts.begin("ada", "a", 10)
    lock = FileLock(parts.uploads.folder / f".parts-{part.id}" / "lock")
    with lock, pytest.raises(RefusedError, match="another part of") as caught:
        added(parts, part, 0, b"12345")
    assert code_of(caught) == (409, "busy")


def test_what_is_not_gone_on_with_is_removed_after_a_day(tmp_path: Path) -> None:
    parts = Parts(uploads(tmp_path))
    old = parts.begin("ada", "a", 10)
    os.utime(parts.uploads.folder / f".parts-{old.id}" / "body", (0, 0))
    new = parts.begin("ada", "a", 10)
    assert parts.get(new.id, "ada")
    with pytest.raises(RefusedError):
        parts.get(old.id, "ada")


# Pictures


def test_a_picture_without_an_ending_gets_one(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("AVIF", ".avif")):
        path = store.path(store.keep(sent("photograph", picture(kind=kind))).id)
        assert path
        assert path.suffix == suffix


def test_what_only_begins_like_a_picture_is_kept(tmp_path: Path) -> None:
    store = uploads(tmp_path)
    for content in (b"BM and more of a recording", b"II*\0" + bytes(30)):
        assert store.keep(sent("events.raw", content)).files == 1
        with pytest.raises(RefusedError, match="is no picture") as caught:
            store.keep(sent("events.png", content))
        assert code_of(caught) == (415, "not_a_picture")


def test_the_limits_of_a_picture_are_settings(tmp_path: Path) -> None:
    content = picture(40, 30)
    for settings in ({"max_pixels": 1199}, {"max_side_px": 39}):
        with pytest.raises(RefusedError, match="has 40 x 30 pixels") as caught:
            uploads(tmp_path, **settings).keep(sent("a.png", content))
        assert code_of(caught) == (413, "picture_too_large")
    assert uploads(tmp_path, max_pixels=1200, max_side_px=40).keep(sent("a.png", content))


def test_a_film_is_no_picture_unless_settings_say_so(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (n * 50, 0, 0)) for n in range(3)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        held = io.BytesIO()
        frames[0].save(held, kind, save_all=True, append_images=frames[1:])
        with pytest.raises(RefusedError, match="more than 1 frames") as caught:
            uploads(tmp_path).keep(sent(f"a.{kind.lower()}", held.getvalue()))
        assert code_of(caught) == (413, "picture_frames")
        assert uploads(tmp_path, max_frames=3).keep(sent(f"a.{kind.lower()}", held.getvalue()))


def test_a_picture_larger_than_pillow_warns_of_is_taken_where_settings_say_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (11_000, 10_000)).save(path)
    with pytest.raises(RefusedError, match="11000 x 10000"):
        pictures.check(path, UploadsConfig())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.check(path, UploadsConfig(max_pixels=120_000_000)) == ".png"


def test_pictures_are_decoded_in_a_child_where_settings_say_so(tmp_path: Path) -> None:
    whole = picture(400, 300)
    cut = whole[: len(whole) // 2]
    assert uploads(tmp_path).keep(sent("cut.png", cut))
    store = uploads(tmp_path / "strict", decode=True)
    assert store.keep(sent("whole.png", whole))
    with pytest.raises(RefusedError, match="is damaged") as caught:
        store.keep(sent("cut.png", cut))
    assert code_of(caught) == (422, "picture_damaged")


def test_a_child_that_needs_too_much_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (7000, 7000)).save(path)
    # 147 MB of pixels do not go beside the interpreter and its libraries.
    with pytest.raises(RefusedError, match="needs more than 100 MB or 20 s") as caught:
        pictures.check(path, UploadsConfig(decode=True, decode_mb=100))
    assert code_of(caught) == (413, "picture_too_large")


def test_what_starts_programs_is_not_opened(tmp_path: Path) -> None:
    """Pillow reads PostScript by a program; here it is no picture."""
    path = tmp_path / "a.png"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(RefusedError, match="is no picture"):
        pictures.check(path, UploadsConfig())


def test_the_digest_of_a_request_is_read_from_its_header() -> None:
    from fovea.service.routes.uploads import _sha256

    digest = hashlib.sha256(b"one").digest()
    said = base64.b64encode(digest).decode()
    assert _sha256(f"sha-512=:AAAA:, sha-256=:{said}:") == digest
    for wrong in ("", said, f"sha-256={said}", "sha-256=:AAAA:"):
        with pytest.raises(RefusedError, match="Repr-Digest must say"):
            _sha256(wrong)
