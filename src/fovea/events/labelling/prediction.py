"""From what a detector says of a frame to labels: sure boxes of a sensible size.

Notation: a prediction is [x1, y1, x2, y2, objectness, class confidence, class] in pixels of the
network's input, without its padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from fovea.events.boxes import WIDEST
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, OBJECTNESS, H, Labels, W, X, Y
from fovea.events.model.losses import thresholds

SMALLEST_SIDE_PX = 5
"""Of a pseudo label, in the network's input."""


@dataclass(frozen=True)
class Thresholds:
    """How sure a detector must be of a box, by class; both scores must be larger."""

    objectness: tuple[float, ...]
    class_confidence: tuple[float, ...]

    @classmethod
    def of(
        cls, objectness: Sequence[float], class_confidence: Sequence[float], *, classes: int
    ) -> Thresholds:
        """From one number for all classes, one each, or for gen4 two as (cars, all others).

        Raises:
            ConfigError: there are other numbers of them.
        """
        return cls(thresholds(objectness, classes), thresholds(class_confidence, classes))

    def pass_by(self, labels: Labels) -> Labels:
        """The boxes that are sure enough."""
        kind = labels.class_id
        objectness = np.array(self.objectness, np.float32)
        class_confidence = np.array(self.class_confidence, np.float32)
        is_object = labels.rows[:, OBJECTNESS] > objectness[kind]
        is_class = labels.rows[:, CLASS_CONFIDENCE] > class_confidence[kind]
        return labels[is_object & is_class]


def labels_of(predictions: Float32[np.ndarray, "n 7"], *, height: int, width: int) -> Labels:
    """Predictions as labels of the time 0, their corners cut to the frame; flat boxes go."""
    most = np.array([width - 1, height - 1] * 2, np.float32)
    corners = np.clip(predictions[:, :4], 0, most)
    rows = np.zeros((len(predictions), 8), np.float32)
    rows[:, X : Y + 1] = corners[:, :2]
    rows[:, W : H + 1] = corners[:, 2:] - corners[:, :2]
    rows[:, CLASS_ID] = predictions[:, 6]
    rows[:, CLASS_CONFIDENCE] = predictions[:, 5]
    rows[:, OBJECTNESS] = predictions[:, 4]
    labels = Labels(rows, height, width)
    return labels[(rows[:, W] > 0) & (rows[:, H] > 0)]


def plausible(labels: Labels) -> Labels:
    """The boxes that are neither tiny nor nearly as wide as the frame."""
    w, h = labels.rows[:, W], labels.rows[:, H]
    part, whole = WIDEST
    is_large = (w >= SMALLEST_SIDE_PX) & (h >= SMALLEST_SIDE_PX)
    return labels[is_large & (w <= part * labels.width // whole)]


def pseudo_labels(
    predictions: Float32[np.ndarray, "n 7"], least: Thresholds, *, height: int, width: int
) -> Labels:
    """The labels that predictions of one frame give."""
    return plausible(least.pass_by(labels_of(predictions, height=height, width=width)))
