"""Twenty kinds of broken rows: each costs itself alone, and the ledger says why."""

import json
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from fovea.errors import DataError

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
    (images / "round.jpg").symlink_to("round.jpg")
    (images / "dangling.jpg").symlink_to("gone.jpg")
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
        "link that leads to itself": line(row("round", "round.jpg")),
        "link to nothing": line(row("dangling", "dangling.jpg")),
        "a folder of dots": line(row("dots", "..")),
        "name of no length": line(row("unnamed", images=[""])),
        "name longer than any file's": line(row("long", "x" * 5000)),
        "bytes of an image that are none": line(row("held", image_bytes=["bm8gcGljdHVyZQ=="])),
        "bytes of an image that are no base64": line(row("letters", image_bytes=["a"])),
        "bytes of an image that are no list": line(row("bare", image_bytes="bm8=")),
        "nested without end": b"[" * 100_000,
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


def good_rows() -> list[bytes]:
    return [json.dumps(row(f"good{n}", f"good{n}.jpg")).encode() for n in range(GOOD)]


MEASURES = [{"text_length_filter": {"min_len": 0}}, {"image_shape_filter": None}]


def balanced(done) -> bool:
    report = done.report
    lost = sum(step["dropped"] + step["errors"] for step in report["operators"])
    told = sum(entry["lost"] for entry in done.errors)
    return (
        report["read"] == report["kept"] + report["unread"] + lost
        and told == lost + report["unread"]
    )


FILES = {
    "empty": (b"", 0, 0),
    "blank lines": (b"\n \n\t\n\r\n", 0, 0),
    "a byte order mark": (b"\xef\xbb\xbf" + b"\n".join(good_rows()), GOOD, 0),
    "line ends of Windows": (b"\r\n".join(good_rows()) + b"\r\n", GOOD, 0),
    "no line end at the end": (b"\n".join(good_rows()), GOOD, 0),
    "zero bytes": (b"\n".join(good_rows()) + b"\n" + b"\0" * 5000, GOOD, 1),
    "an id twice": (b"\n".join([*good_rows(), good_rows()[0]]), GOOD + 1, 0),
    "a key twice": (good_rows()[0].replace(b'"score": 1', b'"score": 7, "score": 1'), 1, 0),
    "NaN and Infinity": (good_rows()[0].replace(b'"score": 1', b'"score": NaN, "x": -Infinity'),
                         1, 0),
    "half of a surrogate": (good_rows()[0].replace(b"caption", b"\\ud83d"), 1, 0),
    "a number of 400 digits": (good_rows()[0].replace(b'"score": 1', b'"score": ' + b"9" * 400),
                               1, 0),
    "a line of 20 megabytes": (b"\n".join([*good_rows(), good_rows()[0].replace(
        b"caption", b"x" * 20_000_000)]), GOOD + 1, 0),
    "no fields": (b"\n".join([*good_rows(), b"{}"]), GOOD + 1, 0),
    "text that is null": (good_rows()[0].replace(b'"text": ', b'"text": null, "was": '), 1, 0),
}  # fmt: skip
"""By what is odd: the file, the rows that come through, and those in the ledger."""


@pytest.mark.parametrize("what", FILES)
def test_a_file_with_something_odd_gives_what_is_good_in_it(
    what: str, cleaning, folder: Path
) -> None:
    content, good, lost = FILES[what]
    path = folder / "odd.jsonl"
    path.write_bytes(content)
    done = cleaning(path, MEASURES, shard_rows=2)
    assert len(done.rows()) == good
    assert balanced(done)
    if lost is not None:
        assert sum(entry["lost"] for entry in done.errors) == lost
    again = cleaning(done.folder / "dataset", MEASURES, name="again")
    assert len(again.rows()) == good, "what was written is read"


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_packed_file_cut_in_the_middle_gives_its_first_rows_and_says_so(
    ending: str, cleaning, folder: Path
) -> None:
    import pyarrow as pa

    rng = random.Random(0)
    rows = [row(f"r{n}", None, noise=rng.randbytes(400).hex()) for n in range(3000)]
    plain = folder / f"rows.jsonl.{ending}"
    with pa.output_stream(plain, compression={"gz": "gzip", "zst": "zstd"}[ending]) as out:
        out.write(b"".join(json.dumps(one).encode() + b"\n" for one in rows))
    whole = cleaning(plain, [], name="whole")
    assert len(whole.ids) == len(rows)
    plain.write_bytes(plain.read_bytes()[: plain.stat().st_size * 2 // 3])
    done = cleaning(plain, [], name="cut")
    assert 100 < len(done.ids) < len(rows)
    assert done.ids == whole.ids[: len(done.ids)]
    assert "is where the file is cut off" in done.errors[-1]["message"]
    assert balanced(done)
    with pytest.raises(DataError, match=r"cut off|is no JSON"):
        cleaning(plain, [], name="strict", load_jsonl_lenient=False)


def test_a_folder_with_links_to_itself_is_read_once(cleaning, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "rows.jsonl").write_bytes(b"\n".join(good_rows()))
    (data / "loop").symlink_to(data)
    (data / "round.jsonl").symlink_to("round.jsonl")
    done = cleaning(data, MEASURES, image_root=str(folder))
    assert done.ids == [f"good{n}" for n in range(GOOD)]


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.jsonl.zst", "rows.parquet", "rows.json"])
def test_a_file_of_which_nothing_can_be_read_is_told(name: str, cleaning, folder: Path) -> None:
    path = folder / name
    path.write_bytes(b"[this is nothing of the kind")
    with pytest.raises(DataError, match=name):
        cleaning(path, [])


def test_rows_of_which_not_one_can_be_used_are_no_data_set(cleaning, folder: Path) -> None:
    in_utf_16 = "\n".join(map(bytes.decode, good_rows())).encode("utf-16")
    for content in (b"{\n{\n{\n{\n{\n", in_utf_16):
        path = folder / "rows.jsonl"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"not one of the 5 rows of .* The first, .*:1: the li"):
            cleaning(path, [])


def test_the_kinds_of_broken_rows_and_files_are_more_than_twenty() -> None:
    assert len({*lines(), *FILES}) >= 40
