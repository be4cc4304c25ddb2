"""Twenty kinds of broken rows: each costs itself alone, and the ledger says why."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

GOOD = 5
PROCESS = [
    {"fix_unicode_mapper": None},
    {"words_num_filter": {"min_num": 1}},
    {"image_shape_filter": {"min_width": 2}},
    {"image_size_filter": None},
    {"image_deduplicator": {"consider_text": True}},
    {"specified_numeric_field_filter": {"field_key": "score", "max_value": 9}},
]


def huge_png() -> bytes:
    """A file of a few bytes that says it has 40 000 x 40 000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    content = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, whole and broken."""
    images = tmp_path / "images"
    images.mkdir()
    for n in range(GOOD):
        Image.effect_noise((40 + n, 30), 80 + n).convert("RGB").save(images / f"good{n}.jpg")
    whole = (images / "good0.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.jpg").write_text("this is no picture")
    (images / "html.png").write_text("<html><body>404 not found</body></html>")
    (images / "head.jpg").write_bytes(whole[:20])
    (images / "huge.png").write_bytes(huge_png())
    (images / "folder.jpg").mkdir()
    broken = bytearray((images / "good1.jpg").read_bytes())
    broken[2:8] = b"\0" * 6
    (images / "spoilt.jpg").write_bytes(bytes(broken))
    return tmp_path


def row(name: str, image: str | None = "good0.jpg", **fields) -> dict:
    images = [f"images/{image}"] if image else []
    token = "<__dj__image>\n" if image else ""
    text = f"{token}a caption of {name} <|__dj__eoc|>"
    return {"id": name, "text": text, "images": images, "score": 1} | fields


def lines() -> dict[str, bytes]:
    """Broken rows by what is broken in them."""

    def line(value: object) -> bytes:
        return json.dumps(value).encode()

    tokens = row("tokens", text="<__dj__image><__dj__image> two tokens <|__dj__eoc|>")
    return {
        "missing image": line(row("missing", "nowhere.jpg")),
        "truncated JPEG": line(row("cut", "cut.jpg")),
        "empty file": line(row("empty", "empty.jpg")),
        "text as picture": line(row("text", "text.jpg")),
        "page as picture": line(row("html", "html.png")),
        "head alone": line(row("head", "head.jpg")),
        "huge picture": line(row("huge", "huge.png")),
        "folder as picture": line(row("folder", "folder.jpg")),
        "spoilt picture": line(row("spoilt", "spoilt.jpg")),
        "more tokens than images": line(tokens),
        "fewer images": line(row("fewer", images=[])),
        "text that is a number": line(row("number", text=7)),
        "images that are text": line(row("string", images="images/good0.jpg")),
        "images that are numbers": line(row("numbers", images=[1, 2])),
        "cut line": line(row("torn"))[:40],
        "no object": b"[1, 2, 3]",
        "bare word": b"hello",
        "wrong quotes": b"{'id': 'quotes', 'text': 'x'}",
        "field that is missing": line({k: v for k, v in row("field").items() if k != "score"}),
        "null byte in a path": line(row("nul", "good\u00000.jpg")),
        "two rows in a line": line(row("a")) + line(row("b")),
    }


MENDED = b'{"id": "utf8", "text": "caf\xe9 on a table", "images": [], "score": 2}'


@pytest.fixture
def data(folder: Path) -> Path:
    """Good rows with broken ones between them."""
    good = [json.dumps(row(f"good{n}", f"good{n}.jpg")).encode() for n in range(GOOD)]
    mixed = [*good[:2], *lines().values(), b"", MENDED, *good[2:]]
    path = folder / "rows.jsonl"
    path.write_bytes(b"\n".join(mixed) + b"\n")
    return path


@pytest.mark.parametrize("rows", [0, 4])
def test_every_good_row_comes_through_and_every_broken_one_is_told(
    rows: int, cleaning, data: Path
) -> None:
    done = cleaning(data, PROCESS, shard_rows=rows)
    assert done.ids == ["good0", "good1", "utf8", "good2", "good3", "good4"]
    lost = [entry for entry in done.errors if entry["lost"]]
    assert len(lines()) >= 20
    assert len(lost) == len(lines()), [entry["message"] for entry in lost]
    assert all(entry["message"] and entry["line"] and entry["file"] for entry in lost)
    report = done.report
    assert report["read"] == len(lines()) + GOOD + 1
    dropped = sum(step["dropped"] + step["errors"] for step in report["operators"])
    assert report["read"] == report["kept"] + report["unread"] + dropped


def test_broken_utf8_is_read_with_a_mark_and_a_note(cleaning, data: Path) -> None:
    done = cleaning(data, [])
    (mended,) = [row for row in done.rows() if row["id"] == "utf8"]
    assert mended["text"] == "caf\ufffd on a table"
    (entry,) = [entry for entry in done.errors if not entry["lost"]]
    assert entry["id"] == "utf8"
    assert done.report["mended"] == 1


def test_the_ledger_says_what_to_do(cleaning, data: Path) -> None:
    said = {entry["id"]: entry["message"] for entry in cleaning(data, PROCESS).errors}
    assert "does not exist" in said["missing"]
    assert "40000 x 40000 pixels" in said["huge"]
    assert "the text has 2 of <__dj__image> and 'images' lists 1" in said["tokens"]
    assert "has no field 'score'" in said["field"]


def test_cut_pictures_are_taken_when_asked_for(cleaning, data: Path) -> None:
    done = cleaning(data, PROCESS, compat=["truncated_images", "image_tokens"])
    assert "cut" in done.ids
    assert "tokens" in done.ids
