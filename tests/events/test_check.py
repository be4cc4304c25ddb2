"""Whatever is wrong with a data set is said, with its file and place, and all of it at once."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fovea.errors import DataError
from fovea.events.check import check
from fovea.events.dataset import EventSet, Recording, link_splits, write_recording
from fovea.events.labels import IGNORE
from fovea.events.sensor import GEN1
from fovea.events.settings.check import CheckConfig
from fovea.events.stages import CHECK
from fovea.runs.stage import Context


@pytest.fixture
def whole(goldens: Path, tmp_path: Path, micro_sets: dict[str, EventSet]) -> EventSet:
    """The reference's gen1 set with its sensor noted, to be damaged."""
    root = shutil.copytree(goldens / "events" / "micro_gen1", tmp_path / "set")
    micro_sets["micro_gen1"].sensor.write(root)
    return EventSet.open(root)


def checked(root: Path, folder: Path, **settings) -> tuple[dict, dict[str, float], str]:
    """The report, the scores and the page."""
    config = CheckConfig(data=root, **settings)
    context = Context.local(CHECK, config, folder)
    scores = check(config, context)
    document = json.loads(context.output("scores").read_text())
    return document, scores, context.output("page").read_text()


def said(document: dict, level: str = "error") -> list[str]:
    return [f"{p['file']}: {p['message']}" for p in document["problems"] if p["level"] == level]


def relabelled(recording: Recording, change: Callable[[np.ndarray], None]) -> None:
    boxes = recording.labels.copy()
    first = recording.objframe_to_label
    change(boxes)
    np.savez(recording.layout.labels, labels=boxes, objframe_idx_2_label_idx=first)


def set_field(name: str, row: int, value: float) -> Callable[[Recording], None]:
    def change(boxes: np.ndarray) -> None:
        boxes[name][row] = value

    return lambda recording: relabelled(recording, change)


def saved(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Recording], None]:
    def damage(recording: Recording) -> None:
        path = getattr(recording.layout, name)
        np.save(path, change(np.load(path)))

    return damage


def put(row: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[row] = value
        return array

    return change


def without(name: str) -> Callable[[Recording], None]:
    return lambda recording: getattr(recording.layout, name).unlink()


def cut_short(recording: Recording) -> None:
    path = recording.histogram_file
    path.write_bytes(path.read_bytes()[:3000])


def unfinished(recording: Recording) -> None:
    path = recording.histogram_file
    path.rename(path.with_name("event_representations_in_progress.h5"))


def repacked(**storage) -> Callable[[Recording], None]:
    def damage(recording: Recording) -> None:
        counts = recording.read(0, recording.n_histograms)
        recording.histogram_file.unlink()
        with h5py.File(recording.histogram_file, "w") as file:
            file.create_dataset("data", data=counts, **storage)

    return damage


def emptied(recording: Recording) -> None:
    with h5py.File(recording.histogram_file, "r+") as file:
        file["data"][...] = 0


def test_nothing_is_wrong_with_the_reference_sets(
    tmp_path: Path, micro_sets: dict[str, EventSet], whole: EventSet
) -> None:
    document, scores, page = checked(whole.root, tmp_path / "a")
    assert document["problems"] == []
    assert scores["errors"] == scores["warnings"] == 0
    assert scores["recordings"] == 4
    assert document["splits"]["train"]["recordings"] == 2
    total = sum(sum(one["classes"].values()) for one in document["splits"].values())
    assert total == scores["boxes"] > 0
    assert "no errors" in page
    assert page.count("<figure>") == 12


DAMAGE = {
    "a class without a name": (
        set_field("class_id", 3, 7),
        r"labels.npz: box 3 is of class 7; there are 0 car, 1 pedestrian.$",
    ),
    "a box outside": (set_field("x", 3, 80), r"labels.npz: box 3 spans \[80.*outside the frame"),
    "an empty box": (set_field("w", 3, 0), r"labels.npz: box 3 spans .* and is empty"),
    "a box that is no number": (set_field("y", 3, np.nan), "box 3 is not made of numbers"),
    "a score above 1": (set_field("class_confidence", 2, 1.5), "box 2 has a class_confidence of"),
    "a box of another time": (set_field("t", 4, 7), r"box 4 is of 7 µs, and its objframe 1 is at"),
    "an objframe too few": (
        saved("objframe_to_histogram", lambda a: a[:-1]),
        "has 7 objframes, and .*labels.npz has 8",
    ),
    "a histogram that is not there": (
        saved("objframe_to_histogram", put(-1, 99)),
        "objframe 7 is histogram 99, and there are 20",
    ),
    "an index that falls": (
        saved("objframe_to_histogram", put(3, 0)),
        r"repr_idx.npy: entries must rise, and entry 3 is 0 after 7",
    ),
    "a label between two histograms": (
        saved("label_times", put(2, 750_096)),
        r"labels_v2/timestamps_us.npy: objframe 2 is at 750096 µs, .* its histogram ends at 750095",
    ),
    "times that fall": (saved("times", put(4, 5)), "time 4 is 5 µs, which is not after"),
    "a time too few": (saved("times", lambda a: a[:-1]), "has 19 times, and there are 20"),
    "numbers of another kind": (
        saved("times", lambda a: a.astype(np.float64)),
        r"should be a list of whole numbers, and is float64 \(20,\)",
    ),
    "no labels": (without("labels"), "labels.npz: is missing"),
    "no index": (without("objframe_to_histogram"), "objframe_idx_2_repr_idx.npy: is missing"),
    "no times": (without("times"), r"nbins=10/timestamps_us.npy: is missing"),
    "a file cut short": (cut_short, "representations.h5: cannot be read as HDF5"),
    "a file never finished": (unfinished, r"_in_progress.h5: was never finished"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_an_error_with_its_file(kind: str, whole: EventSet, tmp_path: Path) -> None:
    damage, sentence = DAMAGE[kind]
    recording = whole.split("train")[0]
    damage(recording)
    document, scores, page = checked(whole.root, tmp_path / "a", pictures=3)
    found = said(document)
    assert scores["errors"] == len(found) > 0
    assert any(re.search(sentence, line) for line in found), found
    assert all(line.startswith(f"train/{recording.name}/") for line in found), found
    assert f"{len(found)} errors" in page


CURIOUS = {
    "another filter": (repacked(compression="gzip", chunks=(1, 20, 48, 64)), "packed with {"),
    "large chunks": (repacked(chunks=(10, 20, 48, 64)), "stored in chunks of (10, 20, 48, 64)"),
    "no events": (emptied, "holds no event in any of the 8"),
    "a box that leaves the frame": (set_field("w", 0, 60), "leaves the frame of 48 x 64"),
}


@pytest.mark.parametrize("kind", CURIOUS)
def test_what_is_worth_a_look_is_a_warning(kind: str, whole: EventSet, tmp_path: Path) -> None:
    damage, sentence = CURIOUS[kind]
    damage(whole.split("train")[0])
    document, scores, _ = checked(whole.root, tmp_path / "a", pictures=0)
    assert said(document) == []
    assert scores["warnings"] > 0
    assert any(sentence in line for line in said(document, "warning"))


def test_every_problem_is_found_in_one_go(whole: EventSet, tmp_path: Path) -> None:
    first, second = whole.split("train")
    set_field("class_id", 3, 7)(first)
    without("times")(first)
    cut_short(second)
    document, _, _ = checked(whole.root, tmp_path / "a")
    assert len(said(document)) == 3


def test_several_rows_of_one_kind_are_one_sentence_with_their_number(
    whole: EventSet, tmp_path: Path
) -> None:
    recording = whole.split("train")[0]

    def change(boxes: np.ndarray) -> None:
        boxes["class_id"][[2, 5, 6]] = 9

    relabelled(recording, change)
    document, _, _ = checked(whole.root, tmp_path / "a")
    (line,) = said(document)
    assert line.endswith("So it is with 2 more.")
    assert document["problems"][0]["index"] == 2


def test_a_recording_in_two_splits_is_an_error(whole: EventSet, tmp_path: Path) -> None:
    one = whole.split("train")[0].folder
    shutil.copytree(one, whole.root / "test" / one.name)
    (whole.root / "val" / "other").symlink_to(whole.split("train")[1].folder)
    document, _, _ = checked(whole.root, tmp_path / "a")
    found = said(document)
    assert any(f"test/{one.name}: is also in the split 'train'" in line for line in found)
    assert any("val/other: is also in the split 'train'" in line for line in found)


def test_recordings_whose_names_overlap_in_time_are_an_error(
    whole: EventSet, tmp_path: Path
) -> None:
    for split, span in (("train", "000000000_004000000"), ("test", "003500000_008000000")):
        recording = whole.split(split)[0].folder
        recording.rename(recording.with_name(f"street_{span}"))
    document, _, _ = checked(whole.root, tmp_path / "a")
    (line,) = said(document)
    assert "test/street_003500000_008000000: overlaps train/street_000000000_004000000" in line
    assert "by 0.5 s" in line
    recording = whole.split("test")[0].folder
    recording.rename(recording.with_name("street_004000000_008000000"))
    assert said(checked(whole.root, tmp_path / "b")[0]) == []


def test_links_to_nothing_and_strange_files_are_said(whole: EventSet, tmp_path: Path) -> None:
    shutil.rmtree(whole.root / "val")
    (whole.root / "val").symlink_to(tmp_path / "nowhere")
    (whole.root / "train" / "gone").symlink_to(tmp_path / "nowhere")
    (whole.root / "train" / ".draft-a").mkdir()
    (whole.root / "train" / "notes.txt").write_text("x")
    document, _, _ = checked(whole.root, tmp_path / "a")
    assert any(f"val: is a link to {tmp_path / 'nowhere'}" in line for line in said(document))
    assert any(line.startswith("train/gone: is a link to") for line in said(document))
    warnings = " ".join(said(document, "warning"))
    assert "left unfinished" in warnings
    assert "notes.txt: is no recording" in warnings


def test_another_sensor_than_the_noted_one_is_an_error(whole: EventSet, tmp_path: Path) -> None:
    document, _, _ = checked(whole.root, tmp_path / "a", sensor="gen1")
    found = said(document)
    assert any("sensor.json: says gen1: 48 x 64" in line for line in found)
    assert any("48 x 64 pixels, and those of the sensor gen1 are 240 x 304" in x for x in found)


def test_histograms_of_the_other_size_are_pointed_at(whole: EventSet, tmp_path: Path) -> None:
    dataclasses.replace(GEN1, height=48, width=64, halved=True).write(whole.root)
    document, _, _ = checked(whole.root, tmp_path / "a")
    assert any("beside it: event_representations.h5" in line for line in said(document))


def test_a_pseudo_set_may_ignore_boxes_and_has_no_times(whole: EventSet, tmp_path: Path) -> None:
    source = whole.split("train")[0]
    root = tmp_path / "pseudo"
    boxes = source.labels_at(0).to_structured()
    boxes["class_id"][1], boxes["t"] = IGNORE, 0
    write_recording(
        root / "train" / source.name,
        labels=boxes,
        objframe_to_label=np.array([0]),
        objframe_to_histogram=source.objframe_to_histogram[:1],
        source=source,
    )
    link_splits(root, whole)
    document, scores, page = checked(root, tmp_path / "a")
    assert document["problems"] == []
    assert scores["recordings"] == 3
    assert document["splits"]["train"]["classes"]["ignored"] == 1
    assert page.count("<figure>") > 3


def test_strict_ends_with_an_error_after_the_report(whole: EventSet, tmp_path: Path) -> None:
    cut_short(whole.split("train")[0])
    with pytest.raises(DataError, match=r"has 1 errors, the first of them: train/.*check.html"):
        checked(whole.root, tmp_path / "a", strict=True)
    assert "1 errors" in (tmp_path / "a" / "tmp" / "out" / "check.html").read_text()


def test_names_are_escaped_on_the_page(whole: EventSet, tmp_path: Path) -> None:
    recording = whole.split("train")[0].folder
    recording.rename(recording.with_name("a<script>alert(1)"))
    cut_short(EventSet.open(whole.root).split("train")[1])
    assert "<script" not in checked(whole.root, tmp_path / "a")[2]
