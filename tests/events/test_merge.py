"""Thresholds, the merge of views, and the measure of labels, against the reference's answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import ConfigError
from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.merge import View, merge_views, with_truth
from fovea.events.labelling.prediction import Thresholds, pseudo_labels
from fovea.events.labelling.quality import Quality
from fovea.events.labels import Labels
from fovea.events.sensor import GEN1, GEN4, Sensor

PSEUDO = ("pseudo_gen1", "pseudo_gen4", "pseudo_gen1_conf0.3")


def rows(values: list | None, columns: int = 8) -> np.ndarray:
    return np.array(values or np.zeros((0, columns)), np.float32).reshape(-1, columns)


def read(goldens: Path, name: str) -> dict:
    return json.loads((goldens / "events" / f"{name}.json").read_text())


def sensor_of(case: str) -> Sensor:
    return GEN4 if "gen4" in case else GEN1


@pytest.mark.parametrize("name", ["gen1", "gen4", "gen4_wsod", "gen1_scalar"])
def test_predictions_become_the_references_labels(goldens: Path, name: str) -> None:
    case, sensor = read(goldens, "pred_to_label")[name], sensor_of(name)
    obj, cls = (np.atleast_1d(case[key]).tolist() for key in ("obj_thresh", "cls_thresh"))
    least = Thresholds.of(obj, cls, classes=len(sensor.classes))
    size = {"height": sensor.network_height, "width": sensor.network_width}
    wanted = case["labels_t_x_y_w_h_cls_clsconf_obj"]
    for predictions, labels in zip(case["preds"], wanted, strict=True):
        found = pseudo_labels(rows(predictions, 7), least, **size)
        np.testing.assert_allclose(found.rows, rows(labels), atol=1e-4)


def test_boxes_too_wide_or_too_thin_are_no_labels() -> None:
    least = Thresholds.of([0.1], [0.1], classes=2)
    widest = 9 * GEN1.width // 10
    sizes = [(widest, 50), (widest + 1, 50), (5, 50), (4.9, 50), (50, 5), (50, 4.9)]
    predictions = rows([[0, 0, w, h, 0.9, 0.9, 1] for w, h in sizes], 7)
    found = pseudo_labels(predictions, least, height=GEN1.height, width=GEN1.width)
    np.testing.assert_allclose(found.rows[:, 3:5], [sizes[0], sizes[2], sizes[4]])


def test_two_thresholds_are_for_cars_and_all_others_of_gen4() -> None:
    least = Thresholds.of([0.6, 0.3], [0.5], classes=3)
    assert least.objectness == (0.3, 0.3, 0.6)
    assert least.class_confidence == (0.5, 0.5, 0.5)


def test_as_many_thresholds_as_classes_are_wanted() -> None:
    with pytest.raises(ConfigError, match="4 classes"):
        Thresholds.of([0.6, 0.3], [0.5], classes=4)


@pytest.mark.parametrize("name", PSEUDO)
def test_four_views_merge_into_the_references_labels(goldens: Path, name: str) -> None:
    case, sensor = read(goldens, "tta_merge")[name], sensor_of(name)
    found, truth = [], {}
    for each in case["views"]:
        view = View(each["hflip"], each["tflip"])
        for step, boxes in zip(each["ev_idx"], each["boxes"], strict=True):
            labels = Labels(rows(boxes), sensor.network_height, sensor.network_width)
            frame, labels = view.undo(step, labels, sensor)
            if len(labels) and labels.is_truth.any():
                truth.setdefault(frame, labels)
            else:
                found.append((frame, labels))
    pseudo = merge_views(
        found, sensor, n_frames=case["num_frames"], confidence=case["conf"], iou=case["nms"]
    )
    size = {"height": sensor.height, "width": sensor.width}
    merged = with_truth(pseudo, FrameLabels.joined(truth.items(), **size))
    wanted = [each for each in case["merged"] if each["boxes"]]
    assert [frame for frame, _ in merged] == [each["frame"] for each in wanted]
    for (_, labels), each in zip(merged, wanted, strict=True):
        np.testing.assert_allclose(labels.rows, rows(each["boxes"]), atol=1e-4)


def test_four_views_merge_into_the_references_detections(goldens: Path) -> None:
    """Evaluation merges likewise, at the moments with truth, and cuts no box to the frame."""
    case = read(goldens, "tta_merge")["eval"]
    found = []
    for each in case["views"]:
        view = View(each["hflip"], each["tflip"])
        moments = zip(each["ev_idx"], each["preds_x1y1x2y2_obj_cls_id"], each["gt"], strict=True)
        for step, predictions, truth in moments:
            if truth is None:
                continue
            p = rows(predictions, 7)
            boxes = np.zeros((len(p), 8), np.float32)
            boxes[:, 1:3], boxes[:, 3:5] = p[:, :2], p[:, 2:4] - p[:, :2]
            boxes[:, 5], boxes[:, 6], boxes[:, 7] = p[:, 6], p[:, 5], p[:, 4]
            found.append(view.undo(step, Labels(boxes, *case["hw"]), GEN1))
    merged = merge_views(found, GEN1, n_frames=6, confidence=case["conf"], iou=case["nms"])
    for (_, labels), wanted in zip(merged, case["merged"], strict=True):
        columns = [[*box["box"], box["class_id"], box["class_confidence"]] for box in wanted]
        np.testing.assert_allclose(labels.rows[:, 1:7], columns, atol=1e-4)


def test_a_view_that_is_undone_twice_is_as_it_was() -> None:
    labels = Labels(rows([[0, 10, 20, 30, 40, 0, 0.5, 0.5]]), GEN1.height, GEN1.width)
    view = View(is_flipped=True)
    _, there = view.undo(3, labels, GEN1)
    _, back = view.undo(3, there, GEN1)
    np.testing.assert_array_equal(back.rows, labels.rows)


def test_boxes_outside_the_recording_are_dropped() -> None:
    labels = Labels(rows([[0, 10, 20, 30, 40, 0, 0.5, 0.5]]), GEN1.height, GEN1.width)
    merged = merge_views([(-1, labels), (4, labels)], GEN1, n_frames=4, confidence=0.01)
    assert not len(merged)


@pytest.mark.parametrize("name", ["gen1", "gen4"])
def test_precision_and_recall_are_the_references(goldens: Path, name: str) -> None:
    case, sensor = read(goldens, "pseudo_quality")[name], sensor_of(name)
    found = Quality(sensor.classes)
    for truth, pseudo in zip(case["gt"], case["pseudo"], strict=True):
        size = (sensor.height, sensor.width)
        found.update(Labels(rows(pseudo), *size), Labels(rows(truth), *size))
    assert found.compute() == pytest.approx(case["metrics"], abs=1e-6)


def test_gathered_in_parts_the_scores_are_the_same() -> None:
    rng = np.random.default_rng(0)
    whole, parts = Quality(GEN1.classes), [Quality(GEN1.classes) for _ in range(2)]
    for frame in range(10):
        boxes = np.zeros((4, 8), np.float32)
        boxes[:, 1:3], boxes[:, 3:5] = rng.uniform(0, 40, (4, 2)), 20
        boxes[:, 5] = rng.integers(0, 2, 4)
        labels = Labels(boxes, 240, 304)
        for each in (whole, parts[frame % 2]):
            each.update(labels[:2], labels[2:])
    joined = Quality(GEN1.classes)
    for part in parts:
        joined.add(json.loads(json.dumps(part.frames)))
    assert joined.compute() == pytest.approx(whole.compute())
