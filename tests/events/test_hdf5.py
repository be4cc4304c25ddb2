"""Event HDF5 in the layouts that are found."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from fovea.errors import ArtifactError, BackendError, DataError
from fovea.events.formats import hdf5
from fovea.events.formats.door import open_events, read_events
from fovea.events.stream import EventStream

COUNT = 100


def columns(*, falling: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 10_000, COUNT))
    if falling:
        t[[10, 60]] = 5
    return {
        "t": t, "x": rng.integers(0, 30, COUNT), "y": rng.integers(0, 20, COUNT),
        "p": rng.integers(0, 2, COUNT),
    }  # fmt: skip


def write_group(path: Path, made: dict[str, np.ndarray], place: str = "events", **how: Any) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group(place)
        for name, column in made.items():
            group.create_dataset(name, data=column, **how)
        group["height"], group["width"] = 20, 30


def write_compound(path: Path, made: dict[str, np.ndarray], place: str = "events") -> None:
    kinds = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
    table = np.empty(COUNT, kinds)
    for name in table.dtype.names or ():
        table[name] = made[name]
    with h5py.File(path, "w") as file:
        file.create_dataset(place, data=table)
        file.attrs["geometry"] = "30x20"


def assert_same(found: EventStream, made: dict[str, np.ndarray]) -> None:
    assert (found.height, found.width) == (20, 30)
    for name, column in made.items():
        np.testing.assert_array_equal(getattr(found, name), column)


@pytest.mark.parametrize("place", ["events", "CD/events"])
@pytest.mark.parametrize("write", [write_group, write_compound])
def test_columns_and_compounds_are_read(tmp_path: Path, write: Any, place: str) -> None:
    made = columns()
    write(tmp_path / "a.h5", made, place)
    size = {"height": 20, "width": 30} if write is write_group and place != "events" else {}
    assert_same(read_events(tmp_path / "a.h5", **size), made)


def test_polarity_minus_one_is_darker(tmp_path: Path) -> None:
    made = columns()
    write_group(tmp_path / "a.h5", made | {"p": made["p"] * 2 - 1})
    assert_same(read_events(tmp_path / "a.h5"), made)


def test_times_that_fall_become_the_latest_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", 7)  # so that a block begins with a time that fell
    made = columns(falling=True)
    write_group(tmp_path / "a.h5", made)
    found = read_events(tmp_path / "a.h5")
    assert_same(found, made | {"t": np.maximum.accumulate(made["t"])})


def test_the_running_maximum_is_that_of_the_reference(goldens: Path, tmp_path: Path) -> None:
    golden = np.load(goldens / "events" / "stacked_histogram.npz")
    count = len(golden["correct_time_in"])
    made = {name: np.zeros(count, int) for name in "xyp"} | {"t": golden["correct_time_in"]}
    write_group(tmp_path / "a.h5", made)
    found = read_events(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.t, golden["correct_time_out"])


@pytest.mark.parametrize(
    "how", [hdf5plugin.Blosc(cname="zstd"), hdf5plugin.Zstd(), {"compression": "gzip"}]
)
def test_usual_compressions_are_read(tmp_path: Path, how: Any) -> None:
    made = columns()
    write_group(tmp_path / "a.h5", made, chunks=(32,), **how)
    assert_same(read_events(tmp_path / "a.h5"), made)


def test_the_raw_recordings_of_the_reference_are_read(goldens: Path) -> None:
    for path in sorted((goldens / "events").glob("micro_gen*_raw/**/*.h5")):
        found = read_events(path)
        assert len(found) > 0, path
        assert (np.diff(found.t) >= 0).all()


def test_a_missing_filter_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_group(path, columns())
    with h5py.File(path, "a") as file:
        group: Any = file["events"]
        del group["x"]
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((COUNT,))
        made.set_filter(36559, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((COUNT,))
        column = h5py.h5d.create(group.id, b"x", h5py.h5t.NATIVE_UINT16, space, made)
        column.write_direct_chunk((0,), b"\0" * 2 * COUNT, 0)
    with pytest.raises(BackendError, match=r"'x' is compressed by HDF5 filter 36559 \(ECF.*export"):
        read_events(path)


def test_a_missing_blosc_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    write_group(path, columns(), chunks=(COUNT,), **hdf5plugin.Blosc())
    with h5py.File(path) as file:
        column: Any = file["events/x"]
        monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: False)
        error = hdf5._unreadable(path, "x", 0, column, OSError("no filter"))
    assert isinstance(error, BackendError)
    assert 'filter 32001 (Blosc), which is not installed. Run: pip install "fovea' in str(error)


def test_a_damaged_column_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_group(path, columns(), chunks=(COUNT,), compression="gzip")
    with h5py.File(path, "a") as file:
        column: Any = file["events/x"]
        column.id.write_direct_chunk((0,), b"no zlib data", 0)
    with pytest.raises(DataError, match="column 'x' cannot be read from event 0 on"):
        read_events(path)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not this")
    with pytest.raises(ArtifactError, match="an HDF5 file was wanted"):
        open_events(tmp_path / "a.h5")


def test_other_contents_are_listed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(DataError, match="the file holds data"):
        open_events(tmp_path / "a.h5")


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    made = columns()
    write_group(tmp_path / "a.h5", made | {"p": made["p"][:-1]})
    with pytest.raises(DataError, match=r"x 100, y 100, p 99"):
        open_events(tmp_path / "a.h5")
