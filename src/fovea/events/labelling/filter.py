"""Taking away pseudo labels that no track holds, and filling the gaps of those that one does.

Nothing is deleted. A box that is not believed gets the class `IGNORE`, and so does a box that is
filled in: training then learns nothing where it lies, neither that there is an object nor that
there is none. Ground truth is never touched.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024), filtering of
pseudo labels by tracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from jaxtyping import Int8, Int64

from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.tracker import Tracks, track, track_backward
from fovea.events.labels import CLASS_ID, IGNORE, H, X

Method = Literal["forward or backward", "forward"]


class Fate(IntEnum):
    """What became of a box, and why."""

    TRUTH = 0
    """Ground truth."""
    LONG = 1
    """Kept: its track is long enough."""
    UNFINISHED = 2
    """Kept: its track was not over when the recording ended."""
    ANCHORED = 3
    """Kept: its track holds ground truth."""
    BACKWARD = 4
    """Kept: read backwards, its track is one of the above."""
    SHORT = 5
    """Removed: its track is over and spans too few frames."""
    INPAINTED = 6
    """Filled in where its track was not seen."""
    UNFILTERED = 7
    """Kept: nothing was filtered."""
    IGNORED = 8
    """Removed before, in the data set that was filtered again."""

    @property
    def word(self) -> str:
        """`truth`, `kept`, `removed` or `inpainted`."""
        if self in (Fate.TRUTH, Fate.INPAINTED):
            return self.name.lower()
        return "removed" if self in (Fate.SHORT, Fate.IGNORED) else "kept"


@dataclass(frozen=True)
class Filtered:
    """The boxes of a recording after the filter, those filled in included."""

    boxes: FrameLabels
    """As they are written: what was removed and what was filled in has the class `IGNORE`."""
    class_id: Int64[np.ndarray, " n"]
    """The class each box had before, or has from its track."""
    fate: Int8[np.ndarray, " n"]
    track: Int64[np.ndarray, " n"]
    """Number of its track, read forwards."""
    length: Int64[np.ndarray, " n"]
    """Frames that this track spans."""
    backward_length: Int64[np.ndarray, " n"]
    """Frames that its track spans, read backwards; 0 where that was not done."""


def filter_labels(
    boxes: FrameLabels, *, min_track_len: int, method: Method, inpaint: bool
) -> Filtered:
    """Ignore boxes on short tracks and fill the gaps of the others.

    Args:
        boxes: ground truth and pseudo labels of one recording.
        min_track_len: a track must span as many frames; 0 or less keeps every box and fills none.
        method: whether a box may be saved by its track read backwards too.
        inpaint: whether gaps are filled.
    """
    forward = track(boxes)
    backward = track_backward(boxes) if method == "forward or backward" else None
    fate = _fates(boxes, forward, backward, min_track_len)
    is_removed = fate == Fate.SHORT
    assert not (is_removed & boxes.labels.is_truth).any(), "a track with ground truth is trusted"
    rows = boxes.labels.rows.copy()
    rows[is_removed, CLASS_ID] = IGNORE
    filtered = Filtered(
        boxes=FrameLabels(boxes.frames, boxes.labels.with_rows(rows)),
        class_id=boxes.labels.class_id,
        fate=fate,
        track=forward.of_box,
        length=forward.hits[forward.of_box],
        backward_length=backward.hits[backward.of_box] if backward else np.zeros_like(fate, int),
    )
    if not inpaint or min_track_len <= 0:
        return filtered
    return _with_gaps_filled(filtered, forward, min_track_len)


def _fates(
    boxes: FrameLabels, forward: Tracks, backward: Tracks | None, min_track_len: int
) -> Int8[np.ndarray, " n"]:
    """What becomes of each box; of several reasons to keep it, the one named first."""
    if min_track_len <= 0:
        fate = np.full(len(boxes), Fate.UNFILTERED, np.int8)
    else:
        fate = np.full(len(boxes), Fate.SHORT, np.int8)
        if backward is not None:
            fate[backward.is_trusted(min_track_len)[backward.of_box]] = Fate.BACKWARD
        fate[~forward.done[forward.of_box]] = Fate.UNFINISHED
        fate[forward.hits[forward.of_box] >= min_track_len] = Fate.LONG
        fate[forward.is_truth[forward.of_box]] = Fate.ANCHORED
    fate[boxes.labels.is_truth] = Fate.TRUTH
    return fate


def _with_gaps_filled(filtered: Filtered, forward: Tracks, min_track_len: int) -> Filtered:
    # Within a frame as the published data sets have them: the track that ended first comes first.
    which = np.flatnonzero(forward.is_trusted(min_track_len)[forward.gaps.track])
    which = which[np.argsort(forward.closed[forward.gaps.track[which]], kind="stable")]
    number, frames = forward.gaps.track[which], forward.gaps.frames[which]
    rows = np.zeros((len(number), 8), np.float32)
    boxes = forward.gaps.boxes[which]
    boxes[:, :2] -= boxes[:, 2:] / 2
    rows[:, X : H + 1] = boxes
    rows[:, CLASS_ID] = IGNORE
    old = filtered.boxes
    frames = np.concatenate([old.frames, frames])
    order = np.argsort(frames, kind="stable")
    labels = old.labels.with_rows(np.concatenate([old.labels.rows, rows])[order])
    fill = np.full(len(number), Fate.INPAINTED, np.int8)
    return Filtered(
        boxes=FrameLabels(frames[order], labels),
        class_id=np.concatenate([filtered.class_id, forward.class_id[number]])[order],
        fate=np.concatenate([filtered.fate, fill])[order],
        track=np.concatenate([filtered.track, number])[order],
        length=np.concatenate([filtered.length, forward.hits[number]])[order],
        backward_length=np.concatenate([filtered.backward_length, np.zeros_like(number)])[order],
    )
