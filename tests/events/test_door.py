"""Recordings against reference answers and real cameras; out and in again."""

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.dialect import SAMPLES
from fovea.errors import ArtifactError, DataError
from fovea.events.formats.dat import DatDecoder
from fovea.events.formats.decoder import Decoder
from fovea.events.formats.door import open_events, read_events, write_events
from fovea.events.formats.evt2 import Evt2Decoder
from fovea.events.formats.evt3 import Evt3Decoder
from fovea.events.formats.evt21 import Evt21Decoder
from fovea.events.formats.header import read_header
from fovea.events.formats.words import LiveDecoder
from fovea.events.stream import EventStream

FILES = [
    f"{recording}{suffix}"
    for recording in ("sparse", "vector", "rollover24")
    for suffix in (".evt2.raw", ".evt21.raw", ".evt3.raw", ".dat")
]
DECODERS: dict[str, type[Decoder]] = {
    "evt2": Evt2Decoder, "evt21": Evt21Decoder, "evt3": Evt3Decoder, "dat": DatDecoder,
}  # fmt: skip


def rows(events: EventStream) -> np.ndarray:
    """[n, 4] of int64: t, x, y, p."""
    columns = (events.t, events.x, events.y, events.p)
    return np.stack([column.astype("<i8") for column in columns], axis=1)


def digest(events: EventStream) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows(events)).tobytes()).hexdigest()


def stream(table: np.ndarray, height: int, width: int) -> EventStream:
    t, x, y, p = np.asarray(table, np.int64).reshape(-1, 4).T
    columns = (x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8))
    return EventStream(t.copy(), *columns, height, width)


def body(path: Path) -> tuple[str, bytes, tuple[int, int]]:
    """The format, the words and the sensor's size of a golden file."""
    data = path.read_bytes()
    header = read_header(data, is_all=True)
    assert header is not None
    height, width = header.geometry
    assert height is not None
    assert width is not None
    skipped = 2 if header.format == "dat" else 0
    return header.format, data[header.size + skipped :], (height, width)


# Reference answers


@pytest.mark.parametrize("name", FILES)
def test_every_encoding_gives_the_events_that_were_encoded(goldens: Path, name: str) -> None:
    folder = goldens / "events" / "raw_formats"
    about = json.loads((folder / "index.json").read_text())[name]
    wanted = np.load(folder / about["events"])
    found = read_events(folder / name)
    assert (len(found), found.height, found.width) == (
        about["count"], about["height"], about["width"],
    )  # fmt: skip
    for column in "txyp":
        np.testing.assert_array_equal(getattr(found, column), wanted[column])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("length", [1, 7, 4096])
def test_where_the_bytes_are_parted_makes_no_difference(
    goldens: Path, name: str, length: int
) -> None:
    path = goldens / "events" / "raw_formats" / name
    kind, words, (height, width) = body(path)
    if length == 1:
        words = words[: 6000 // 8 * 8]
    decoder, whole = (DECODERS[kind](height, width) for _ in range(2))
    parts = [decoder.feed(words[at : at + length]) for at in range(0, len(words), length)]
    decoder.finish()
    np.testing.assert_array_equal(rows(EventStream.joined(parts)), rows(whole.feed(words)))


@given(cuts=st.lists(st.integers(0, 4000), max_size=8), name=st.sampled_from(FILES))
@settings(max_examples=25, deadline=None)
def test_a_live_stream_gives_what_the_file_does(goldens: Path, cuts: list[int], name: str) -> None:
    path = goldens / "events" / "raw_formats" / name
    data = path.read_bytes()
    borders = [0, *sorted(cuts), len(data)]
    decoder = LiveDecoder()
    parts = [decoder.feed(data[start:end]) for start, end in itertools.pairwise(borders)]
    parts.append(decoder.finish())
    found = EventStream.joined([part for part in parts if part is not None])
    np.testing.assert_array_equal(rows(found), rows(read_events(path)))


@pytest.mark.parametrize("says", ["legacy", "big", ""])
@pytest.mark.parametrize("recording", ["sparse", "vector", "rollover24"])
def test_halves_of_evt21_words_may_come_in_either_order(
    goldens: Path, tmp_path: Path, recording: str, says: str
) -> None:
    source = goldens / "events" / "raw_formats" / f"{recording}.evt21.raw"
    _, words, (height, width) = body(source)
    turned = np.frombuffer(words, "<u4").reshape(-1, 2)[:, ::-1].tobytes()
    noted = f"endianness={says};" if says else ""
    text = f"% evt 2.1\n% format EVT21;{noted}height={height};width={width}\n% end\n"
    path = tmp_path / "turned.raw"
    path.write_bytes(text.encode() + turned)
    np.testing.assert_array_equal(rows(read_events(path)), rows(read_events(source)))


# Real cameras


@pytest.mark.parametrize(
    ("name", "size", "count", "first", "last", "bright", "sha256"),
    [
        (
            "prophesee/ncars_obj_004397_td.dat", (100, 120), 4407,
            [0, 6, 18, 1], [99937, 48, 47, 1], 1671,
            "2b2a3344fcc1ec358609bd0aa6c0661f59df84764805a0e8b177caa7bff3d097",
        ),
        (
            "prophesee/sparklers_evt2.raw", None, 539481,
            [1317888, 237, 121, 1], [1367888, 210, 142, 1], 367855,
            "f3e69064e27885efc46255267b85056dcb5f71240333c9a114c2ed22f4050957",
        ),
        # The two EVT3 files are listed with the times of a decoder that counts every wrap of the
        # low part twice, see below; these digests are of the times that the words say.
        (
            "prophesee/pedestrians_evt3.raw", None, 5000,
            [5840504, 707, 297, 0], [5885714, 598, 260, 0], 2894,
            "740ae2fc3478",
        ),
        (
            "prophesee/evt3_sample.raw", None, 219596,
            [11718656, 874, 200, 0], [11727457, 1218, 572, 1], 115532,
            "b13f6a8414ea",
        ),
        (
            "davis_sample.aedat4", None, 111954,
            [1605537493718345, 154, 204, 0], [1605537494308262, 88, 237, 1], 55023,
            "e0a2b63e3a31",
        ),
    ],
)  # fmt: skip
def test_real_recordings_decode_to_what_is_known_of_them(
    data_folder: Path,
    name: str,
    size: tuple[int, int] | None,
    count: int,
    first: list[int],
    last: list[int],
    bright: int,
    sha256: str,
) -> None:
    height, width = size or (None, None)
    found = read_events(data_folder / "events" / name, height=height, width=width)
    table = rows(found)
    assert (len(found), int(found.p.sum())) == (count, bright)
    assert (table[0].tolist(), table[-1].tolist()) == (first, last)
    assert digest(found).startswith(sha256)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("pedestrians_evt3", "4abfd5b08a573262ad8aebde1ea98357753c6c3c7d8dd9d09659ec6b6c122788"),
        ("evt3_sample", "d3a83441ef4e7fa264a1c741bb3232e78ff947acd7507ee6b55e7c096b6c049b"),
    ],
)
def test_the_listed_times_of_two_evt3_files_count_each_wrap_of_the_low_part_twice(
    data_folder: Path, name: str, listed: str
) -> None:
    path = data_folder / "events" / "prophesee" / f"{name}.raw"
    data = path.read_bytes()
    header = read_header(data, is_all=True)
    assert header is not None
    words = np.frombuffer(data[header.size :], "<u2").astype(np.int64)
    kind = words >> 12
    # The low part at each word, and how often it has fallen until then.
    is_low = kind == 6
    low = words[is_low] & 0xFFF
    falls = np.concatenate([[0], np.cumsum(np.diff(low, prepend=0) < 0)])
    extra = falls[np.cumsum(is_low)] << 12
    each = np.where(kind == 2, 1, 0)
    for vector, mask in ((4, 0xFFF), (5, 0xFF)):
        bits = np.array([int(word & mask).bit_count() for word in words[kind == vector]], int)
        each[kind == vector] = bits
    seen = np.maximum.accumulate(kind == 8)
    table = rows(read_events(path))
    # Words decide between the two times where the low part falls back by a little: take the
    # decoder's own time as the words say it, high part and low part, and add the falls.
    high = np.where(kind == 8, words & 0xFFF, 0)
    last_high = high[np.maximum.accumulate(np.where(kind == 8, np.arange(len(words)), 0))]
    last_low = np.concatenate([[0], low])[np.cumsum(is_low)]
    table[:, 0] = np.repeat((last_high << 12) + last_low + extra, each * seen)
    assert hashlib.sha256(table.tobytes()).hexdigest() == listed


def test_the_sample_that_ships_is_whole() -> None:
    found = read_events(SAMPLES / "events" / "crossing.raw")
    assert (found.height, found.width) == (96, 128)
    assert len(found) > 1000
    assert 1e6 < found.t[-1] - found.t[0] < 3e6


# Out and in again


@st.composite
def recordings(draw: st.DrawFn, *, latest: int = 60_000_000) -> EventStream:
    """Events of a small sensor, some in rows of one time and polarity as real ones are."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 80))
    now = draw(st.integers(0, latest))
    table: list[tuple[int, int, int, int]] = []
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.sampled_from([0, 1, 50, 4095, 4096, 70_000, 9_000_000, 40_000_000]))
        y, p = draw(st.integers(0, height - 1)), draw(st.integers(0, 1))
        columns = draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=40))
        if draw(st.booleans()):
            columns = sorted(columns)
        table += [(now, x, y, p) for x in columns]
    return stream(np.array(table, np.int64), height, width)


@given(events=recordings(), suffix=st.sampled_from([".raw", ".dat", ".h5", ".csv"]))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, events: EventStream, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("round") / f"recording{suffix}"
    count = write_events(path, [events[:5], events[5:]], height=events.height, width=events.width)
    found = read_events(path)
    assert count == len(events)
    assert (found.height, found.width) == (events.height, events.width)
    np.testing.assert_array_equal(rows(found), rows(events))


def test_pixels_of_a_row_at_one_time_are_written_as_a_vector(tmp_path: Path) -> None:
    x = np.arange(64)
    events = stream(np.stack([0 * x + 7, x, 0 * x + 3, 0 * x + 1], axis=1), 8, 64)
    write_events(tmp_path / "row.raw", [events], height=8, width=64)
    _, words, _ = body(tmp_path / "row.raw")
    kinds = (np.frombuffer(words, "<u2") >> 12).tolist()
    assert kinds == [8, 6, 0, 3, 4, 4, 5, 3, 4, 4, 5]


@pytest.mark.parametrize("events", [1, 100, 10_000])
def test_chunks_have_the_length_asked_for_and_lose_nothing(goldens: Path, events: int) -> None:
    path = goldens / "events" / "raw_formats" / "vector.evt3.raw"
    with open_events(path) as source:
        chunks = list(source.chunks(events))
        again = list(source.chunks(events))
    assert {len(chunk) for chunk in chunks[:-1]} <= {events}
    np.testing.assert_array_equal(rows(EventStream.joined(chunks)), rows(read_events(path)))
    assert len(again) == len(chunks)


def test_a_file_larger_than_memory_is_read_in_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "long.dat"
    part = stream(np.zeros((200_000, 4)), 4, 4)
    write_events(path, (part for _ in range(20)), height=4, width=4)
    tracemalloc.start()
    count = sum(len(chunk) for chunk in open_events(path).chunks(50_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4_000_000
    assert peak < 0.25 * path.stat().st_size


def test_times_that_wrap_go_on(tmp_path: Path) -> None:
    table = [(2**32 - 10, 0, 0, 1), (2**32 + 5, 1, 0, 0), (2**32 + 2**31, 1, 1, 1)]
    events = stream(np.array(table), 2, 2)
    write_events(tmp_path / "long.dat", [events], height=2, width=2)
    np.testing.assert_array_equal(read_events(tmp_path / "long.dat").t, events.t)


def test_wraps_of_evt2_are_undone() -> None:
    high = [(1 << 28) - 1, 0, 1]
    words = [w for h in high for w in ((0x8 << 28) | h, (1 << 28) | (63 << 22) | (1 << 11) | 2)]
    found = Evt2Decoder(4, 4).feed(np.array(words, "<u4").tobytes())
    assert np.diff(found.t).tolist() == [64, 64]


def evt3(*words: int) -> EventStream:
    return Evt3Decoder(4, 40).feed(np.array(words, "<u2").tobytes())


def test_when_the_high_part_of_an_evt3_time_changes_the_low_part_is_zero() -> None:
    found = evt3(0x8001, 0x6005, 0x2001, 0x8001, 0x2002, 0x8002, 0x2003, 0x6007, 0x2004)
    assert found.t.tolist() == [4101, 4101, 8192, 8199]


def test_events_before_the_first_high_part_cannot_be_dated_and_are_dropped() -> None:
    found = evt3(0x6005, 0x0002, 0x2001, 0x3004, 0x4001, 0x8001, 0x4001, 0x2007)
    assert rows(found).tolist() == [[4096, 16, 2, 0], [4096, 7, 2, 0]]


@pytest.mark.parametrize("words", [(0x0004, 0x4001), (0x0000, 0x3021, 0x4080), (0x3028, 0x5001)])
def test_vectors_outside_the_sensor_are_refused(words: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"event 0 .* lies outside the sensor of 4 x 40 pixels"):
        evt3(0x8001, *words)


def test_empty_places_of_a_vector_may_lie_outside_the_sensor() -> None:
    assert evt3(0x8001, 0x3021, 0x4041, 0x5000).x.tolist() == [33, 39]


def test_a_draft_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    good = stream(np.array([(5, 0, 0, 1)]), 2, 2)
    falling = stream(np.array([(1, 0, 0, 1)]), 2, 2)
    (tmp_path / "kept.raw").write_bytes(b"before")
    with pytest.raises(DataError, match="times never fall"):
        write_events(tmp_path / "kept.raw", [good, falling], height=2, width=2)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.raw"]
    assert (tmp_path / "kept.raw").read_bytes() == b"before"


# What cannot be read


def golden_with(goldens: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    path = tmp_path / name
    path.write_bytes(change((goldens / "events" / "raw_formats" / name).read_bytes()))
    return path


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"No recording .*no such file"):
        open_events(tmp_path / "nothing.raw")
    (tmp_path / "a.bag").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"read as \.raw, .*not '\.bag'\. Convert it"):
        open_events(tmp_path / "a.bag")
    with pytest.raises(ArtifactError, match=r"written as .*not '\.npz'\. Change the name"):
        write_events(tmp_path / "a.npz", [], height=1, width=1)


@pytest.mark.parametrize("name", ["a.raw", "a.dat"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        open_events(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "word"), [("sparse.evt2.raw", 4), ("sparse.evt21.raw", 8), ("sparse.dat", 8)]
)
def test_half_a_word_at_the_end_is_named_with_its_place(
    goldens: Path, tmp_path: Path, name: str, word: int
) -> None:
    path = golden_with(goldens, tmp_path, name, lambda data: data[:-3])
    end = path.stat().st_size - (word - 3)
    with pytest.raises(DataError, match=rf"words of {word} bytes, and after byte {end} only"):
        open_events(path)
    path.write_bytes(path.read_bytes()[:end])
    assert len(read_events(path)) == 2999


def test_half_a_word_at_the_end_of_a_live_stream_is_refused(goldens: Path) -> None:
    decoder = LiveDecoder()
    decoder.feed((goldens / "events" / "raw_formats" / "sparse.evt3.raw").read_bytes()[:-1])
    with pytest.raises(DataError, match="words of 2 bytes"):
        decoder.finish()


@pytest.mark.parametrize("name", ["sparse.evt2.raw", "sparse.evt21.raw", "sparse.evt3.raw"])
def test_events_outside_the_sensor_are_named_with_number_and_byte(
    goldens: Path, tmp_path: Path, name: str
) -> None:
    smaller = golden_with(
        goldens, tmp_path, name,
        lambda data: data.replace(b"height=480;width=640", b"height=480;width=600")
        .replace(b"640x480", b"600x480"),
    )  # fmt: skip
    whole = read_events(goldens / "events" / "raw_formats" / name)
    first = int((whole.x >= 600).argmax())
    with pytest.raises(DataError, match=rf"event {first} \(byte \d+\) lies outside the sensor of"):
        read_events(smaller)


def test_a_dat_event_outside_the_sensor_is_named_with_its_pixel(tmp_path: Path) -> None:
    events = stream(np.array([(1, 0, 0, 1), (2, 7, 3, 0)]), 8, 8)
    write_events(tmp_path / "a.dat", [events], height=8, width=8)
    data = (tmp_path / "a.dat").read_bytes().replace(b"Width 8", b"Width 4")
    (tmp_path / "a.dat").write_bytes(data)
    at = len(data) - 8
    with pytest.raises(DataError, match=rf"event 1 \(byte {at}\) lies at x=7, y=3, outside"):
        read_events(tmp_path / "a.dat")


def test_times_of_dat_that_fall_are_refused_or_mended(tmp_path: Path) -> None:
    table = np.array([(50, 0, 0, 1), (40, 1, 0, 1), (60, 1, 1, 0)])
    words = np.stack([table[:, 0], table[:, 1] | table[:, 2] << 14 | table[:, 3] << 28], axis=1)
    path = tmp_path / "a.dat"
    path.write_bytes(b"% Height 2\n% Width 2\n\x0c\x08" + words.astype("<u4").tobytes())
    with pytest.raises(DataError, match=r"event 1 \(byte 31\) is at 40 µs after one at 50 µs"):
        read_events(path)
    assert read_events(path, mend_times=True).t.tolist() == [50, 50, 60]


def test_a_dat_file_without_a_header_has_no_type_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bare.dat"
    path.write_bytes(np.array([(9, 1 | 1 << 14 | 1 << 28)], "<u4").tobytes())
    with pytest.raises(DataError, match="does not say how large its sensor is"):
        open_events(path)
    assert rows(read_events(path, height=2, width=2)).tolist() == [[9, 1, 1, 1]]


def test_a_given_size_that_contradicts_the_file_is_refused(goldens: Path) -> None:
    path = goldens / "events" / "raw_formats" / "sparse.dat"
    with pytest.raises(DataError, match="480 x 640 pixels, and height=240, width=304 were given"):
        open_events(path, height=240, width=304)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"% evt 4.0\n% end\n", "of EVT 2.0, 2.1 or 3.0, and its header says '4.0'"),
        (b"% Date today\n% end\n", r"header keys date\. Name it \.dat"),
        (b"% evt 3.0\n% geometry 8x8\n% end\n\x00\x00\x01\x20", "none is among its 2 words"),
        (b"% evt 3.0\n% end\n\x00\x00", "does not say how large its sensor is"),
        (b"\x89PNG....", "header keys none"),
        (b"% " + b"x" * 70_000, "has not ended after 65536 bytes"),
    ],
)
def test_a_wrong_header_says_what_was_found(tmp_path: Path, header: bytes, message: str) -> None:
    (tmp_path / "a.raw").write_bytes(header)
    with pytest.raises(DataError, match=message):
        read_events(tmp_path / "a.raw")


def test_a_dat_file_of_other_events_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"% Height 2\n% Width 2\n\x28\x10")
    with pytest.raises(DataError, match="byte 21 says type 40 of 16 bytes"):
        open_events(tmp_path / "a.dat")


def test_times_that_a_format_cannot_say_are_refused_with_the_remedy(tmp_path: Path) -> None:
    late = stream(np.array([(1_605_537_493_718_345, 0, 0, 1)]), 2, 2)
    for name in ("a.raw", "a.dat"):
        with pytest.raises(DataError, match="from_zero=true"):
            write_events(tmp_path / name, [late], height=2, width=2)
    write_events(tmp_path / "a.h5", [late], height=2, width=2)
    assert read_events(tmp_path / "a.h5").t[0] == late.t[0]
