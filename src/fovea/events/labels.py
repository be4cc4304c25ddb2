"""Labels: the boxes of one moment, in memory, as the network and the metrics take them.

Notation: a row is [t, x, y, w, h, class_id, class_confidence, objectness], all of float32, `x` and
`y` the top-left corner in pixels of the frame whose size the labels carry. A time above 0 is
ground truth; pseudo labels have the time 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from fovea.errors import DataError
from fovea.events.boxes import PSEUDO_DTYPE, Boxes

IGNORE = 1024
"""The class id of boxes that are neither an object nor background in training."""
T, X, Y, W, H, CLASS_ID, CLASS_CONFIDENCE, OBJECTNESS = range(8)


@dataclass(frozen=True)
class Labels:
    """The boxes of one moment in a frame of `height` x `width` pixels."""

    rows: Float32[np.ndarray, "n 8"]
    """[t, x, y, w, h, class_id, class_confidence, objectness] of each box."""
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> Labels:
        """Some of the boxes, by a mask, indices or a slice."""
        return self.with_rows(np.atleast_2d(self.rows[which]))

    def with_rows(self, rows: Float32[np.ndarray, "n 8"]) -> Labels:
        """Other boxes in the same frame."""
        return Labels(rows, self.height, self.width)

    @classmethod
    def empty(cls, height: int, width: int) -> Labels:
        """No boxes."""
        return cls(np.zeros((0, 8), np.float32), height, width)

    @classmethod
    def from_structured(cls, boxes: Boxes, height: int, width: int) -> Labels:
        """From rows as on disk; without objectness it is the class confidence."""
        names = boxes.dtype.names or ()
        last = "objectness" if "objectness" in names else "class_confidence"
        columns = ("t", "x", "y", "w", "h", "class_id", "class_confidence", last)
        rows = np.stack([boxes[name].astype(np.float32) for name in columns], axis=-1)
        return cls(rows.reshape(-1, 8), height, width)

    def to_structured(self) -> Boxes:
        """As rows on disk, of `PSEUDO_DTYPE`."""
        boxes = np.zeros(len(self), PSEUDO_DTYPE)
        columns = ("t", "x", "y", "w", "h", "class_id", "class_confidence", "objectness")
        for number, name in enumerate(columns):
            boxes[name] = self.rows[:, number]
        return boxes

    # What is in a row

    @property
    def class_id(self) -> Int64[np.ndarray, " n"]:
        """The classes."""
        return self.rows[:, CLASS_ID].astype(np.int64)

    @property
    def is_truth(self) -> Bool[np.ndarray, " n"]:
        """Which boxes are ground truth, and no pseudo labels."""
        return self.rows[:, T] > 0

    @property
    def xyxy(self) -> Float32[np.ndarray, "n 4"]:
        """The corners [left, top, right, bottom]."""
        corner = self.rows[:, X : Y + 1]
        return np.concatenate([corner, corner + self.rows[:, W : H + 1]], axis=1)

    def targets(self) -> Float32[np.ndarray, "n 7"]:
        """Rows as the loss takes them.

        Returns:
            [class, centre x, centre y, w, h, objectness, class confidence] of each box.
        """
        rows = self.rows
        targets = np.empty((len(rows), 7), np.float32)
        targets[:, 0] = rows[:, CLASS_ID]
        targets[:, 1:3] = rows[:, X : Y + 1] + rows[:, W : H + 1] * np.float32(0.5)
        targets[:, 3:5] = rows[:, W : H + 1]
        targets[:, 5] = rows[:, OBJECTNESS]
        targets[:, 6] = rows[:, CLASS_CONFIDENCE]
        return targets

    # What may be done to them

    def clamped(self) -> Labels:
        """Cut to the frame, corners to 0..width-1 and 0..height-1.

        Raises:
            DataError: a box lies outside, and nothing of it is left.
        """
        left_top_right_bottom = self.xyxy
        most = np.array([self.width - 1, self.height - 1] * 2, np.float32)
        clipped = np.clip(left_top_right_bottom, 0, most)
        flat = (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
        if flat.any():
            row = int(np.argmax(flat))
            box = ", ".join(f"{value:g}" for value in left_top_right_bottom[row])
            raise DataError(
                f"box {row} spans [{box}] (left, top, right, bottom), and nothing of it lies within"
                f" the frame of {self.height} x {self.width} pixels. Preprocess the recordings"
                " again, with the sensor they are from."
            )
        return self.with_rows(self._at(clipped))

    def scaled(self, factor: float) -> Labels:
        """In a frame `factor` times as large; boxes that become flat go."""
        height, width = int(self.height * factor), int(self.width * factor)
        corners = self.xyxy * np.float32(factor)
        corners[:, 2:] = np.minimum(corners[:, 2:], np.array([width - 1, height - 1], np.float32))
        rows = self._at(corners)
        return Labels(rows[(rows[:, W] > 0) & (rows[:, H] > 0)], height, width)

    def flipped(self) -> Labels:
        """Left and right exchanged."""
        rows = self.rows.copy()
        rows[:, X] = np.float32(self.width - 1) - rows[:, X] - rows[:, W]
        return self.with_rows(rows)

    def _at(self, corners: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 8"]:
        """The rows with other corners [left, top, right, bottom]."""
        rows = self.rows.copy()
        rows[:, X : Y + 1] = corners[:, :2]
        rows[:, W : H + 1] = corners[:, 2:] - corners[:, :2]
        return rows
