"""Several views of one recording become one: as it is, mirrored, backwards, and both.

A view's boxes are brought back to the recording's own direction and time, those of all views are
laid over each other, and of boxes that overlap the surest stays. Scores are neither averaged nor
are votes counted.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024), test-time
augmentation of pseudo labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from fovea.events.labelling.frames import FrameLabels
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, OBJECTNESS, Labels
from fovea.events.model.postprocess import NMS_IOU, nms
from fovea.events.sensor import Sensor


@dataclass(frozen=True)
class View:
    """How a recording was looked at."""

    is_flipped: bool = False
    """Left for right."""
    is_reversed: bool = False
    """Backwards in time."""

    @property
    def is_augmented(self) -> bool:
        """Whether it is another than the recording itself."""
        return self.is_flipped or self.is_reversed

    def undo(self, frame: int, labels: Labels, sensor: Sensor) -> tuple[int, Labels]:
        """What was found at a step of this view, where it belongs, in sensor pixels.

        Args:
            frame: the histogram that was read at the step.
            labels: found there, in pixels of the network's input.
            sensor: of the recording.
        """
        if self.is_flipped:
            labels = labels.flipped()
        if sensor.halved:
            labels = labels.scaled(2)
        return frame + sensor.time_flip_offset * self.is_reversed, labels


def merge_views(
    found: Iterable[tuple[int, Labels]],
    sensor: Sensor,
    *,
    n_frames: int,
    confidence: float,
    iou: float = NMS_IOU,
    suppress: bool = True,
) -> FrameLabels:
    """The boxes of all views of a recording, frame by frame.

    Args:
        found: boxes of single frames, brought back by `View.undo`; a frame may come several times,
            and frames outside the recording are dropped.
        sensor: of the recording.
        n_frames: its histograms.
        confidence: least objectness times class confidence of a box that is merged.
        iou: overlap above which the less sure of two boxes goes.
        suppress: whether there is anything to merge; a single view is taken as it is.
    """
    rows: dict[int, list[Labels]] = defaultdict(list)
    for frame, labels in found:
        if 0 <= frame < n_frames and len(labels):
            rows[frame].append(labels)
    size = {"height": sensor.height, "width": sensor.width}
    parts = {frame: _joined(labels) for frame, labels in rows.items()}
    if suppress:
        parts = {
            frame: suppressed(labels, confidence=confidence, iou=iou)
            for frame, labels in parts.items()
        }
    return FrameLabels.joined(parts.items(), **size)


def suppressed(labels: Labels, *, confidence: float, iou: float = NMS_IOU) -> Labels:
    """The boxes of one frame that are sure enough and covered by no surer one, surest first."""
    scores = labels.rows[:, OBJECTNESS] * labels.rows[:, CLASS_CONFIDENCE]
    labels = labels[scores >= np.float32(confidence)]
    rows = torch.from_numpy(labels.rows)
    kept = nms(
        torch.from_numpy(labels.xyxy),
        rows[:, OBJECTNESS] * rows[:, CLASS_CONFIDENCE],
        rows[:, CLASS_ID],
        iou=iou,
    )
    return labels[kept.numpy()]


def with_truth(pseudo: FrameLabels, truth: FrameLabels) -> FrameLabels:
    """Ground truth, and pseudo labels in all frames that have none."""
    beside = pseudo.where(~np.isin(pseudo.frames, truth.frames))
    size = {"height": truth.labels.height, "width": truth.labels.width}
    return FrameLabels.joined([*beside, *truth], **size)


def _joined(labels: list[Labels]) -> Labels:
    return labels[0].with_rows(np.concatenate([each.rows for each in labels]))
