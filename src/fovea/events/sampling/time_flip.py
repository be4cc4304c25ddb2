"""Recordings read backwards.

A histogram covers the time before its end, so read backwards it ends where the one before it ended:
labels move by `Sensor.time_flip_offset` histograms, -1 where two neighbours cover all of a gap
between labels and -2 for gen4.

Notation: a window is the histograms `start` up to, but without, `stop`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, UInt8


def flipped_histograms(
    histograms: UInt8[np.ndarray, "n channels h w"],
) -> UInt8[np.ndarray, "n channels h w"]:
    """The histograms in reverse order, each with its channels in reverse order; a view.

    Reversing the channels reverses the time bins and exchanges the polarities at once: what became
    brighter becomes darker when time runs backwards.
    """
    return histograms[::-1, ::-1]


def labelled_histogram(histogram: int, *, is_reversed: bool, offset: int) -> int:
    """The histogram whose labels hold at the end of this one, as it is read.

    Args:
        histogram: its index in the recording.
        is_reversed: whether it is read backwards.
        offset: `Sensor.time_flip_offset`.
    """
    return histogram + offset if is_reversed else histogram


def flipped_stops(
    labelled: Int64[np.ndarray, " m"], *, n_histograms: int, length: int, offset: int
) -> Int64[np.ndarray, " k"]:
    """Where windows of `length` stop that, read backwards, reach a label as late as they can.

    Labels too near the end of the recording have no histogram that carries them backwards; they are
    left out.
    """
    usable = labelled[labelled - offset < n_histograms]
    return np.minimum(n_histograms, usable - offset + length)
