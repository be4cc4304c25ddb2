"""The loop over the boxes of a recording, compiled: what `tracker` does, a box at a time.

Notation: boxes are `cx cy w h`, frames histogram numbers. A frame costs its live tracks times its
boxes, and both are few; what came before it is never looked at again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, objmode

MATCH_IOU = 0.45
"""Overlap from which a detection may be taken for a track's next box."""
DECAY = 0.9
"""Confidence of a new track, and what is left of it after a frame without a match."""
LOST = 0.55
"""A track below this confidence is closed: a new one at the fifth miss in a row."""
MOST_PENDING = 8
"""More misses in a row than any track survives: 0.9 to the sixth is below `LOST`."""

_STATE = np.dtype(
    [
        ("box", "f8", (4,)),
        ("velocity", "f8", (2,)),
        ("confidence", "f8"),
        ("hits", "i8"),
        ("age", "i8"),
        ("class_id", "i8"),
        ("done", "?"),
        ("is_truth", "?"),
        ("closed", "i8"),
        ("last", "f8", (4,)),
        ("corners", "f8", (4,)),
        ("cut", "u1", (4,)),
        ("pending", "f8", (MOST_PENDING, 4)),
        ("pending_at", "i8", (MOST_PENDING,)),
        ("n_pending", "i8"),
    ],
    align=True,
)
"""A track: its box, that of the frame before, the predicted one inside the image as corners with
the sides (left, right, top, bottom) that were cut, the boxes missed since its last match, and
whether it was closed before the end, as the how many-th."""
_GAP = np.dtype([("track", "i8"), ("frame", "i8"), ("box", "f8", (4,))], align=True)
"""A box missed by a track that was seen again."""


@njit(cache=True)
def follow(
    frames: Any,
    boxes: Any,
    classes: Any,
    is_truth: Any,
    height: float,
    width: float,
    oldest_first: bool,
) -> tuple[Any, ...]:
    """Follow the boxes from the first frame to the last.

    Returns:
        The track of each box, the tracks, the boxes they missed, and how many pairs of a track and
        a box were looked at.
    """
    n = len(frames)
    of_box = np.full(n, -1, np.int64)
    tracks = np.zeros(n, _STATE)
    gaps = np.zeros(MOST_PENDING * n, _GAP)
    live = np.zeros(n, np.int64)
    order = np.zeros(n, np.int64)
    n_tracks = n_gaps = n_live = comparisons = first = 0
    frame = frames[0] if n else 0
    while first < n:
        if n_live == 0:
            frame = frames[first]
        end = first
        holds_truth = False
        while end < n and frames[end] == frame:
            holds_truth = holds_truth or is_truth[end]
            end += 1
        for k in range(n_live):
            _advance(tracks[live[k]], height, width)
        _sort(tracks, live, n_live, order, oldest_first)
        for k in range(n_live):
            track: Any = tracks[order[k]]
            j = _best(track, boxes, classes, of_box, first, end)
            comparisons += end - first
            if j >= 0:
                of_box[j] = order[k]
                _match(track, boxes[j], is_truth[j])
                n_gaps = _keep_gaps(track, order[k], gaps, n_gaps)
            else:
                track.confidence *= DECAY
                if not holds_truth:
                    _hold_gap(track, frame)
        for j in range(first, end):
            if of_box[j] < 0:
                of_box[j] = live[n_live] = n_tracks
                _begin(tracks[n_tracks], boxes[j], classes[j], is_truth[j])
                n_tracks += 1
                n_live += 1
        n_live = _close(tracks, live, n_live, n_tracks - n_live)
        first = end
        frame += 1
    for k in range(n_live):
        last: Any = tracks[live[k]]
        last.closed = n_tracks - 1 - k
    return of_box, tracks[:n_tracks].copy(), gaps[:n_gaps].copy(), comparisons


@njit(cache=True)
def _advance(track: Any, height: float, width: float) -> None:
    """Move a track on by its velocity; where it should be seen is what the image holds of it."""
    track.age += 1
    box = track.box
    track.last[:] = box
    box[0] += track.velocity[0]
    box[1] += track.velocity[1]
    for axis, most in ((0, width - 1), (1, height - 1)):
        low, high = box[axis] - box[axis + 2] / 2, box[axis] + box[axis + 2] / 2
        track.cut[2 * axis], track.cut[2 * axis + 1] = low < 0, high > most
        track.corners[axis] = min(max(low, 0.0), most)
        track.corners[axis + 2] = min(max(high, 0.0), most)


@njit(cache=True)
def _sort(tracks: Any, live: Any, n_live: int, order: Any, oldest_first: bool) -> None:
    """Put the surest track first; they are few. Among equals the oldest, or as NumPy would."""
    has_equals = False
    for k in range(n_live):
        slot = k
        sureness = tracks[live[k]].confidence
        while slot > 0 and tracks[order[slot - 1]].confidence < sureness:
            order[slot] = order[slot - 1]
            slot -= 1
        order[slot] = live[k]
        has_equals |= slot > 0 and tracks[order[slot - 1]].confidence == sureness
    if has_equals and not oldest_first:
        _sort_as_numpy(tracks, live, n_live, order)


@njit(cache=True)
def _sort_as_numpy(tracks: Any, live: Any, n_live: int, order: Any) -> None:
    """Put equally sure tracks in the order in which `np.argsort` leaves them on this processor."""
    falling = np.zeros(n_live)
    for k in range(n_live):
        falling[k] = -tracks[live[k]].confidence
    with objmode(places="int64[:]"):
        places: Any = np.argsort(falling).astype(np.int64)
    for k in range(n_live):
        order[k] = live[places[k]]


@njit(cache=True)
def _best(track: Any, boxes: Any, classes: Any, of_box: Any, first: int, end: int) -> int:
    """The box of the frame that overlaps most with the prediction, of those not taken; -1: none."""
    best, best_iou = -1, MATCH_IOU
    for j in range(first, end):
        if of_box[j] < 0 and classes[j] == track.class_id:
            iou = _iou(track.corners, boxes[j])
            if iou > best_iou or (best < 0 and iou >= best_iou):
                best, best_iou = j, iou
    return best


@njit(cache=True)
def _iou(corners: Any, box: Any) -> float:
    x0, x1 = box[0] - box[2] / 2, box[0] + box[2] / 2
    y0, y1 = box[1] - box[3] / 2, box[1] + box[3] / 2
    wide = min(corners[2], x1) - max(corners[0], x0)
    high = min(corners[3], y1) - max(corners[1], y0)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    area = (corners[2] - corners[0]) * (corners[3] - corners[1])
    return both / (area + box[2] * box[3] - both)


@njit(cache=True)
def _match(track: Any, box: Any, is_truth: bool) -> None:
    """Take a detection; on an axis where a side was cut off, the other side tells the motion."""
    for axis in range(2):
        moved = box[axis] - track.last[axis]
        grown = (box[axis + 2] - track.last[axis + 2]) / 2
        if track.cut[2 * axis]:
            moved += grown
        elif track.cut[2 * axis + 1]:
            moved -= grown
        track.velocity[axis] = moved
    track.box[:] = box
    weight = DECAY * (1 - DECAY ** float(track.age)) / (1 - DECAY)
    track.confidence = (weight * track.confidence + 1) / (weight + 1)
    track.hits = track.age + 1
    track.is_truth = track.is_truth or is_truth


@njit(cache=True)
def _hold_gap(track: Any, frame: int) -> None:
    """Remember where a track should have been, in case it is seen again."""
    corners = track.corners
    box = track.pending[track.n_pending]
    for axis in range(2):
        box[axis] = (corners[axis] + corners[axis + 2]) / 2
        box[axis + 2] = corners[axis + 2] - corners[axis]
    track.pending_at[track.n_pending] = frame
    track.n_pending += 1


@njit(cache=True)
def _keep_gaps(track: Any, number: int, gaps: Any, n_gaps: int) -> int:
    """A track is seen again: the boxes between are its gaps."""
    for m in range(track.n_pending):
        gaps[n_gaps].track = number
        gaps[n_gaps].frame = track.pending_at[m]
        gaps[n_gaps].box[:] = track.pending[m]
        n_gaps += 1
    track.n_pending = 0
    return n_gaps


@njit(cache=True)
def _begin(track: Any, box: Any, class_id: int, is_truth: bool) -> None:
    track.box[:] = box
    track.confidence = DECAY
    track.hits = 1
    track.class_id = class_id
    track.is_truth = is_truth


@njit(cache=True)
def _close(tracks: Any, live: Any, n_live: int, n_closed: int) -> int:
    """Close the tracks no longer believed, the youngest first; says how many live on."""
    for k in range(n_live - 1, -1, -1):
        if tracks[live[k]].confidence < LOST:
            tracks[live[k]].done = True
            tracks[live[k]].closed = n_closed
            n_closed += 1
    kept = 0
    for k in range(n_live):
        live[kept] = live[k]
        kept += not tracks[live[k]].done
    return kept
