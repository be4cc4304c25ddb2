"""Boxes in memory: clamped, scaled and flipped as the reference does it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.boxes import BOX_DTYPE, PSEUDO_DTYPE
from fovea.events.dataset import EventSet
from fovea.events.labels import IGNORE, Labels


def labels(*rows: tuple[float, ...], height: int = 48, width: int = 64) -> Labels:
    """(x, y, w, h) of each box."""
    whole = [(1000.0, *row, 1, 0.5, 0.25) for row in rows]
    return Labels(np.array(whole, np.float32).reshape(-1, 8), height, width)


def test_labels_of_every_golden_window_are_those_of_the_reference(
    goldens: Path, micro_sets: dict[str, EventSet]
) -> None:
    compared = 0
    document = json.loads((goldens / "events" / "sequence_sampling.json").read_text())
    for key, found in document.items():
        name, split, recording = key.partition("|")[0].split("/")
        ours = next(r for r in micro_sets[name].split(split) if r.name == recording)
        objframe = {int(place): at for at, place in enumerate(ours.objframe_to_histogram)}
        for item in found["random_ratio=-1.0"]["items"]:
            for place, rows in zip(item["ev_idx"], item["labels"], strict=True):
                if rows is not None:
                    got = ours.labels_at(objframe[place]).rows
                    assert got.shape == np.shape(rows)
                    assert np.allclose(got, rows, rtol=0, atol=1e-4), key  # printed to 4 digits
                    compared += 1
    assert compared


def test_times_are_float32_like_everything_else() -> None:
    boxes = np.zeros(1, BOX_DTYPE)
    boxes["t"], boxes["w"], boxes["h"] = 59_999_999, 5, 5
    assert Labels.from_structured(boxes, 48, 64).rows[0, 0] == 60_000_000


def test_without_objectness_it_is_the_class_confidence() -> None:
    boxes = np.zeros(1, BOX_DTYPE)
    boxes["class_confidence"] = 0.75
    assert Labels.from_structured(boxes, 48, 64).rows[0].tolist() == [0, 0, 0, 0, 0, 0, 0.75, 0.75]
    pseudo = np.zeros(1, PSEUDO_DTYPE)
    pseudo["class_confidence"], pseudo["objectness"] = 0.75, 0.5
    assert Labels.from_structured(pseudo, 48, 64).rows[0].tolist() == [0, 0, 0, 0, 0, 0, 0.75, 0.5]


def test_a_time_above_0_is_ground_truth() -> None:
    found = labels((1, 1, 2, 2), (1, 1, 2, 2))
    found.rows[1, 0] = 0
    assert found.is_truth.tolist() == [True, False]


def test_clamping_cuts_at_the_last_pixel() -> None:
    found = labels((-5, -5, 20, 20), (60, 40, 20, 20)).clamped()
    assert found.xyxy.tolist() == [[0, 0, 15, 15], [60, 40, 63, 47]]


def test_clamping_a_box_outside_the_frame_is_refused_with_its_place() -> None:
    with pytest.raises(DataError, match=r"box 1 spans \[70, 5, 80, 15\].*48 x 64"):
        labels((1, 1, 5, 5), (70, 5, 10, 10)).clamped()


def test_halving_stops_at_the_last_pixel_and_drops_what_is_flat() -> None:
    found = labels((10, 10, 21, 11), (63, 5, 30, 30), (62, 5, 2, 2)).scaled(0.5)
    assert (found.height, found.width) == (24, 32)
    assert found.xyxy.tolist() == [[5, 5, 15.5, 10.5]]


def test_flipping_twice_is_nothing() -> None:
    found = labels((10, 10, 20, 10))
    assert found.flipped().xyxy.tolist() == [[33, 10, 53, 20]]
    assert np.array_equal(found.flipped().flipped().rows, found.rows)


def test_targets_are_centres_with_both_scores() -> None:
    assert labels((10, 10, 20, 6)).targets().tolist() == [[1, 20, 13, 20, 6, 0.25, 0.5]]


def test_an_empty_mask_leaves_no_boxes() -> None:
    found = labels((10, 10, 20, 6))
    assert len(found[np.zeros(1, bool)]) == 0
    assert found[np.zeros(1, bool)].targets().shape == (0, 7)
    assert len(Labels.empty(4, 4)) == 0


@given(st.lists(st.tuples(*[st.floats(0, 30, width=32)] * 2, *[st.floats(1, 30, width=32)] * 2)))
def test_labels_come_back_from_disk_as_they_were(rows: list[tuple[float, ...]]) -> None:
    found = labels(*rows)
    found.rows[:, 5] = IGNORE
    back = Labels.from_structured(found.to_structured(), found.height, found.width)
    assert np.array_equal(back.rows, found.rows)
