# pyright: basic
"""Fill the rows of SHARP's PLY: what is stored of a Gaussian, from what is used of it.

Each step is rounded to float32 as the reference rounds it, so that the bytes come out alike; the
functions themselves are worked in float64, which is nearest to any library's float32 ones.
"""

import math

import numpy as np
from numba import njit
from numba.core.types import Array, f4, i8, void

TABLE = Array(f4, 2, "C", readonly=True)
COLUMN = Array(f4, 1, "C", readonly=True)

LINEAR_CUT = np.float32(0.0031308)
HALF = np.float32(0.5)
C0 = np.float32(math.sqrt(1.0 / (4.0 * math.pi)))
MOST_LOGIT = np.float32(16.0)
LEAST_SCALE = np.float32(1e-30)
"""A collapsed scale's logarithm, -69, is finite and draws nothing."""


@njit(f4(f4), nogil=True, cache=True)
def _srgb(linear):
    if linear <= LINEAR_CUT:
        return np.float32(linear * np.float32(12.92))
    curve = np.float32(np.float32(1.055) * np.float32(math.pow(float(linear), 1.0 / 2.4)))
    return np.float32(curve - np.float32(0.055))


@njit(f4(f4), nogil=True, cache=True)
def _logit(p):
    """The logit; 0 and 1 have none and become -16 and 16, as far as float32 can tell."""
    if p <= np.float32(0.0):
        return -MOST_LOGIT
    if p >= np.float32(1.0):
        return MOST_LOGIT
    odds = np.float32(p / np.float32(np.float32(1.0) - p))
    return min(max(np.float32(math.log(float(odds))), -MOST_LOGIT), MOST_LOGIT)


@njit(void(i8, i8, TABLE, TABLE, TABLE, TABLE, COLUMN, f4[:, ::1]), nogil=True, cache=True)
def fill(part, parts, means, quats, scales, colors, opacities, rows):
    """Rows of x y z, three colours, opacity, three scales and a quaternion, wxyz."""
    count = len(means)
    for i in range(part * count // parts, (part + 1) * count // parts):
        for k in range(3):
            rows[i, k] = means[i, k]
            rows[i, 3 + k] = np.float32(np.float32(_srgb(colors[i, k]) - HALF) / C0)
            rows[i, 7 + k] = np.float32(math.log(float(max(scales[i, k], LEAST_SCALE))))
        rows[i, 6] = _logit(opacities[i])
        for k in range(4):
            rows[i, 10 + k] = quats[i, k]
