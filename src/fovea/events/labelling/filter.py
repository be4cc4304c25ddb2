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
from jaxtyping import Float32, Int8, Int64

from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.tracker import Gaps, Ties, Tracks, track, track_backward
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, IGNORE, OBJECTNESS, H, W, X, Y

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

    @property
    def reason(self) -> str:
        """Why it is so, in a word; empty where there is nothing to say."""
        return "" if self in (Fate.TRUTH, Fate.INPAINTED) else self.name.lower()


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
    boxes: FrameLabels,
    *,
    min_track_len: int,
    method: Method,
    inpaint: bool,
    ties: Ties = "published",
) -> Filtered:
    """Ignore boxes on short tracks and fill the gaps of the others.

    Args:
        boxes: ground truth and pseudo labels of one recording.
        min_track_len: a track must span as many frames; 0 or less keeps every box and fills none.
        method: whether a box may be saved by its track read backwards too.
        inpaint: whether gaps are filled.
        ties: which of two equally sure tracks chooses first; see `track`.
    """
    forward = track(boxes, ties=ties)
    backward = track_backward(boxes, ties=ties) if method == "forward or backward" else None
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


def filter_again(
    boxes: FrameLabels,
    *,
    min_track_len: int,
    method: Method,
    inpaint: bool,
    ties: Ties = "published",
) -> Filtered:
    """Filter labels that were filtered before: gaps are filled anew, what was removed stays so."""
    rows = boxes.labels.rows
    is_ignored = rows[:, CLASS_ID] == IGNORE
    is_fill = is_ignored & (rows[:, [CLASS_CONFIDENCE, OBJECTNESS]] == 0).all(axis=1)
    found = filter_labels(
        boxes.where(~is_ignored),
        min_track_len=min_track_len,
        method=method,
        inpaint=inpaint,
        ties=ties,
    )
    gone = boxes.where(is_ignored & ~is_fill)
    none = np.zeros(len(gone), np.int64)
    return _with_added(found, gone, Fate.IGNORED, none + IGNORE, none - 1, none)


def _with_gaps_filled(filtered: Filtered, forward: Tracks, min_track_len: int) -> Filtered:
    # Within a frame as the published data sets have them: the track that ended first comes first.
    which = np.flatnonzero(forward.is_trusted(min_track_len)[forward.gaps.track])
    which = which[np.argsort(forward.closed[forward.gaps.track[which]], kind="stable")]
    number = forward.gaps.track[which]
    rows = filtered.boxes.labels.with_rows(_rows_of(forward.gaps, which))
    fill = FrameLabels(forward.gaps.frames[which], rows)
    return _with_added(
        filtered, fill, Fate.INPAINTED,
        forward.class_id[number], number, forward.hits[number],
    )  # fmt: skip


def _with_added(
    found: Filtered,
    more: FrameLabels,
    fate: Fate,
    class_id: Int64[np.ndarray, " m"],
    track: Int64[np.ndarray, " m"],
    length: Int64[np.ndarray, " m"],
) -> Filtered:
    """With boxes of one fate behind those of their frame."""
    frames = np.concatenate([found.boxes.frames, more.frames])
    order = np.argsort(frames, kind="stable")
    rows = np.concatenate([found.boxes.labels.rows, more.labels.rows])[order]
    fates = np.concatenate([found.fate, np.full(len(more), fate, np.int8)])
    return Filtered(
        boxes=FrameLabels(frames[order], found.boxes.labels.with_rows(rows)),
        class_id=np.concatenate([found.class_id, class_id])[order],
        fate=fates[order],
        track=np.concatenate([found.track, track])[order],
        length=np.concatenate([found.length, length])[order],
        backward_length=np.concatenate([found.backward_length, np.zeros_like(track)])[order],
    )


def _rows_of(gaps: Gaps, which: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m 8"]:
    """Gaps as rows of labels."""
    boxes = gaps.boxes[which]
    rows = np.zeros((len(boxes), 8), np.float32)
    rows[:, X : Y + 1] = boxes[:, :2] - boxes[:, 2:] / 2
    rows[:, W : H + 1] = boxes[:, 2:]
    rows[:, CLASS_ID] = IGNORE
    return rows
