"""Recordings as text, as archives of NumPy and as AEDAT 4."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ArtifactError, BackendError, DataError
from fovea.events.formats import csv
from fovea.events.formats.door import open_events, read_events

WANTED = [[1000, 5, 2, 1], [1500, 6, 3, 0], [20_250, 7, 4, 1]]
SIZE = {"height": 10, "width": 20}


def table(path: Path, **options: Any) -> list[list[int]]:
    found = read_events(path, **options)
    columns = (found.t, found.x, found.y, found.p)
    return np.stack([column.astype(int) for column in columns], axis=1).tolist()


def lines(order: str, separator: str, to: float = 1, decimals: int = 0) -> str:
    """The wanted events with their columns in some order."""
    made = ""
    for t, x, y, p in WANTED:
        words = {"t": f"{t / to:.{decimals}f}", "x": str(x), "y": str(y), "p": str(p)}
        made += separator.join(words[name] for name in order) + "\n"
    return made


@given(
    order=st.permutations("txyp"),
    separator=st.sampled_from([",", ", ", ";", " ", "\t"]),
    names=st.sampled_from(
        [
            {"t": "t", "x": "x", "y": "y", "p": "p"},
            {"t": "timestamp_us", "x": "x", "y": "y", "p": "polarity"},
            {"t": "Time[us]", "x": "X", "y": "Y", "p": "pol"},
        ]
    ),
)
@settings(max_examples=25, deadline=None)
def test_the_header_says_where_the_columns_stand(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[str],
    separator: str,
    names: dict[str, str],
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    header = separator.join(names[name] for name in order)
    path.write_text(f"{header}\n{lines(''.join(order), separator)}")
    assert table(path, **SIZE) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        lines("txyp", " "),
        lines("xypt", ","),
        lines("txyp", " ", to=1e6, decimals=6),
        "20 10\n" + lines("txyp", " ", to=1e6, decimals=9),
        "# x y p t\n" + lines("xypt", " "),
        "t_s,x,y,p\n" + lines("txyp", ",", to=1e6, decimals=6),
        "t[ms] x y p\n" + lines("txyp", " ", to=1e3, decimals=3),
        "x,y,p,t_ns\n" + lines("xypt", ",", to=1e-3),
    ],
)
def test_order_and_unit_are_told_from_the_numbers_or_the_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert table(tmp_path / "a.txt", **SIZE) == WANTED


def test_the_sensor_may_stand_in_a_comment_or_in_the_first_line(tmp_path: Path) -> None:
    for text in ("# height=10 width=20\n", "% width: 20, height: 10\n", "20 10\n"):
        (tmp_path / "a.txt").write_text(text + lines("txyp", " "))
        source = open_events(tmp_path / "a.txt")
        assert (source.height, source.width) == (10, 20)
    (tmp_path / "a.txt").write_text(lines("txyp", " "))
    with pytest.raises(DataError, match="does not say how large its sensor is"):
        open_events(tmp_path / "a.txt")


def test_blocks_of_lines_are_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n" + lines("txyp", ","))
    monkeypatch.setattr(csv, "BLOCK_LINES", 1)
    assert table(tmp_path / "a.csv", **SIZE) == WANTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x,y,p\n1,2,3,1\n2,x,3,1\n", r"a\.csv line 3: .*this line is '2,x,3,1'\. Mend"),
        ("t,x,y,p\n1,2,3,1\n2,3,1\n", r"a\.csv line 3: an event is four numbers"),
        ("1,2,3\n", r"a\.csv line 1: .*here are 3: '1,2,3'"),
        ("t,x,y\n1,2,3\n", r"line 1: .*'t x y' has no column for p\. Call it one of p, pol"),
        ("t,x,y,p\n1,2,30,1\n", r"event 0 \(event 1\) lies at x=2\.0, y=30\.0, outside"),
        ("t,x,y,p\n9,2,3,1\n8,2,3,1\n", r"event 1 .* is at 8 µs after one at 9 µs.*mend_times"),
    ],
)
def test_lines_that_are_no_events_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_events(tmp_path / "a.csv", **SIZE)


def test_a_time_that_falls_from_block_to_block_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n9,2,3,1\n8,2,3,1\n")
    monkeypatch.setattr(csv, "BLOCK_LINES", 1)
    with pytest.raises(DataError, match="is at 8 µs after one at 9 µs"):
        read_events(tmp_path / "a.csv", **SIZE)


def test_times_of_text_that_fall_can_be_mended(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n9,2,3,1\n8,2,3,1\n")
    assert table(tmp_path / "a.csv", mend_times=True, **SIZE) == [[9, 2, 3, 1]] * 2


def test_a_text_without_events_is_an_empty_recording(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n")
    assert len(read_events(tmp_path / "a.csv", **SIZE)) == 0


def test_an_archive_of_columns_is_read(tmp_path: Path) -> None:
    t, x, y, p = np.array(WANTED).T
    np.savez(tmp_path / "a.npz", t=t, x=x, y=y, p=p * 2 - 1, **SIZE)
    assert table(tmp_path / "a.npz") == WANTED


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t": [1], "x": [1], "y": [1]}, "p is missing; there are t, x, y"),
        ({"t": [1], "x": [1], "y": [1], "p": [1, 0]}, "have 1, 1, 1, 2 rows"),
    ],
)
def test_an_archive_without_the_four_columns_is_refused(
    tmp_path: Path, columns: dict[str, list[int]], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.array(column) for name, column in columns.items()})
    with pytest.raises(DataError, match=message):
        read_events(tmp_path / "a.npz", **SIZE)


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.npz", "an archive of NumPy was wanted"), ("a.aedat4", "an AEDAT 4 file was wanted")],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"something else entirely")
    with pytest.raises(ArtifactError, match=message):
        open_events(tmp_path / name)


def test_a_cut_off_aedat4_file_says_how_far_it_could_be_read(
    data_folder: Path, tmp_path: Path
) -> None:
    data = (data_folder / "events" / "davis_sample.aedat4").read_bytes()
    (tmp_path / "a.aedat4").write_bytes(data[: len(data) // 2])
    with pytest.raises((DataError, ArtifactError), match=r"a\.aedat4.*: .*"):
        read_events(tmp_path / "a.aedat4")


def test_without_its_decoder_aedat4_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "aedat":
            raise ImportError(name)
        return found(name, *rest, **named)

    (tmp_path / "a.aedat4").write_bytes(b"x")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BackendError, match=r"pip install \"fovea-vision\[events\]\""):
        open_events(tmp_path / "a.aedat4")
