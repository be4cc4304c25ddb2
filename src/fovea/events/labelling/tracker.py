"""Following boxes through a recording: straight motion, each box to the surest track it fits.

Each track moves on by its velocity and takes the box of its class that overlaps most with where it
should be; the surest track chooses first. One without a box loses confidence and is closed when
little is left. One pass, so the time grows with the number of boxes and not with its square.

Notation: frames are histogram numbers. A track is *done* when it was lost before the recording
ended.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024), filtering of
pseudo labels by tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.tracking_kernel import follow
from fovea.events.labels import H, T, X


@dataclass(frozen=True)
class Gaps:
    """Where tracks were not seen, between two frames in which they were."""

    track: Int64[np.ndarray, " m"]
    frames: Int64[np.ndarray, " m"]
    boxes: Float64[np.ndarray, "m 4"]
    """Centre and size where the motion would have them, cut to the image."""


@dataclass(frozen=True)
class Tracks:
    """What became of the boxes of one recording, read in one direction."""

    of_box: Int64[np.ndarray, " n"]
    """The track of each box."""
    done: Bool[np.ndarray, " tracks"]
    closed: Int64[np.ndarray, " tracks"]
    """Which track ended first, second, and so on."""
    is_truth: Bool[np.ndarray, " tracks"]
    """Whether one of its boxes is ground truth."""
    hits: Int64[np.ndarray, " tracks"]
    """Frames from its first box to its last, those in which it was missed included."""
    age: Int64[np.ndarray, " tracks"]
    """Frames since its first box."""
    confidence: Float64[np.ndarray, " tracks"]
    class_id: Int64[np.ndarray, " tracks"]
    boxes: Float64[np.ndarray, "tracks 4"]
    """Centre and size at the end."""
    velocity: Float64[np.ndarray, "tracks 2"]
    """Pixels a frame."""
    gaps: Gaps
    comparisons: int
    """Pairs of a track and a box that were looked at: what it cost."""

    def __len__(self) -> int:
        return len(self.done)

    def is_trusted(self, min_track_len: int) -> Bool[np.ndarray, " tracks"]:
        """Tracks that are long enough, not over yet, or hold ground truth."""
        return ~self.done | self.is_truth | (self.hits >= min_track_len)


Ties = Literal["published", "oldest"]


def track(boxes: FrameLabels, *, ties: Ties = "published") -> Tracks:
    """Follow the boxes of a recording from its first frame to the last that holds one.

    Args:
        boxes: of the recording.
        ties: which of two equally sure tracks chooses first. The published code leaves it to
            `np.argsort`, whose answer depends on the processor's vector instructions; `oldest` is
            the same everywhere. They differ where boxes crowd.
    """
    rows = boxes.labels.rows
    centred = rows[:, X : H + 1].astype(np.float64)
    centred[:, :2] += centred[:, 2:] / 2
    found: Any = follow(
        boxes.frames, centred, boxes.labels.class_id, rows[:, T] > 0,
        float(boxes.labels.height), float(boxes.labels.width), ties == "oldest",
    )  # fmt: skip
    of_box, states, gaps, comparisons = found
    return Tracks(
        of_box=of_box,
        done=states["done"],
        closed=states["closed"],
        is_truth=states["is_truth"],
        hits=states["hits"],
        age=states["age"],
        class_id=states["class_id"],
        boxes=states["box"],
        velocity=states["velocity"],
        confidence=states["confidence"],
        gaps=Gaps(gaps["track"], gaps["frame"], gaps["box"]),
        comparisons=comparisons,
    )


def track_backward(boxes: FrameLabels, *, ties: Ties = "published") -> Tracks:
    """Follow the boxes from the last to the first; `of_box` keeps the order of `boxes`."""
    last = boxes.frames[-1] if len(boxes) else 0
    found = track(FrameLabels(last - boxes.frames[::-1], boxes.labels[::-1]), ties=ties)
    gaps = replace(found.gaps, frames=last - found.gaps.frames)
    return replace(found, of_box=found.of_box[::-1], gaps=gaps)
