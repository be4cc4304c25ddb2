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

FEW = 64
"""A bin with fewer events than a pixel in so many is cut event by event, not plane by plane."""


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


@njit(nogil=True, cache=True, inline="always")
def _at(x, y, p, plane, bright, width):
    """The cell of an event; `bright` is how far the brighter plane lies behind the darker one."""
    return plane + np.int64(p != 0) * bright + np.int64(y) * width + np.int64(x)


@njit(nogil=True, cache=True)
def _cut(cells, most):
    """No count is above `most`; written so that it is compiled to vector instructions."""
    for at in range(len(cells)):
        found = cells[at]
        cells[at] = found if found < most else most


@njit(void(RO_I8, RO_U2, RO_U2, RO_U1, i8, i8, u1[:, :, ::1]), nogil=True, cache=True)
def count(t, x, y, p, cutoff, is_exact, planes):
    """Count events into `planes` [2 * bins, height, width], whatever stood there.

    Where `is_exact` is 0 a count wraps at 256 and is cut only at the end; else it stops at the
    cutoff. Two planes are emptied, filled and cut before the next two: so they are in cache.
    """
    bins = planes.shape[0] // 2
    pixels = planes.shape[1] * planes.shape[2]
    width = planes.shape[2]
    bright = bins * pixels
    flat = planes.reshape(planes.size)
    if len(t) == 0:
        flat[:] = 0
        return
    span = np.float32(max(t[-1] - t[0], 1))
    most = np.uint8(cutoff)
    start = 0
    for bin in range(bins):
        end = _run_end(t, span, bins, bin)
        plane = bin * pixels
        flat[plane : plane + pixels] = 0
        flat[plane + bright : plane + bright + pixels] = 0
        if is_exact:
            for i in range(start, end):
                at = _at(x[i], y[i], p[i], plane, bright, width)
                if flat[at] < most:
                    flat[at] += np.uint8(1)
        else:
            for i in range(start, end):
                flat[_at(x[i], y[i], p[i], plane, bright, width)] += np.uint8(1)
            if (end - start) * FEW < pixels:
                for i in range(start, end):
                    at = _at(x[i], y[i], p[i], plane, bright, width)
                    flat[at] = min(flat[at], most)
            else:
                _cut(flat[plane : plane + pixels], most)
                _cut(flat[plane + bright : plane + bright + pixels], most)
        start = end
