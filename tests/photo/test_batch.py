"""The photographs of a folder and their names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.photo.batch import Outcome, distinct_names, photographs_in


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(folder: Path, *, recursive: bool = False) -> list[str]:
    found = photographs_in(folder, recursive=recursive)
    return [path.relative_to(folder).as_posix() for path in found]


def test_a_suffix_counts_in_any_case_and_other_files_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "a.Jpg", "b.PNG", "c.hEiC", "notes.txt", ".hidden.jpg", "thumbs.db", "d.svg")
    assert listed(tmp_path) == ["a.Jpg", "b.PNG", "c.hEiC", "d.svg"]


def test_folders_inside_count_when_asked(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "day1/b.jpg", "day1/deep.jpg/c.jpg", ".trash/d.jpg")
    assert listed(tmp_path) == ["a.jpg"]
    assert listed(tmp_path, recursive=True) == ["a.jpg", "day1/b.jpg", "day1/deep.jpg/c.jpg"]
    assert listed(tmp_path / "day1") == ["b.jpg", "deep.jpg"]


def test_a_raw_file_counts_only_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "A.NEF", "b.nef")
    assert listed(tmp_path) == ["a.jpg", "b.nef"]


def test_a_folder_without_photographs_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, "inside/a.jpg", "notes.txt")
    with pytest.raises(DataError, match=r"holds: inside/, notes\.txt\. .*recursive=true"):
        photographs_in(tmp_path)


def test_equal_stems_take_in_what_tells_them_apart() -> None:
    files = ["a.jpg", "b.jpg", "b.png", "day1/c.jpg", "day2/C.jpg", "x/y.jpg", "x-y.jpg"]
    assert distinct_names(files) == {
        "a.jpg": "a",
        "b.jpg": "b-jpg",
        "b.png": "b-png",
        "day1/c.jpg": "day1-c",
        "day2/C.jpg": "day2-C",
        "x/y.jpg": "y",
        "x-y.jpg": "x-y",
    }


def test_a_longer_name_does_not_take_that_of_another_file() -> None:
    names = distinct_names(["x/y.jpg", "z/y.jpg", "x-y.jpg"])
    assert names == {"x/y.jpg": "x-y-jpg", "z/y.jpg": "z-y", "x-y.jpg": "x-y"}


part = st.text("aB-.", min_size=1, max_size=3).filter(lambda text: text.strip("."))
paths = st.lists(part, min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".jpg")


@given(files=st.lists(paths, unique=True, max_size=12))
def test_no_two_files_ever_have_one_name(files: list[str]) -> None:
    names = distinct_names(files)
    assert list(names) == files
    assert len({name.casefold() for name in names.values()}) == len(files)


def test_an_outcome_is_kept_whole(tmp_path: Path) -> None:
    kept = Outcome("day1/a.jpg", "a", width=4, height=3, focal_px=5.0, notes=("odd",))
    kept.write(tmp_path / "1.json")
    assert Outcome.read(tmp_path / "1.json") == kept
    assert Outcome.read(tmp_path / "2.json") is None
