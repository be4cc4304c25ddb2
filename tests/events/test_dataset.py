"""Data sets on disk are the reference's, file for file; what is damaged is refused by name."""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from fovea.errors import BackendError, DataError
from fovea.events.boxes import BOX_DTYPE, read_boxes
from fovea.events.dataset import (
    DatasetWriter,
    EventSet,
    Recording,
    hdf5,
    link_splits,
    write_recording,
)
from fovea.events.dataset.layout import SPLITS
from fovea.events.formats.door import open_events
from fovea.events.sensor import GEN1, Sensor
from fovea.events.stream import EventStream

MICRO = ("micro_gen1", "micro_gen4")
SMALL = Sensor("small", 48, 64, ("car", "pedestrian"))


def content(path: Path) -> dict[str, tuple[object, ...]]:
    """All arrays of a file, with whatever else tells two files apart."""
    if path.suffix == ".npy":
        array = np.load(path)
        return {"": (array.dtype, array.shape, array.tobytes())}
    if path.suffix == ".npz":
        return {name: (a.dtype, a.shape, a.tobytes()) for name, a in np.load(path).items()}
    with h5py.File(path) as file:
        found = {}
        for name, data in file.items():
            stored = (data.shape, data.maxshape, data.chunks, data.dtype, data.fillvalue)
            found[name] = (*stored, data._filters, dict(data.attrs), data[:].tobytes())
        return found


def files(folder: Path) -> list[Path]:
    inside = (path for split in SPLITS for path in (folder / split).rglob("*"))
    return sorted(path.relative_to(folder) for path in inside if path.is_file())


def one_box(*times_us: int) -> np.ndarray:
    boxes = np.zeros(len(times_us), BOX_DTYPE)
    boxes["t"], boxes["x"], boxes["y"], boxes["w"], boxes["h"] = times_us, 5, 5, 30, 30
    boxes["class_confidence"] = 1
    return boxes


def some_events(seconds: float = 0.5, *, height: int = 48, width: int = 64) -> EventStream:
    rng = np.random.default_rng(0)
    count = int(2000 * seconds)
    return EventStream(
        np.sort(rng.integers(0, int(1e6 * seconds), count)),
        rng.integers(0, width, count).astype(np.uint16),
        rng.integers(0, height, count).astype(np.uint16),
        rng.integers(0, 2, count).astype(np.uint8),
        height,
        width,
    )


@pytest.fixture
def copied(goldens: Path, tmp_path: Path, micro_sets: dict[str, EventSet]) -> EventSet:
    """The reference's gen1 set, to be damaged."""
    shutil.copytree(goldens / "events" / "micro_gen1", tmp_path / "set")
    return EventSet(tmp_path / "set", micro_sets["micro_gen1"].sensor)


@pytest.fixture
def recording(copied: EventSet) -> Recording:
    return copied.split("train")[0]


# Written


@pytest.mark.parametrize("name", MICRO)
@pytest.mark.parametrize("chunk", [977, 1_000_000])
def test_every_file_is_that_of_the_reference(
    goldens: Path, tmp_path: Path, micro_sets: dict[str, EventSet], name: str, chunk: int
) -> None:
    writer = DatasetWriter(tmp_path, micro_sets[name].sensor)
    for boxes in sorted((goldens / "events" / f"{name}_raw").rglob("*_bbox.npy")):
        recording = boxes.name.removesuffix("_bbox.npy")
        (events,) = boxes.parent.glob(f"{recording}_td*.h5")
        with open_events(events) as source:
            chunks = source.chunks(chunk)
            writer.add(boxes.parent.name, recording, chunks, read_boxes(boxes))
    theirs = goldens / "events" / name
    assert files(tmp_path) == files(theirs) != []
    for path in files(theirs):
        assert content(tmp_path / path) == content(theirs / path), path
    assert EventSet.open(tmp_path).sensor == micro_sets[name].sensor


def test_a_recording_without_a_box_that_is_kept_is_left_out(tmp_path: Path) -> None:
    boxes = one_box(100_000)
    boxes["w"] = 5
    writer = DatasetWriter(tmp_path, dataclasses.replace(GEN1, height=48, width=64))
    assert writer.add("train", "small", [some_events()], boxes).boxes == 0
    assert not (tmp_path / "train").exists()


def test_a_finished_recording_is_not_written_again(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, SMALL)
    first = writer.add("train", "a", [some_events()], one_box(100_000, 200_000))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.h5")}
    again = writer.add("train", "a", never(), one_box(100_000, 200_000))
    assert again == dataclasses.replace(first, was_there=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.h5")} == before


def never() -> Iterator[EventStream]:
    raise AssertionError("the events are not needed")
    yield


def test_events_that_break_off_leave_nothing_behind(tmp_path: Path) -> None:
    def breaking() -> Iterator[EventStream]:
        events = some_events()
        yield events[:200]
        assert list((tmp_path / "train").rglob("*_in_progress.h5")), "it is being written"
        yield events[100:]

    writer = DatasetWriter(tmp_path, SMALL)
    with pytest.raises(DataError, match="train/a: times may not fall"):
        writer.add("train", "a", breaking(), one_box(100_000, 400_000))
    assert files(tmp_path) == []
    assert list((tmp_path / "train").iterdir()) == []


def test_a_kill_in_the_middle_leaves_no_recording_and_the_next_attempt_makes_it_whole(
    tmp_path: Path,
) -> None:
    def kill() -> Iterator[EventStream]:
        yield some_events()[:200]
        os._exit(9)

    process = multiprocessing.get_context("fork").Process(
        target=lambda: DatasetWriter(tmp_path, SMALL).add(
            "train", "a", kill(), one_box(100_000, 400_000)
        )
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    assert list((tmp_path / "train").rglob("*_in_progress.h5")), "it was killed in the middle"
    with pytest.raises(DataError, match="holds no recording"):
        EventSet.open(tmp_path).split("train")
    DatasetWriter(tmp_path, SMALL).add("train", "a", [some_events()], one_box(100_000, 400_000))
    DatasetWriter(tmp_path / "b", SMALL).add(
        "train", "a", [some_events()], one_box(100_000, 400_000)
    )
    assert files(tmp_path) == files(tmp_path / "b")
    for path in files(tmp_path):
        assert (tmp_path / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_wrong_class_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    boxes = one_box(100_000)
    boxes["class_id"] = 2
    with pytest.raises(DataError, match="train/a: box 0 is of class 2"):
        DatasetWriter(tmp_path, SMALL).add("train", "a", never(), boxes)
    assert not (tmp_path / "train").exists()


def test_recordings_of_two_sensors_do_not_mix(tmp_path: Path) -> None:
    DatasetWriter(tmp_path, SMALL)
    with pytest.raises(DataError, match=r"data set of the sensor small, 48 x 64.*another folder"):
        DatasetWriter(tmp_path, GEN1)


# Read


def test_a_published_set_needs_its_sensor_said(goldens: Path) -> None:
    root = goldens / "events" / "micro_gen1"
    with pytest.raises(DataError, match=r"does not say which sensor.*sensor=NAME, one of gen1"):
        EventSet.open(root)
    recording = EventSet.open(root, "gen1").split("train")[0]
    with pytest.raises(DataError, match=r"48 x 64 pixels.* sensor gen1 are 240 x 304"):
        _ = recording.n_histograms


def test_the_folder_of_a_split_opens_the_data_set_around_it(copied: EventSet) -> None:
    copied.sensor.write(copied.root)
    found = EventSet.open(copied.root / "train")
    assert found == EventSet.open(copied.root)
    assert [r.name for r in found.split("train")] == [r.name for r in copied.split("train")]


def test_what_is_no_data_set_is_refused_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"none of the folders train, val, test. Found: images"):
        EventSet.open(tmp_path)


def test_histograms_can_be_read_from_many_threads_and_processes(
    micro_sets: dict[str, EventSet],
) -> None:
    recording = micro_sets["micro_gen1"].split("train")[0]
    wanted = [int(recording.read(n, n + 1).sum()) for n in range(recording.n_histograms)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        places = [n % len(wanted) for n in range(200)]
        found = list(pool.map(lambda n: int(recording.read(n, n + 1).sum()), places))
    assert found == [wanted[n] for n in places]
    assert pickle.loads(pickle.dumps(recording)).read(0, 2).sum() == sum(wanted[:2])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(recording_sum, (recording,)) == sum(wanted)


def recording_sum(recording: Recording) -> int:
    assert not hdf5._shelf.open, "files of the parent process are its own"
    return int(recording.read(0, recording.n_histograms).sum())


def test_more_files_than_may_stay_open_can_be_read(
    tmp_path: Path, micro_sets: dict[str, EventSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovea.events.dataset.hdf5.MOST_OPEN", 2)
    recordings = [
        r for name in MICRO for split in ("train",) for r in micro_sets[name].split(split)
    ]
    for _ in range(2):
        for recording in recordings:
            assert recording.read(0, 1).shape[0] == 1


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    for seconds, count in ((0.5, 4), (0.7, 8)):
        shutil.rmtree(tmp_path / "train", ignore_errors=True)
        times = (100_000, 300_000) if count == 4 else (100_000, 500_000)
        DatasetWriter(tmp_path, SMALL).add("train", "a", [some_events(seconds)], one_box(*times))
        assert EventSet.open(tmp_path).split("train")[0].n_histograms == len(
            np.load(next(tmp_path.rglob("stacked*/timestamps_us.npy")))
        )


# Pseudo sets


def test_a_set_of_other_labels_links_the_histograms_and_the_other_splits(
    copied: EventSet, tmp_path: Path
) -> None:
    source = copied.split("train")[0]
    root = tmp_path / "pseudo"
    copied.sensor.write(root.parent)
    write_recording(
        root / "train" / source.name,
        labels=source.labels[:1],
        objframe_to_label=np.array([0]),
        objframe_to_histogram=source.objframe_to_histogram[:1],
        source=source,
    )
    link_splits(root, copied)
    copied.sensor.write(copied.root)
    found = EventSet.open(root / "train")
    assert found.sensor == copied.sensor, "known from where its splits lead"
    made = found.split("train")[0]
    assert made.histogram_file.is_symlink()
    assert np.array_equal(made.read(0, 3), source.read(0, 3))
    assert (made.times_us, made.label_times_us) == (None, None)
    assert made.clock_us.tolist() == source.times_us.tolist()
    assert len(made.labels_at(0)) == 1
    assert [r.name for r in found.split("val")] == [r.name for r in copied.split("val")]


def test_a_link_to_nothing_is_said(copied: EventSet, tmp_path: Path) -> None:
    (copied.root / "val").rename(tmp_path / "gone")
    (copied.root / "val").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no split 'val', a link to nothing at .*nowhere"):
        copied.split("val")
    file = copied.split("train")[0].histogram_file
    file.unlink()
    file.symlink_to(tmp_path / "nowhere.h5")
    with pytest.raises(DataError, match=r"does not exist; it is a link to .*nowhere.h5"):
        copied.split("train")[0].read(0, 1)


# Damaged


def test_a_truncated_histogram_file_is_refused(recording: Recording) -> None:
    file = recording.histogram_file
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"representations.h5 cannot be read as HDF5.*cut short"):
        recording.read(0, 1)


def test_a_histogram_that_cannot_be_unpacked_is_refused_with_its_number(
    recording: Recording,
) -> None:
    file = recording.histogram_file
    with h5py.File(file) as opened:
        place = opened["data"].id.get_chunk_info(3)
    data = bytearray(file.read_bytes())
    data[place.byte_offset + 16 : place.byte_offset + place.size] = bytes(place.size - 16)
    file.write_bytes(data)
    with pytest.raises(DataError, match="histograms 3 to 3 cannot be read"):
        recording.read(3, 4)


def test_a_missing_filter_is_said_with_what_to_install(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: number != 32001)
    with pytest.raises(BackendError, match=r"Blosc \(HDF5 filter 32001\).*fovea-vision\[events\]"):
        recording.read(0, 1)


def test_a_file_of_something_else_is_refused(recording: Recording) -> None:
    with h5py.File(recording.histogram_file, "w") as file:
        file["data"] = np.zeros((3, 4))
    with pytest.raises(DataError, match=r"should hold 'data', uint8.*float64 \(3, 4\)"):
        recording.read(0, 1)


def test_histograms_beyond_the_last_are_refused(recording: Recording) -> None:
    with pytest.raises(DataError, match="histograms 0 to 19, and 19 to 20 are asked for"):
        recording.read(19, 21)


@pytest.mark.parametrize("name", ["labels", "objframe_to_histogram"])
def test_a_missing_index_file_is_named(recording: Recording, name: str) -> None:
    getattr(recording.layout, name).unlink()
    with pytest.raises(DataError, match=r"np[yz] is missing. Preprocess this recording again"):
        getattr(recording, name)


def test_labels_that_do_not_match_their_frames_are_refused(recording: Recording) -> None:
    places = recording.layout.objframe_to_histogram
    np.save(places, np.load(places)[:-1])
    with pytest.raises(DataError, match=r"has 7 objframes, and .*labels.npz has 8"):
        _ = recording.objframe_to_histogram


def test_an_index_that_falls_is_refused_with_its_entry(recording: Recording) -> None:
    places = np.load(recording.layout.objframe_to_histogram)
    places[2] = 0
    np.save(recording.layout.objframe_to_histogram, places)
    with pytest.raises(DataError, match="entry 2 is 0 after 5"):
        _ = recording.objframe_to_histogram


def test_labels_of_fewer_boxes_than_the_index_says_are_refused(recording: Recording) -> None:
    first = recording.objframe_to_label
    path = recording.layout.labels
    np.savez(path, labels=recording.labels[:10], objframe_idx_2_label_idx=first)
    with pytest.raises(DataError, match=r"8 objframes are 0 to 15, .* its 10 boxes"):
        _ = Recording(recording.folder, recording.sensor).labels


def test_boxes_outside_the_frame_are_refused_with_the_file(recording: Recording) -> None:
    boxes = recording.labels.copy()
    boxes["x"][4] = 300
    first = recording.objframe_to_label
    np.savez(recording.layout.labels, labels=boxes, objframe_idx_2_label_idx=first)
    with pytest.raises(DataError, match=r"labels.npz: box 4 spans \[300"):
        Recording(recording.folder, recording.sensor).labels_at(0)
