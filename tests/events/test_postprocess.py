"""Boxes from predictions: against the reference, and what suppression means."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.events.model.postprocess import nms, postprocess

CASES = (
    "gen1_conf0.1", "gen1_conf0.001", "gen4_conf0.3", "agnostic", "none_left",
    "many_vanilla_branch",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_boxes_are_the_reference_s_in_its_order(goldens, name) -> None:
    case = json.loads((goldens / "events" / "postprocess.json").read_text())[name]
    arrays = np.load(goldens / "events" / "postprocess.npz")
    found = postprocess(
        torch.from_numpy(arrays[f"{name}_in"]),
        confidence=case["conf"],
        iou=case["nms"],
        class_agnostic=case["class_agnostic"],
    )
    assert [len(rows) for rows in found] == case["num_out"]
    for image, rows in enumerate(found):
        np.testing.assert_allclose(rows.numpy(), arrays[f"{name}_out{image}"], rtol=1e-6)


def test_every_case_of_the_goldens_is_tried(goldens) -> None:
    assert sorted(json.loads((goldens / "events" / "postprocess.json").read_text())) == sorted(
        CASES
    )


def overlaps(boxes: np.ndarray) -> np.ndarray:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
    return shared / (areas[:, None] + areas[None] - shared)


@given(st.integers(0, 40), st.integers(0, 1000))
def test_kept_boxes_do_not_overlap_and_dropped_ones_have_a_surer_neighbour(count, seed) -> None:
    make = np.random.default_rng(seed)
    corners = make.uniform(0, 40, (count, 2))
    boxes = np.concatenate([corners, corners + make.uniform(1, 20, (count, 2))], 1)
    scores, kinds = make.random(count), make.integers(0, 2, count)
    found = nms(
        *(torch.from_numpy(x).float() for x in (boxes, scores, kinds.astype(float))), iou=0.45
    ).numpy()
    assert list(scores[found]) == sorted(scores[found], reverse=True)
    suppresses = (overlaps(boxes) > 0.45) & (kinds[:, None] == kinds)
    np.fill_diagonal(suppresses, False)
    assert not suppresses[np.ix_(found, found)].any()
    for dropped in set(range(count)) - set(found):
        assert any(suppresses[k, dropped] and scores[k] > scores[dropped] for k in found)


def test_of_equal_scores_the_earlier_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10]])
    assert nms(boxes, torch.tensor([0.5, 0.5]), torch.zeros(2), iou=0.45).tolist() == [0]


def test_a_confidence_just_met_is_enough() -> None:
    decoded = torch.tensor([[[8.0, 8, 4, 4, 0.5, 0.5, 0.25]]])
    (rows,) = postprocess(decoded, confidence=0.25)
    assert rows.tolist() == [[6, 6, 10, 10, 0.5, 0.5, 0]]
    (rows,) = postprocess(decoded, confidence=0.2501)
    assert rows.shape == (0, 7)
