# pyright: basic
"""Count events into planes of polarity, time bin and pixel.

Events are sorted by time, so each bin is one run of them: its borders are found by bisection and
the counting needs no division. Only two planes are written at a time, which keeps them in cache.
"""

import numpy as np
from numba import njit, types
from numba.core.types import f4, i8, u1, u2, void

RO_I8 = types.Array(i8, 1, "C", readonly=True)
RO_U1 = types.Array(u1, 1, "C", readonly=True)
RO_U2 = types.Array(u2, 1, "C", readonly=True)

FELL = -1
OUTSIDE = -2


@njit(i8(RO_I8, i8), nogil=True, cache=True)
def first_fall(t, before):
    """The first event that is earlier than the one before it, or -1."""
    fell = False
    for i in range(1, len(t)):
        fell |= t[i] < t[i - 1]
    if len(t) and t[0] < before:
        return 0
    if not fell:
        return -1
    for i in range(1, len(t)):
        if t[i] < t[i - 1]:
            return i
    return -1


@njit(i8(RO_U2, RO_U2, i8, i8), nogil=True, cache=True)
def first_outside(x, y, height, width):
    """The first event beyond the sensor, or -1."""
    outside = False
    for i in range(len(x)):
        outside |= (x[i] >= width) | (y[i] >= height)
    if not outside:
        return -1
    for i in range(len(x)):
        if x[i] >= width or y[i] >= height:
            return i
    return -1


@njit(i8(i8, f4, i8), nogil=True, cache=True, inline="always")
def _bin(since, span, bins):
    """The bin of an event so long after the first; float32, as the reference divides."""
    share = np.float32(since) / span
    return min(np.int64(np.floor(share * np.float32(bins))), bins - 1)


@njit(i8(RO_I8, f4, i8, i8), nogil=True, cache=True)
def _run_end(t, span, bins, bin):
    """The first event of a later bin than this one."""
    low, high = 0, len(t)
    while low < high:
        middle = (low + high) // 2
        if _bin(t[middle] - t[0], span, bins) <= bin:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def _cut(flat, x, y, p, start, end, dark, bright, pixels, width, cutoff):
    """Cut the counts of two planes: all of them, or where few events fell only theirs."""
    most = np.uint8(cutoff)
    if (end - start) * 8 > pixels:
        for at in range(dark, dark + pixels):
            flat[at] = min(flat[at], most)
        for at in range(bright, bright + pixels):
            flat[at] = min(flat[at], most)
        return
    for i in range(start, end):
        at = (bright if p[i] else dark) + np.int64(y[i]) * width + np.int64(x[i])
        flat[at] = min(flat[at], most)


@njit(void(RO_I8, RO_U2, RO_U2, RO_U1, i8, i8, u1[:, :, ::1]), nogil=True, cache=True)
def count(t, x, y, p, cutoff, is_exact, planes):
    """Count events into `planes` [2 * bins, height, width], which come as zeros.

    Where `is_exact` is 0 a count wraps at 256 and is cut only at the end; else it stops at the
    cutoff.
    """
    bins = planes.shape[0] // 2
    pixels = planes.shape[1] * planes.shape[2]
    width = planes.shape[2]
    flat = planes.reshape(planes.size)
    if len(t) == 0:
        return
    span = np.float32(max(t[-1] - t[0], 1))
    start = 0
    for bin in range(bins):
        end = _run_end(t, span, bins, bin)
        dark, bright = bin * pixels, (bin + bins) * pixels
        if is_exact:
            for i in range(start, end):
                at = (bright if p[i] else dark) + np.int64(y[i]) * width + np.int64(x[i])
                if flat[at] < cutoff:
                    flat[at] += np.uint8(1)
        else:
            for i in range(start, end):
                at = (bright if p[i] else dark) + np.int64(y[i]) * width + np.int64(x[i])
                flat[at] += np.uint8(1)
            if cutoff < 255:
                _cut(flat, x, y, p, start, end, dark, bright, pixels, width, cutoff)
        start = end
