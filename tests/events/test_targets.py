"""Which labelled frames teach, and how they are laid out."""

import numpy as np
import torch

from fovea.events.labels import IGNORE, Labels
from fovea.events.model.targets import collect_targets
from fovea.events.settings.losses import LossConfig


def boxes(count: int, *, t: float = 0.0, score: float = 0.9, class_id: int = 0) -> Labels:
    rows = np.array([[t, 4, 6, 10, 12, class_id, score, score]] * count, np.float32)
    return Labels(rows, 48, 64)


def test_frames_come_by_step_and_then_by_lane() -> None:
    labels = [[None, boxes(2)], [boxes(1), None], [boxes(3), boxes(1)]]
    found = collect_targets(labels, LossConfig(), classes=2)
    assert list(zip(found.steps.tolist(), found.lanes.tolist(), strict=True)) == [
        (0, 1), (1, 0), (2, 0), (2, 1),
    ]  # fmt: skip
    assert found.rows.shape == (4, 3, 7)
    assert torch.equal(found.rows[0, 0], torch.tensor([0, 9, 12, 10, 12, 0.9, 0.9]))
    assert not found.rows[1, 1:].any()


def test_no_labels_give_no_frames() -> None:
    found = collect_targets([[None, None]], LossConfig(), classes=2)
    assert len(found) == 0
    assert found.rows.shape == (0, 1, 7)


def test_frames_of_ignored_boxes_alone_may_be_left_out() -> None:
    labels = [[boxes(2, class_id=IGNORE), boxes(2), boxes(1, score=0.2)]]
    kept = collect_targets(labels, LossConfig(), classes=2)
    assert kept.lanes.tolist() == [0, 1, 2]
    hard = collect_targets(labels, LossConfig(ignore_image=True), classes=2)
    assert hard.lanes.tolist() == [1, 2]
    soft = LossConfig(ignore_image=True, assignment="soft")
    assert collect_targets(labels, soft, classes=2).lanes.tolist() == [1]
