"""Recordings with boxes beside them become a data set, also when they have to be cut up."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError, StoppedError
from fovea.events.boxes import BOX_DTYPE, read_boxes
from fovea.events.cadence import Cadence
from fovea.events.dataset import EventSet
from fovea.events.dataset.cuts import LEAD_US, divided_by_name, divided_in_time
from fovea.events.dataset.layout import SPLITS
from fovea.events.dataset.sources import NO_BOXES, find_sources, recording_name
from fovea.events.preprocess import preprocess
from fovea.events.settings.preprocess import PreprocessConfig
from fovea.events.stages import PREPROCESS
from fovea.runs.stage import Context

PARTS = {"train": 0.6, "val": 0.2, "test": 0.2}
GEN1 = {"sensor": "gen1", "camera": {"height": 48, "width": 64}}


def made(folder: Path, recordings: Path, **settings) -> tuple[EventSet, dict[str, float]]:
    config = PreprocessConfig(recordings=recordings, **settings)
    context = Context.local(PREPROCESS, config, folder)
    scores = preprocess(config, context)
    return EventSet.open(context.output("dataset")), scores


@pytest.fixture
def raw(goldens: Path, tmp_path: Path) -> Path:
    """The reference's recordings, to be changed."""
    return shutil.copytree(goldens / "events" / "micro_gen1_raw", tmp_path / "raw")


def test_the_reference_recordings_become_the_reference_set(goldens: Path, tmp_path: Path) -> None:
    found, scores = made(tmp_path, goldens / "events" / "micro_gen1_raw", **GEN1)
    theirs = json.loads((goldens / "events" / "micro_gen1.json").read_text())["sequences"]
    assert scores["recordings"] == len(theirs)
    assert scores["boxes"] == sum(len(one["labels"]) for one in theirs.values())
    for name, one in theirs.items():
        split, _, recording = name.partition("/")
        ours = next(r for r in found.split(split) if r.name == recording)
        sums = [int(ours.read(n, n + 1).sum()) for n in range(ours.n_histograms)]
        assert sums == one["per_frame_sum"]
        assert ours.times_us.tolist() == one["repr_timestamps_us"]


def test_a_recording_is_the_same_from_another_format(raw: Path, tmp_path: Path) -> None:
    from_hdf5, _ = made(tmp_path / "a", raw, **GEN1)
    for path in raw.rglob("*.h5"):
        path.unlink()
    from_dat, _ = made(tmp_path / "b", raw, **GEN1)
    for split in SPLITS:
        for one, other in zip(from_hdf5.split(split), from_dat.split(split), strict=True):
            assert one.name == other.name
            assert np.array_equal(one.read(0, one.n_histograms), other.read(0, one.n_histograms))


def test_names_lose_their_endings_and_only_these() -> None:
    assert recording_name(Path("a_td.dat.h5")) == "a"
    assert recording_name(Path("moorea_td_000_td.h5")) == "moorea_td_000"
    assert recording_name(Path("b.1.raw")) == "b.1"


def test_boxes_may_be_coco_or_yolo(raw: Path, tmp_path: Path) -> None:
    plain, _ = made(tmp_path / "a", raw, **GEN1)
    first, second = sorted((raw / "train").glob("*_bbox.npy"))
    coco_of(first).rename(first.with_name(first.name.replace("_bbox.npy", ".json")))
    yolo_of(second)
    first.unlink()
    second.unlink()
    found, _ = made(tmp_path / "b", raw, **GEN1)
    for one, other in zip(plain.split("train"), found.split("train"), strict=True):
        for name in ("t", "class_id"):
            assert one.labels[name].tolist() == other.labels[name].tolist()
        for name in ("x", "y", "w", "h"):
            assert np.allclose(one.labels[name], other.labels[name], atol=1e-4)


def coco_of(boxes: Path) -> Path:
    """As another program might write it: images without a time but in their names."""
    rows = read_boxes(boxes)
    document = {
        "images": [
            {"id": int(t), "file_name": f"frame_{t}.png", "height": 48, "width": 64}
            for t in np.unique(rows["t"])
        ],
        "annotations": [
            {"id": n, "image_id": int(row["t"]), "category_id": 70 + int(row["class_id"]),
             "bbox": [float(row[name]) for name in ("x", "y", "w", "h")]}
            for n, row in enumerate(rows)
        ],
        "categories": [{"id": 70, "name": "Car"}, {"id": 71, "name": "pedestrian"}],
    }  # fmt: skip
    path = boxes.with_suffix(".coco")
    path.write_text(json.dumps(document))
    return path


def yolo_of(boxes: Path) -> None:
    folder = boxes.with_name(boxes.name.removesuffix("_bbox.npy"))
    folder.mkdir()
    rows = read_boxes(boxes)
    for t in np.unique(rows["t"]):
        lines = [
            f"{row['class_id']} {(row['x'] + row['w'] / 2) / 64} {(row['y'] + row['h'] / 2) / 48}"
            f" {row['w'] / 64} {row['h'] / 48}"
            for row in rows[rows["t"] == t]
        ]
        (folder / f"{t}.txt").write_text("\n".join(lines))


def test_another_camera_takes_its_size_from_the_recordings_and_its_classes_from_you(
    raw: Path, tmp_path: Path
) -> None:
    found, _ = made(tmp_path, raw, camera={"classes": ("car", "person"), "halved": True})
    assert (found.sensor.height, found.sensor.width) == (48, 64)
    assert found.sensor.classes == ("car", "person")
    assert found.split("train")[0].read(0, 1).shape[2:] == (24, 32)
    with pytest.raises(DataError, match=r"what the classes .* camera.classes=car,bicycle"):
        made(tmp_path / "b", raw)


def test_rules_can_be_turned_one_by_one(raw: Path, tmp_path: Path) -> None:
    rules = {"min_diagonal_px": 0, "step_ms": 125}
    found, _ = made(tmp_path, raw, **GEN1, rules=rules)
    assert found.sensor.rules.min_diagonal_px == 0
    assert found.sensor.rules.min_side_px == 10
    assert found.sensor.rules.step_us == 125_000
    with pytest.raises(DataError, match=r"no box of .* passes the filters.*min_side_px=1000"):
        made(tmp_path / "b", raw, **GEN1, rules={"min_side_px": 1000})


def test_a_dense_set_says_its_period_for_those_who_read_streams_like_it(
    raw: Path, tmp_path: Path
) -> None:
    found, _ = made(tmp_path, raw, **GEN1, cadence="dense")
    assert Cadence.of(found.sensor).period_us == 50_000
    gaps = np.concatenate([np.diff(r.times_us) for r in found.split("train")])
    assert np.median(gaps) == pytest.approx(50_000, rel=0.01)
    assert Cadence.of(made(tmp_path / "b", raw, **GEN1)[0].sensor).period_us == 125_000


def test_the_recordings_known_to_keep_no_box_are_passed_over(raw: Path, tmp_path: Path) -> None:
    known = sorted(NO_BOXES)[0]
    (boxes,) = (raw / "val").glob("*_bbox.npy")
    for path in sorted((raw / "val").iterdir()):
        path.rename(path.with_name(path.name.replace(boxes.name[: -len("_bbox.npy")], known)))
    found, scores = made(tmp_path / "a", raw, **GEN1)
    assert scores["recordings"] == 3
    assert not (found.root / "val").exists()
    assert made(tmp_path / "b", raw, **GEN1, skip_known=False)[1]["recordings"] == 4


def test_after_an_interruption_finished_recordings_stay(raw: Path, tmp_path: Path) -> None:
    config = PreprocessConfig(recordings=raw, **GEN1)
    asked = iter([False] * 30 + [True] * 1000)
    context = Context.local(PREPROCESS, config, tmp_path / "a", asked_to_stop=lambda: next(asked))
    with pytest.raises(StoppedError):
        preprocess(config, context)
    done = EventSet.open(context.output("dataset")).split("train")
    assert len(done) == 1
    written = done[0].histogram_file.stat().st_mtime_ns
    found, scores = made(tmp_path / "a", raw, **GEN1)
    assert found.split("train")[0].histogram_file.stat().st_mtime_ns == written
    assert scores == made(tmp_path / "b", raw, **GEN1)[1]


# One recording, several splits


def gathered(raw: Path) -> Path:
    """All recordings in one folder."""
    for path in sorted(raw.rglob("*_*")):
        if path.is_file():
            path.rename(raw / path.name)
    for split in SPLITS:
        (raw / split).rmdir()
    return raw


def test_recordings_in_one_folder_are_cut_in_time(raw: Path, tmp_path: Path) -> None:
    divide = {"train": 0.5, "val": 0.25, "test": 0.25}
    found, scores = made(tmp_path, gathered(raw), **GEN1, divide=divide)
    assert scores["recordings"] == 3 * 4
    whole = np.load(next(raw.glob("18-01-01*_bbox.npy")))
    parts = [r for split in SPLITS for r in found.split(split) if r.name.startswith("18-01-01")]
    times = set()
    for part in parts:
        start, end = (int(word) for word in part.name.rsplit("_", 2)[1:])
        times |= {int(t) + start for t in part.label_times_us}
        assert (part.times_us <= end - start).all()
    assert times <= set(whole["t"].tolist())


def test_events_of_a_cut_are_those_of_the_whole(raw: Path, tmp_path: Path) -> None:
    whole, _ = made(tmp_path / "a", raw, **GEN1, cadence="dense")
    divide = {"train": 0.5, "val": 0.5, "test": 0}
    cut, _ = made(tmp_path / "b", gathered(raw), **GEN1, cadence="dense", divide=divide)
    compared = 0
    for part in [*cut.split("train"), *cut.split("val")]:
        name, start, _ = part.name.rsplit("_", 2)
        for split in SPLITS:
            for one in whole.split(split):
                if one.name != name:
                    continue
                shared = set(one.times_us) & set(part.times_us[part.times_us > 60_000] + int(start))
                for time in shared:
                    theirs = int(np.searchsorted(one.times_us, time))
                    ours = int(np.searchsorted(part.times_us, time - int(start)))
                    assert np.array_equal(
                        one.read(theirs, theirs + 1), part.read(ours, ours + 1)
                    ), (name, time)
                    compared += 1
    assert compared > 20


def test_recordings_in_one_folder_can_be_divided_by_name(raw: Path, tmp_path: Path) -> None:
    divide = {"by": "name", "train": 2, "val": 1, "test": 1}
    found, _ = made(tmp_path, gathered(raw), **GEN1, divide=divide)
    assert [len(found.split(split)) for split in SPLITS] == [2, 1, 1]
    assert found.split("train")[0].name < found.split("test")[0].name


times = st.lists(st.integers(0, 60_000_000), min_size=2, max_size=40, unique=True)
weights = st.tuples(*[st.floats(0.01, 1)] * 3)


@given(times, weights, st.sampled_from([0.0, 2.0, 10.0]))
def test_every_box_falls_into_one_cut(times_us, parts, seconds) -> None:
    boxes = np.zeros(len(times_us), BOX_DTYPE)
    boxes["t"] = sorted(times_us)
    cuts = divided_in_time("a", boxes, dict(zip(SPLITS, parts, strict=True)), train_seconds=seconds)
    owners = [
        [cut for cut in cuts if cut.start_us <= time < cut.end_us] for time in boxes["t"].tolist()
    ]
    assert all(len(found) == 1 for found in owners)
    assert sum(len(cut.of_boxes(boxes)) for cut in cuts) == len(boxes)
    assert len({cut.name for cut in cuts}) == len(cuts)
    assert cuts[0].start_us == max(0, int(boxes["t"][0]) - LEAD_US)
    order = [SPLITS.index(cut.split) for cut in cuts]
    assert order == sorted(order)
    if seconds:
        trained = [cut.end_us - cut.start_us for cut in cuts if cut.split == "train"]
        assert len(trained) == 1 or max(trained) < 1.5e6 * seconds


def test_a_split_of_weight_0_is_left_out() -> None:
    cuts = divided_by_name(["a", "b", "c"], {"train": 1.0, "val": 0.0, "test": 0.0})
    assert {cut.split for cut in cuts} == {"train"}
    with pytest.raises(DataError, match="all 0"):
        divided_by_name(["a"], {"train": 0, "val": 0, "test": 0})


# Bad input


def test_a_recording_without_boxes_is_named(raw: Path, tmp_path: Path) -> None:
    (boxes,) = (raw / "val").glob("*_bbox.npy")
    boxes.unlink()
    with pytest.raises(DataError, match=r"18-01-03.*_td.dat.h5 has no boxes: none of .*_bbox.npy"):
        made(tmp_path, raw, **GEN1)


def test_boxes_without_a_recording_are_named(raw: Path, tmp_path: Path) -> None:
    for path in (raw / "val").glob("*_td*"):
        path.unlink()
    with pytest.raises(DataError, match=r"18-01-03.*_bbox.npy has no recording beside it"):
        made(tmp_path, raw, **GEN1)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"raw holds no recording"):
        find_sources(tmp_path / "raw")


def test_a_class_that_the_sensor_lacks_is_refused_with_the_file(raw: Path, tmp_path: Path) -> None:
    (boxes,) = (raw / "val").glob("*_bbox.npy")
    rows = np.load(boxes)
    rows["class_id"][3] = 5
    np.save(boxes, rows)
    with pytest.raises(DataError, match=r"18-01-03.*box 3 is of class 5"):
        made(tmp_path, raw, **GEN1)
    assert not (tmp_path / "tmp" / "out" / "dataset" / "val").exists()


def test_a_recording_of_another_size_is_refused_with_both(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"48 x 64 pixels, .*240 x 304. Name the right"):
        made(tmp_path, raw, sensor="gen1")


def test_a_recording_cut_short_is_refused_and_nothing_of_it_stays(
    raw: Path, tmp_path: Path
) -> None:
    for path in raw.rglob("*.h5"):
        path.unlink()
    (events,) = (raw / "train").glob("18-01-02*.dat")
    events.write_bytes(events.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"18-01-02.*_td.dat"):
        made(tmp_path, raw, **GEN1)
    kept = [path.name for path in (tmp_path / "tmp" / "out" / "dataset" / "train").iterdir()]
    assert len(kept) == 1, "the recording before it, and no draft"
    assert kept[0].startswith("18-01-01")


def test_the_settings_of_a_named_sensor_are_only_changed_where_said() -> None:
    from fovea.events.preprocess import camera_of
    from fovea.events.sensor import GEN4

    config = PreprocessConfig(recordings=Path("x"), sensor="gen4")
    assert camera_of(config, []) == GEN4
    changed = PreprocessConfig(recordings=Path("x"), sensor="gen4", camera={"halved": False})
    assert camera_of(changed, []) == dataclasses.replace(GEN4, halved=False)
