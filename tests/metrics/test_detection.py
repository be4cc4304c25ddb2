"""Average precision of boxes: the protocol, and COCO's numbers by two other implementations."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.metrics.detection import KEYS, DetectionMetric, DetectionProtocol

BOXES = np.dtype(
    {
        "names": ("t", "x", "y", "w", "h", "class_id", "class_confidence"),
        "formats": ("i8", "f4", "f4", "f4", "f4", "u4", "f4"),
    }
)
CASES = (
    "gen1_basic",
    "gen4_ds2",
    "gen4_full_res",
    "gen1_half_second_and_small_filters",
    "gen1_one_class_missing_in_gt",
    "no_detections",
    "more_than_100_dets_per_image",
    "one_file_time_tolerance",
)
CLASSES = {"gen1": ("car", "ped"), "gen4": ("ped", "cyc", "car")}
SMALLEST = {"gen1": (30, 10), "gen4": (60, 20)}


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([tuple(row) for row in rows], dtype=BOXES)


def scattered(seed: int, frames: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    """Detections and truth of frames: jittered copies of the truth among false alarms."""
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(frames):
        truth = np.zeros(rng.integers(1, 5), BOXES)
        truth["t"] = 600_000 + 100_000 * number
        truth["w"], truth["h"] = rng.uniform(8, 120, (2, len(truth)))
        truth["x"], truth["y"] = rng.uniform(0, 200, (2, len(truth)))
        truth["class_id"], truth["class_confidence"] = rng.integers(0, 2, len(truth)), 1
        found = np.tile(truth, 3)
        for side in ("x", "y", "w", "h"):
            found[side] += rng.normal(0, 3, len(found))
        found["class_id"] = np.where(rng.random(len(found)) < 0.2, 0, found["class_id"])
        found["class_confidence"] = rng.random(len(found))
        pairs.append((found, truth))
    return pairs


def metric_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> DetectionMetric:
    metric = DetectionMetric(("car", "ped"))
    for found, truth in pairs:
        metric.update(found, truth)
    return metric


# Beside others


@pytest.mark.parametrize("case", CASES)
def test_the_published_evaluation_says_the_same(case: str, goldens: Path) -> None:
    wanted = json.loads((goldens / "events" / "prophesee_map.json").read_text())[case]
    halves = 2 if wanted["downsampled_by_2"] else 1
    diagonal, side = (size / halves for size in SMALLEST[wanted["camera"]])
    protocol = DetectionProtocol(min_diagonal_px=diagonal, min_side_px=side)
    metric = DetectionMetric(CLASSES[wanted["camera"]], protocol)
    for truth, found in zip(wanted["gt"], wanted["dt"], strict=True):
        metric.update(boxes(*found), boxes(*truth))
    scores = metric.all()
    assert wanted["evaluator_all_keys"].keys() <= scores.keys()
    assert {key: scores[key] for key in wanted["evaluator_all_keys"]} == pytest.approx(
        wanted["evaluator_all_keys"], abs=1e-6
    )
    assert {key: scores[key] for key in wanted["evaluate_list"]} == pytest.approx(
        wanted["evaluate_list"], abs=1e-6
    )
    if wanted["coco_12_stats"]:
        assert [scores[key] for key in KEYS] == pytest.approx(wanted["coco_12_stats"], abs=1e-6)
    assert metric.compute() == scores["AP"]


def test_the_goldens_hold_the_cases_that_are_tried(goldens: Path) -> None:
    found = json.loads((goldens / "events" / "prophesee_map.json").read_text())
    assert set(found) == set(CASES)


@pytest.mark.parametrize("seed", range(3))
def test_pycocotools_says_the_same(seed: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    pairs = scattered(seed)
    metric = metric_of(pairs)
    rows = [
        [(image, row) for image, pair in enumerate(pairs, 1) for row in pair[side]]
        for side in (1, 0)
    ]
    annotations = [
        [
            {"id": n, "image_id": image, "category_id": int(row["class_id"]) + 1, "iscrowd": 0}
            | {"bbox": [float(row[s]) for s in "xywh"], "area": float(row["w"] * row["h"])}
            | {"score": float(row["class_confidence"])}
            for n, (image, row) in enumerate(part, 1)
        ]
        for part in rows
    ]
    both = (COCO(), COCO())
    with contextlib.redirect_stdout(io.StringIO()):
        for coco, listed in zip(both, annotations, strict=True):
            images = [{"id": image} for image in range(1, len(pairs) + 1)]
            coco.dataset = {"images": images, "annotations": listed}
            coco.dataset["categories"] = [{"id": 1, "name": "car"}, {"id": 2, "name": "ped"}]
            coco.createIndex()
        judge = COCOeval(*both, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    scores = metric.all()
    assert [scores[key] for key in KEYS] == pytest.approx(judge.stats.tolist(), abs=1e-9)
    assert 0.05 < scores["AP"] < 0.95


# The protocol


def test_class_confidence_alone_ranks_whatever_the_objectness() -> None:
    wider = np.dtype([*BOXES.descr, ("objectness", "f4")])
    truth = boxes((10**6, 10, 10, 40, 40, 0, 1))
    found = np.zeros(2, wider)
    for name in BOXES.names or ():
        found[name] = truth[name][0]
    found["x"] = (10, 100)
    found["class_confidence"], found["objectness"] = (0.4, 0.6), (1.0, 0.1)
    metric = DetectionMetric(("car",))
    metric.update(found, truth)
    assert metric.compute() == pytest.approx(0.5, abs=0.01), "the false one is ranked first"


def test_a_moment_without_truth_does_not_count_whatever_was_found() -> None:
    pairs = scattered(1)
    metric = metric_of(pairs)
    before = metric.all()
    metric.update(boxes((10**7, 0, 0, 50, 50, 0, 1.0)), boxes())
    assert metric.all() == before


def test_a_class_alone_is_not_its_share_of_the_whole() -> None:
    car, ped = (10**6, 10, 10, 40, 40, 0, 1), (2 * 10**6, 10, 10, 40, 40, 1, 1)
    false_car = (2 * 10**6, 100, 100, 40, 40, 0, 0.99)
    metric = DetectionMetric(("car", "ped"))
    metric.update(boxes((*car[:6], 0.9)), boxes(car))
    metric.update(boxes(false_car, (*ped[:6], 0.9)), boxes(ped))
    scores = metric.all()
    assert scores["AP_car"] == pytest.approx(1), "the false car is where no true one is"
    assert scores["AP"] < 0.9


@pytest.mark.parametrize(("off_us", "is_found"), [(50_000, True), (50_001, False)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_detection_belongs_to_moments_up_to_50_ms_away(
    off_us: int, is_found: bool, sign: int
) -> None:
    metric = DetectionMetric(("car",))
    metric.update(
        boxes((10**6 + sign * off_us, 10, 10, 40, 40, 0, 0.9)),
        boxes((10**6, 10, 10, 40, 40, 0, 1)),
    )
    assert metric.compute() == pytest.approx(1.0 if is_found else 0.0)


def test_a_detection_may_serve_two_moments_and_no_other_recording() -> None:
    metric = DetectionMetric(("car",))
    here = (10, 10, 40, 40, 0)
    truth = boxes((10**6, *here, 1), (10**6 + 80_000, *here, 1))
    metric.update(boxes((10**6 + 40_000, *here, 0.9)), truth)
    assert metric.moments == 2
    assert metric.compute() == pytest.approx(1)
    metric.update(boxes(), boxes((10**6, *here, 1)))
    assert metric.all()["AR_100"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        ((500_000, 0, 0, 40, 40, 0, 1), False),
        ((500_001, 0, 0, 40, 40, 0, 1), True),
        ((10**6, 0, 0, 18, 24, 0, 1), True),
        ((10**6, 0, 0, 18, 23, 0, 1), False),
        ((10**6, 0, 0, 9, 90, 0, 1), False),
        ((10**6, 0, 0, 90, 9, 0, 1), False),
    ],
)
def test_early_and_small_boxes_are_left_out(box: tuple[float, ...], counts: bool) -> None:
    protocol = DetectionProtocol(min_diagonal_px=30, min_side_px=10)
    assert protocol.keeps(boxes(box)).tolist() == [counts]
    metric = DetectionMetric(("car",), protocol)
    metric.update(boxes(box), boxes(box))
    assert metric.moments == counts
    assert metric.compute() == pytest.approx(float(counts))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(6)))
def test_the_order_of_frames_does_not_matter(seed: int, order: list[int]) -> None:
    pairs = scattered(seed, frames=6)
    assert metric_of([pairs[n] for n in order]).all() == pytest.approx(metric_of(pairs).all())


def test_perfect_boxes_score_1_and_none_score_0() -> None:
    pairs = scattered(3)
    perfect = metric_of([(truth, truth) for _, truth in pairs]).all()
    assert perfect["AP"] == perfect["AP_car"] == perfect["AP_ped"] == pytest.approx(1)
    assert set(metric_of([(found[:0], truth) for found, truth in pairs]).all().values()) == {0.0}


# What cannot be scored


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    metric_of(scattered(1)).all()
    assert capfd.readouterr() == ("", "")


def test_a_class_without_a_name_is_refused() -> None:
    metric = DetectionMetric(("car", "ped"))
    with pytest.raises(DataError, match="hold class 7, and there are 2 classes, car, ped"):
        metric.update(boxes(), boxes((10**6, 0, 0, 40, 40, 7, 1)))


def test_falling_times_are_refused() -> None:
    late, early = (10**6, 0, 0, 40, 40, 0, 1), (10**5, 0, 0, 40, 40, 0, 1)
    with pytest.raises(DataError, match="detections of one recording are in order of time"):
        DetectionMetric(("car",)).update(boxes(late, early), boxes(late))


def test_boxes_without_a_field_are_refused() -> None:
    with pytest.raises(DataError, match="class_confidence missing"):
        DetectionMetric(("car",)).update(np.zeros(1, BOXES.descr[:-1]), boxes())


def test_the_mean_of_a_curve_is_the_average_precision_of_its_class() -> None:
    metric = metric_of(scattered(4))
    scores = metric.all()
    means = {
        iou: np.mean([values.mean() for values in metric.curves(iou).values()])
        for iou in (0.5, 0.75)
    }
    assert means[0.5] == pytest.approx(scores["AP_50"])
    assert means[0.75] == pytest.approx(scores["AP_75"])
    assert 0 < means[0.75] < means[0.5]


def test_a_curve_at_an_overlap_that_is_not_scored_is_refused() -> None:
    metric = DetectionMetric(("car",))
    with pytest.raises(DataError, match=r"0\.5, 0\.55, \.\.\. 0\.95; got 0\.6[0-9]*"):
        metric.curves(0.62)
