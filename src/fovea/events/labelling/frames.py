"""The boxes of one recording, frame after frame, in one table.

Notation: a frame is the number of a histogram in its recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64

from fovea.events.dataset import Recording
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
        edges = [*self.starts.tolist(), len(self)]
        for start, end in pairwise(edges):
            yield int(self.frames[start]), self.labels[start:end]

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

    @property
    def numbers(self) -> Int64[np.ndarray, " frames"]:
        """The frames that hold boxes."""
        return np.unique(self.frames)

    def where(self, which: Bool[np.ndarray, " n"]) -> FrameLabels:
        """Some of the boxes."""
        return FrameLabels(self.frames[which], self.labels[which])


def labels_in(recording: Recording, objframes: Iterable[int] | None = None) -> FrameLabels:
    """The boxes of some labelled moments of a recording, of all by default, in sensor pixels."""
    sensor = recording.sensor
    frames, first = recording.objframe_to_histogram, recording.objframe_to_label
    last = [*first[1:], len(recording.labels)]
    if objframes is None:
        objframes = range(len(frames))
    parts = [
        (int(frames[at]), Labels.from_structured(rows, sensor.height, sensor.width).clamped())
        for at in objframes
        if len(rows := recording.labels[first[at] : last[at]])
    ]
    return FrameLabels.joined(parts, height=sensor.height, width=sensor.width)
