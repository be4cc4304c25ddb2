"""What must hold of a pseudo data set, looked up in its files; anything else is a fault of ours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fovea.events.dataset import Recording
from fovea.events.labelling.frames import FrameLabels, labels_in
from fovea.events.labelling.quality import SAME
from fovea.events.labels import CLASS_CONFIDENCE, OBJECTNESS

CHECKED_SHARE = 0.1
"""Part of the recordings that is looked through."""


def inspect(made: Recording, truth: FrameLabels, hidden_frames: Iterable[int]) -> None:
    """Look through one recording.

    Args:
        made: as it was written.
        truth: the visible ground truth it must hold, in sensor pixels; none where it was labelled
            over.
        hidden_frames: those whose truth must not be in it.

    Raises:
        AssertionError: something does not hold.
    """
    frames, first = made.objframe_to_histogram, made.objframe_to_label
    where = made.folder
    assert (np.diff(frames) > 0).all(), f"{where}: frames are not sorted"
    assert (np.diff(first) > 0).all(), f"{where}: a frame has no boxes"
    assert not len(frames) or 0 <= frames[0] <= frames[-1] < made.n_histograms, (
        f"{where}: frames {frames[0]} to {frames[-1]} of {made.n_histograms} histograms"
    )
    found = labels_in(made)
    scores = found.labels.rows[:, [CLASS_CONFIDENCE, OBJECTNESS]]
    assert ((scores >= 0) & (scores <= 1)).all(), f"{where}: a score is not within 0 to 1"
    known = dict(found)
    for frame, wanted in truth:
        assert frame in known, f"{where}: the ground truth of frame {frame} is gone"
        kept = known[frame]
        is_same = len(kept) == len(wanted) and np.allclose(
            kept.rows, wanted.rows, rtol=SAME, atol=SAME
        )
        assert is_same, f"{where}: the ground truth of frame {frame} has changed"
    for frame in hidden_frames:
        if frame in known:
            assert not known[frame].is_truth.any(), f"{where}: frame {frame} shows hidden truth"
