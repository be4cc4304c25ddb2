"""Events of one window as planes that a network reads: the stacked histogram, and a second form.

Windows are given as `EventStream`s, or column by column to a `Histogrammer`, which counts into
memory of its own. Histogram planes are ordered by polarity (darker, then brighter), then by time.

Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event
Cameras" (2023). Kept as published, because results depend on it: a count wraps at 256 before it is
cut (`exact=True` does not), and the bins part the time from the first event to the last, not the
window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int8, UInt8

from fovea.events.formats.decoder import fell, outside
from fovea.events.stream import EventStream
from fovea.scene.raster.compiled import kernels

BINS = 10
CUTOFF = 10
DENSITY_CUTOFF = 32
MOST = 255
Histogram = UInt8[np.ndarray, "planes height width"]


def stacked_histogram(
    events: EventStream, *, bins: int = BINS, cutoff: int | None = CUTOFF, exact: bool = False
) -> Histogram:
    """Count the events of one window by polarity, time bin and pixel.

    The time from the first event to the last is cut into `bins` equal parts. An event on a cut
    belongs to the later part, the last event to the last part. No events give zeros.

    Args:
        events: one window.
        bins: parts of the window; the paper uses 10 for 50 ms.
        cutoff: the largest count kept; None and whatever is above mean 255.
        exact: whether many events in one cell stay many; else 257 of them are 1, as published.

    Returns:
        Counts [2 * bins, height, width], the planes of polarity 0 before those of polarity 1.

    Raises:
        DataError: an event lies outside the sensor, or the times fall.
    """
    planes = np.empty((2 * bins, events.height, events.width), np.uint8)
    _count(events.t, events.x, events.y, events.p, _cutoff(cutoff), exact, planes)
    return planes


def halve(histogram: Histogram) -> Histogram:
    """The histogram at half size: of every two by two pixels the lower right one."""
    height, width = histogram.shape[1:]
    return np.ascontiguousarray(histogram[:, 1 : height // 2 * 2 : 2, 1 : width // 2 * 2 : 2])


class Histogrammer:
    """Stacked histograms of window after window, in the same memory.

    What `window` returns is overwritten by its next call: copy what is to stay.
    """

    def __init__(
        self,
        height: int,
        width: int,
        bins: int = BINS,
        cutoff: int | None = CUTOFF,
        exact: bool = False,
    ) -> None:
        self.bins, self.exact = bins, exact
        self.cutoff = _cutoff(cutoff)
        self._planes = np.empty((2 * bins, height, width), np.uint8)

    def window(self, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> Histogram:
        """The histogram of one window, as `stacked_histogram` would count it."""
        _count(t, x, y, p, self.cutoff, self.exact, self._planes)
        return self._planes


def _cutoff(cutoff: int | None) -> int:
    return MOST if cutoff is None else max(0, min(cutoff, MOST))


def _kernels() -> Any:
    return kernels("histogram", package="fovea.events")


def _count(
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    p: np.ndarray,
    cutoff: int,
    exact: bool,
    planes: np.ndarray,
) -> None:
    t = np.ascontiguousarray(t, np.int64)
    x, y = np.ascontiguousarray(x, np.uint16), np.ascontiguousarray(y, np.uint16)
    p = np.ascontiguousarray(p, np.uint8)
    height, width = planes.shape[1:]
    loops = _kernels()
    if (place := loops.first_outside(x, y, height, width)) >= 0:
        found = f" at x={x[place]}, y={y[place]},"
        raise outside("a window", place, f"{t[place]} µs", height, width, found)
    if (place := loops.first_fall(t, t[0] if len(t) else 0)) >= 0:
        raise fell("a window", place, "counted within it", int(t[place]), int(t[place - 1]))
    loops.count(t, x, y, p, cutoff, int(exact), planes)


def mixed_density_stack(
    events: EventStream, *, bins: int = BINS, cutoff: int | None = DENSITY_CUTOFF
) -> Int8[np.ndarray, "bins height width"]:
    """Sum polarities (-1 and 1) over parts of the window that halve towards its end.

    Plane i sums the first i + 1 parts; sums are cut to -`cutoff` and `cutoff`.
    """
    if len(events) == 0:
        return np.zeros((bins, events.height, events.width), np.int8)
    since = (events.t - events.t[0]).astype(np.float32)
    share = since / np.float32(max(int(events.t[-1] - events.t[0]), 1))
    share = np.clip(share, np.float32(1e-6), np.float32(1 - 1e-6))
    part = np.float32(bins) - np.log(share) / np.float32(np.log(0.5))
    part = np.floor(np.clip(part, 0, None)).astype(np.int64)
    pixel = events.y.astype(np.int64) * events.width + events.x
    cells = bins * events.height * events.width
    where = np.minimum(part, bins - 1) * (events.height * events.width) + pixel
    sums = np.bincount(where, weights=np.where(events.p == 1, 1.0, -1.0), minlength=cells)
    stack = np.cumsum(sums.reshape(bins, events.height, events.width), axis=0)
    most = 127 if cutoff is None else min(cutoff, 127)
    return np.clip(stack, -most, most).astype(np.int8)
