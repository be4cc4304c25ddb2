"""Labels of a batch of sequences, brought together for the head.

Notation: a frame is (step, lane): the time within the sequence, and the place in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fovea.events.labels import IGNORE, Labels
from fovea.events.model.losses import thresholds, with_ignored
from fovea.events.settings.losses import LossConfig


@dataclass(frozen=True)
class Targets:
    """The labelled frames of a batch, by step and then by lane."""

    steps: Int64[Tensor, " N"]
    lanes: Int64[Tensor, " N"]
    rows: Float[Tensor, "N M 7"]
    """[class, cx, cy, w, h, objectness, class confidence], zeros where there is no box."""

    def __len__(self) -> int:
        return len(self.steps)

    def to(self, device: torch.device | str) -> Targets:
        """The same on another device."""
        return Targets(self.steps.to(device), self.lanes.to(device), self.rows.to(device))


def collect_targets(
    labels: Sequence[Sequence[Labels | None]], settings: LossConfig, classes: int
) -> Targets:
    """The frames that teach, of all that have labels.

    Args:
        labels: a list over lanes for each step.
        settings: say which frames to leave out.
        classes: of the detector.
    """
    frames = [
        (step, lane, boxes)
        for step, of_step in enumerate(labels)
        for lane, boxes in enumerate(of_step)
        if boxes is not None and len(boxes)
    ]
    most = max((len(boxes) for _, _, boxes in frames), default=1)
    rows = np.zeros((len(frames), most, 7), np.float32)
    for number, (_, _, boxes) in enumerate(frames):
        rows[number, : len(boxes)] = boxes.targets()
    places = torch.tensor([frame[:2] for frame in frames], dtype=torch.long).reshape(-1, 2)
    found = Targets(places[:, 0], places[:, 1], torch.from_numpy(rows))
    return _without_ignored(found, settings, classes) if settings.ignore_image else found


def _without_ignored(found: Targets, settings: LossConfig, classes: int) -> Targets:
    rows = found.rows
    if settings.assignment == "soft":
        rows = with_ignored(rows, thresholds(settings.ignore_bbox_thresh, classes))
    teaches = ((rows.sum(dim=2) > 0) & (rows[..., 0] != IGNORE)).any(dim=1)
    return Targets(found.steps[teaches], found.lanes[teaches], rows[teaches])
