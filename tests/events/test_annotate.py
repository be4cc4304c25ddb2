"""Boxes go out to annotation programs and come back the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fovea.errors import DataError
from fovea.events.annotate import annotate
from fovea.events.dataset import EventSet, write_recording
from fovea.events.labels import IGNORE
from fovea.events.settings.annotate import AnnotateConfig
from fovea.events.stages import ANNOTATE
from fovea.runs.stage import Context


@pytest.fixture
def half_size(goldens: Path, tmp_path: Path, micro_sets: dict[str, EventSet]) -> EventSet:
    """The reference's gen4 set, whose boxes are twice as large as its pictures."""
    root = tmp_path / "set"
    root.mkdir()
    (root / "train").symlink_to(goldens / "events" / "micro_gen4" / "train")
    micro_sets["micro_gen4"].sensor.write(root)
    return EventSet.open(root)


def annotated(folder: Path, **settings) -> tuple[Path, dict[str, float]]:
    config = AnnotateConfig(**settings)
    context = Context.local(ANNOTATE, config, folder)
    scores = annotate(config, context)
    return context.output("annotations"), scores


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_boxes_come_back_as_they_went_out(half_size: EventSet, tmp_path: Path, to: str) -> None:
    out, went = annotated(tmp_path / "out", data=half_size.root, to=to)
    back, came = annotated(tmp_path / "back", boxes=out)
    assert went == came
    for recording in half_size.split("train"):
        theirs = np.load(back / "train" / f"{recording.name}_bbox.npy")
        ours = recording.labels
        assert len(theirs) == len(ours) > 0
        for name in ("t", "class_id", *(["track_id"] if to == "coco" else [])):
            assert np.array_equal(theirs[name], ours[name])
        for name in ("x", "y", "w", "h", "class_confidence"):
            slack = 0 if to == "coco" else 1e-4  # YOLO's are parts of the picture, with 9 digits
            assert np.allclose(theirs[name], ours[name], rtol=0, atol=slack)


def test_coco_is_what_pycocotools_reads(half_size: EventSet, tmp_path: Path, capsys) -> None:
    from pycocotools.coco import COCO

    out, went = annotated(tmp_path, data=half_size.root, pictures=True)
    found = COCO(str(out / "instances_train.json"))
    assert len(found.getAnnIds()) == went["boxes"]
    assert len(found.getImgIds()) == went["frames"]
    names = [category["name"] for category in found.loadCats(found.getCatIds())]
    assert tuple(names) == half_size.sensor.classes
    image = found.loadImgs(found.getImgIds()[0])[0]
    with Image.open(out / "images" / image["file_name"]) as picture:
        assert picture.size == (64, 48)
    capsys.readouterr()


def test_yolo_lines_are_parts_of_the_picture_beside_a_picture_of_the_same_name(
    half_size: EventSet, tmp_path: Path
) -> None:
    out, _ = annotated(tmp_path, data=half_size.root, to="yolo", pictures=True)
    texts = sorted((out / "labels").rglob("*.txt"))
    pictures = sorted((out / "images").rglob("*.png"))
    assert [p.relative_to(out / "labels").with_suffix("") for p in texts] == [
        p.relative_to(out / "images").with_suffix("") for p in pictures
    ]
    first = [float(word) for word in texts[0].read_text().split("\n")[0].split()]
    box = half_size.split("train")[0].labels[0]
    assert len(first) == 5
    assert first[0] == box["class_id"]
    assert first[1] == pytest.approx((box["x"] + box["w"] / 2) / 128, abs=1e-6)
    assert '2: "car"' in (out / "data.yaml").read_text()


def test_pseudo_labels_go_out_with_the_times_of_their_source(
    half_size: EventSet, tmp_path: Path
) -> None:
    source = half_size.split("train")[0]
    boxes = source.labels_at(2).to_structured()
    boxes["t"], boxes["class_id"][0], boxes["class_confidence"] = 0, IGNORE, 0.5
    root = tmp_path / "pseudo"
    write_recording(
        root / "train" / source.name,
        labels=boxes,
        objframe_to_label=np.array([0]),
        objframe_to_histogram=source.objframe_to_histogram[2:3],
        source=source,
    )
    half_size.sensor.write(root)
    out, _ = annotated(tmp_path / "coco", data=root)
    document = json.loads((out / "instances_train.json").read_text())
    assert document["images"][0]["timestamp_us"] == source.label_times_us[2]
    assert {"id": IGNORE + 1, "name": "ignore"} in document["categories"]
    back, _ = annotated(tmp_path / "back", boxes=out)
    found = np.load(next(back.rglob("*_bbox.npy")))
    assert found["class_id"].tolist() == boxes["class_id"].tolist()
    assert found["class_confidence"].tolist() == [0.5, 0.5]
    texts, _ = annotated(tmp_path / "yolo", data=root, to="yolo")
    (text,) = (texts / "labels").rglob("*.txt")
    assert text.read_text().count("\n") == len(boxes) - 1


# Bad input


def test_one_of_both_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither is given"):
        annotated(tmp_path)


def test_boxes_that_come_back_need_a_sensor(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="nothing says its width, classes"):
        annotated(tmp_path, boxes=tmp_path / "in", height=4)
    with pytest.raises(DataError, match=r"neither COCO's \*.json nor YOLO's"):
        annotated(tmp_path, boxes=tmp_path / "in", sensor="gen1")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.5 0.5 0.1", r"line 1: a box is 'class centre_x.*and the line is '0 0.5 0.5 0.1'"),
        ("car 0.5 0.5 0.1 0.1", "line 1: a box is"),
        ("0.5 0.5 0.5 0.1 0.1", "line 1: a box is"),
    ],
)
def test_a_line_that_is_no_box_is_shown(tmp_path: Path, line: str, sentence: str) -> None:
    folder = tmp_path / "in" / "labels" / "train" / "a"
    folder.mkdir(parents=True)
    (folder / "000100000.txt").write_text(line)
    with pytest.raises(DataError, match=sentence):
        annotated(tmp_path, boxes=tmp_path / "in", sensor="gen1")


def coco(tmp_path: Path, **changes) -> Path:
    document = {
        "images": [{"id": 1, "file_name": "train/a/000100000.png"}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 5, "name": "car"}],
    } | changes
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    (folder / "instances_train.json").write_text(json.dumps(document))
    return folder


def test_coco_of_another_program_is_read_by_the_names_of_its_classes_and_pictures(
    tmp_path: Path,
) -> None:
    back, _ = annotated(tmp_path, boxes=coco(tmp_path), sensor="gen1")
    (box,) = np.load(back / "train" / "a_bbox.npy")
    assert tuple(box)[:6] == (100_000, 1, 2, 3, 4, 0)
    assert box["class_confidence"] == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"categories": [{"id": 5, "name": "tram"}]}, "'tram' is not one of .* car, pedestrian"),
        (
            {"images": [{"id": 1, "file_name": "a/first.png"}]},
            "'a/first.png' does not say its time",
        ),
        ({"annotations": [{"image_id": 2}]}, "cannot be read as COCO.*KeyError 2"),
        ({"annotations": [{"image_id": 1, "category_id": 5, "bbox": [1, 2]}]}, "ValueError"),
    ],
)
def test_coco_that_cannot_be_used_is_refused_with_the_file(
    tmp_path: Path, changes: dict, sentence: str
) -> None:
    with pytest.raises(DataError, match=f"instances_train.json.*{sentence}"):
        annotated(tmp_path, boxes=coco(tmp_path, **changes), sensor="gen1")


def test_a_word_that_is_no_split_is_no_split() -> None:
    from fovea.events.annotate import _split_of

    assert _split_of(Path("labels/val/street")) == "val"
    assert _split_of(Path("instances_test.json")) == "test"
    assert _split_of(Path("constrained.json")) == ""
