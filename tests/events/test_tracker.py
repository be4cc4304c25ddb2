"""Tracks and the filter against the reference's, and what must hold of any of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.events.labelling.filter import Fate, filter_again, filter_labels
from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.tracker import Tracks, track, track_backward
from fovea.events.labels import IGNORE, Labels

CASES = (
    "const_velocity_long", "short_track_middle_removed", "gap_two_frames_inpainted",
    "gap_too_long_splits", "crossing_same_class", "crossing_diff_class", "gt_saves_short_track",
    "gt_frame_blocks_inpaint", "unfinished_at_end_kept", "short_at_start_kept_by_backward",
    "short_at_start_forward_only", "leaves_right_edge", "leaves_top_edge", "jump_low_iou",
    "min_len_3", "no_inpaint", "single_frame_only", "random_0", "random_1", "random_2",
    "gen4_full_resolution",
)  # fmt: skip
BOTH = "forward or backward"
CLOSE = 1e-4  # spec: floats of the tracker


@pytest.fixture(scope="module")
def cases(goldens: Path) -> dict:
    return json.loads((goldens / "events" / "tracker.json").read_text())


def frame_labels(frames: list[dict], size: tuple[int, int]) -> FrameLabels:
    key = "boxes_t_x_y_w_h_cls_clsconf_obj"
    parts = [(f["frame"], Labels(np.float32(f[key]), *size)) for f in frames]
    return FrameLabels.joined(parts, height=size[0], width=size[1])


@pytest.mark.parametrize("name", CASES)
def test_tracks_are_the_references(cases: dict, name: str) -> None:
    case = cases[name]
    found = track(frame_labels(case["input"], case["img_hw"]))
    assert len(found) == len(case["forward_tracks"])
    for wanted in case["forward_tracks"]:
        number = wanted["id"]
        assert found.done[number] == wanted["done"]
        assert found.is_truth[number] == wanted["is_gt"]
        assert found.hits[number] == wanted["hits"]
        assert found.age[number] == wanted["age"]
        assert found.class_id[number] == wanted["class_id"]
        assert np.flatnonzero(found.of_box == number).tolist() == wanted["bbox_idx"]
        assert found.confidence[number] == pytest.approx(wanted["conf"], abs=CLOSE)
        np.testing.assert_allclose(found.boxes[number], wanted["last_bbox"], atol=CLOSE)
        np.testing.assert_allclose(found.velocity[number], wanted["velocity"], atol=CLOSE)
        gaps = found.gaps.track == number
        pairs = zip(found.gaps.frames[gaps], found.gaps.boxes[gaps], strict=True)
        boxes = {str(frame): box for frame, box in pairs}
        assert list(boxes) == list(wanted["missed_bbox"])
        for frame, box in wanted["missed_bbox"].items():
            np.testing.assert_allclose(boxes[frame], box[:4], atol=CLOSE)


@pytest.mark.parametrize("name", CASES)
def test_boxes_on_short_tracks_are_the_references_both_ways(cases: dict, name: str) -> None:
    case = cases[name]
    boxes = frame_labels(case["input"], case["img_hw"])
    for found, key in ((track(boxes), "forward"), (track_backward(boxes), "backward")):
        short = ~found.is_trusted(case["min_track_len"])[found.of_box]
        assert np.flatnonzero(short).tolist() == case[f"{key}_remove_idx"]


def moving_boxes(frames: int, objects: int = 6, seed: int = 0) -> FrameLabels:
    """Objects that wander over a large image and are seen nine times in ten."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 900, (objects, 2))
    parts = []
    for frame in range(frames):
        place = np.clip(place + rng.normal(2, 1, place.shape), 0, 900) % 900
        seen = rng.random(objects) < 0.9
        rows = np.zeros((seen.sum(), 8), np.float32)
        rows[:, 1:3], rows[:, 3:5], rows[:, 6:] = place[seen], 40, 0.8
        parts.append((frame, Labels(rows, 1000, 1000)))
    return FrameLabels.joined(parts, height=1000, width=1000)


def test_twice_the_frames_cost_twice_the_comparisons() -> None:
    once, twice = (track(moving_boxes(n)) for n in (400, 800))
    assert twice.comparisons < 2.3 * once.comparisons


def test_a_recording_without_boxes_has_no_tracks() -> None:
    nothing = FrameLabels.joined([], height=48, width=64)
    for found in (track(nothing), track_backward(nothing)):
        assert len(found) == len(found.of_box) == len(found.gaps.frames) == 0


def test_an_empty_stretch_costs_nothing() -> None:
    row = np.float32([[0, 10, 10, 20, 20, 0, 0.9, 0.9]])
    parts = [(frame, Labels(row, 48, 64)) for frame in (0, 2_000_000_000)]
    found = track(FrameLabels.joined(parts, height=48, width=64))
    assert found.done.tolist() == [True, False]
    assert found.comparisons == 0


def test_the_oldest_of_equally_sure_tracks_chooses_first_when_asked() -> None:
    twins = np.float32([[0, 10, 10, 20, 20, 0, 0.9, 0.9]] * 2)
    one = np.float32([[0, 10, 10, 20, 20, 0, 0.9, 0.9]])
    parts = [(0, Labels(twins, 48, 64)), (1, Labels(one, 48, 64))]
    found = track(FrameLabels.joined(parts, height=48, width=64), ties="oldest")
    assert found.of_box.tolist() == [0, 1, 0]


@st.composite
def scenes(draw: st.DrawFn) -> FrameLabels:
    """A few crowded frames, some with ground truth."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    parts = []
    for frame in sorted(draw(st.sets(st.integers(0, 30), max_size=12))):
        rows = np.zeros((rng.integers(1, 6), 8), np.float32)
        rows[:, 1:3], rows[:, 3:5] = rng.uniform(0, 30, (len(rows), 2)), 15
        rows[:, 5], rows[:, 6:] = rng.integers(0, 2, len(rows)), 0.5
        rows[:, 0] = 1000 * (rng.random() < 0.2)
        parts.append((frame, Labels(rows, 48, 64)))
    return FrameLabels.joined(parts, height=48, width=64)


def check(boxes: FrameLabels, found: Tracks) -> None:
    classes, numbers = boxes.labels.class_id, found.of_box
    assert (numbers >= 0).all()
    np.testing.assert_array_equal(found.class_id[numbers], classes)
    pairs = set(zip(numbers.tolist(), boxes.frames.tolist(), strict=True))
    assert len(pairs) == len(boxes), "a track has two boxes in one frame"
    assert not pairs & set(zip(found.gaps.track.tolist(), found.gaps.frames.tolist(), strict=True))
    for number in range(len(found)):
        own = boxes.frames[numbers == number]
        assert found.hits[number] == abs(own[-1] - own[0]) + 1
        assert found.is_truth[number] == boxes.labels.is_truth[numbers == number].any()
        gaps = found.gaps.frames[found.gaps.track == number]
        assert ((gaps > own.min()) & (gaps < own.max())).all()


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_every_box_is_on_one_track_of_its_class_that_spans_its_frames(boxes: FrameLabels) -> None:
    check(boxes, track(boxes))
    check(boxes, track_backward(boxes))


# The filter


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_is_the_references(cases: dict, name: str) -> None:
    case = cases[name]
    found = filter_labels(
        frame_labels(case["input"], case["img_hw"]),
        min_track_len=case["min_track_len"],
        method=case["track_method"],
        inpaint=case["inpaint"],
    )
    assert [frame for frame, _ in found.boxes] == [each["frame"] for each in case["output"]]
    for (_, labels), wanted in zip(found.boxes, case["output"], strict=True):
        np.testing.assert_allclose(labels.rows, wanted["boxes"], atol=CLOSE)


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_ground_truth_is_never_touched(boxes: FrameLabels) -> None:
    found = filter_labels(boxes, min_track_len=6, method=BOTH, inpaint=True)
    truth = boxes.labels.is_truth
    kept = found.boxes.labels.is_truth
    np.testing.assert_array_equal(found.boxes.labels.rows[kept], boxes.labels.rows[truth])
    filled = found.boxes.frames[found.fate == Fate.INPAINTED]
    assert not np.isin(filled, boxes.frames[truth]).any()


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_both_ways_keep_all_that_one_keeps(boxes: FrameLabels) -> None:
    one, both = (
        filter_labels(boxes, min_track_len=4, method=method, inpaint=False)
        for method in ("forward", BOTH)
    )
    assert (one.boxes.labels.class_id != IGNORE)[both.boxes.labels.class_id == IGNORE].sum() == 0


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_nothing_is_deleted_and_classes_are_remembered(boxes: FrameLabels) -> None:
    found = filter_labels(boxes, min_track_len=6, method=BOTH, inpaint=True)
    own = found.fate != Fate.INPAINTED
    np.testing.assert_array_equal(found.class_id[own], boxes.labels.class_id)
    rows = found.boxes.labels.rows[own]
    np.testing.assert_array_equal(np.delete(rows, 5, axis=1), np.delete(boxes.labels.rows, 5, 1))
    assert (np.diff(found.boxes.frames) >= 0).all()


def test_no_least_length_keeps_all_and_fills_nothing(cases: dict) -> None:
    case = cases["gap_two_frames_inpainted"]
    boxes = frame_labels(case["input"], case["img_hw"])
    found = filter_labels(boxes, min_track_len=0, method=BOTH, inpaint=True)
    np.testing.assert_array_equal(found.boxes.labels.rows, boxes.labels.rows)
    assert set(found.fate.tolist()) == {Fate.UNFILTERED}


@pytest.mark.parametrize("name", CASES)
def test_filtering_again_as_before_changes_nothing(cases: dict, name: str) -> None:
    case = cases[name]
    options = {
        "min_track_len": case["min_track_len"], "method": BOTH, "inpaint": case["inpaint"],
    }  # fmt: skip
    none = filter_labels(
        frame_labels(case["input"], case["img_hw"]), **options | {"min_track_len": 0}
    )
    once = filter_labels(frame_labels(case["input"], case["img_hw"]), **options)
    np.testing.assert_array_equal(
        filter_again(none.boxes, **options).boxes.labels.rows, once.boxes.labels.rows
    )
    again = filter_again(once.boxes, **options | {"min_track_len": 1})
    gone = once.fate == Fate.SHORT
    assert (again.fate == Fate.IGNORED).sum() == gone.sum(), "what was removed stays so"


def test_ground_truth_saves_its_track_also_where_only_one_way_is_read(cases: dict) -> None:
    case = cases["gt_saves_short_track"]
    boxes = frame_labels(case["input"], case["img_hw"])
    found = filter_labels(boxes, min_track_len=6, method="forward", inpaint=False)
    assert np.flatnonzero(found.fate == Fate.SHORT).tolist() == case["forward_remove_idx"]
    on_track = np.isin(found.track, found.track[found.fate == Fate.TRUTH])
    assert set(found.fate[on_track].tolist()) == {Fate.TRUTH, Fate.ANCHORED}


def test_a_box_that_is_filled_in_can_be_read_back(cases: dict) -> None:
    """A prediction beyond the border is cut there, and what is left of it is no line."""
    row = np.float32([[0, 90, 10, 30, 20, 0, 0.9, 0.9]])
    steps = [(frame, row + np.float32([0, -6 * frame, *[0] * 6])) for frame in range(15)]
    parts = [
        (frame, Labels(np.maximum(each, 0), 48, 128)) for frame, each in steps if frame not in (9,)
    ]
    boxes = FrameLabels.joined(parts, height=48, width=128)
    found = filter_labels(boxes, min_track_len=2, method=BOTH, inpaint=True)
    assert (found.fate == Fate.INPAINTED).sum() == 1
    found.boxes.labels.clamped()
