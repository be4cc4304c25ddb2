"""The boxes of one recording, frame after frame, in one table.

Notation: a frame is the number of a histogram in its recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from fovea.events.labels import Labels


@dataclass(frozen=True)
class FrameLabels:
    """Boxes and the frame of each; frames never fall."""

    frames: Int64[np.ndarray, " n"]
    labels: Labels

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[tuple[int, Labels]]:
        """The frames that hold boxes, in order, each with its boxes."""
        numbers, first = np.unique(self.frames, return_index=True)
        last = [*first[1:], len(self.frames)]
        for number, start, end in zip(numbers, first, last, strict=True):
            yield int(number), self.labels[start:end]

    @classmethod
    def joined(cls, parts: Iterable[tuple[int, Labels]], *, height: int, width: int) -> FrameLabels:
        """From the boxes of single frames, which may come in any order."""
        parts = sorted(parts, key=lambda part: part[0])
        rows = [np.zeros((0, 8), np.float32), *(labels.rows for _, labels in parts)]
        frames = np.repeat([frame for frame, _ in parts], [len(labels) for _, labels in parts])
        return cls(frames.astype(np.int64), Labels(np.concatenate(rows), height, width))

    @property
    def starts(self) -> Int64[np.ndarray, " frames"]:
        """The first box of each frame that holds one."""
        return np.unique(self.frames, return_index=True)[1].astype(np.int64)

    def where(self, which: Bool[np.ndarray, " n"]) -> FrameLabels:
        """Some of the boxes."""
        return FrameLabels(self.frames[which], self.labels[which])

    def in_truth_frames(self) -> Bool[np.ndarray, " n"]:
        """Which boxes lie in a frame with ground truth."""
        return np.isin(self.frames, self.frames[self.labels.is_truth])
