# pyright: basic
"""Many pixels become one: an event of the coarse pixel for as much change as its pixels share."""

import numpy as np
from numba import njit, types
from numba.core.types import f8, i8, u1, u2

RO_U1 = types.Array(u1, 1, "C", readonly=True)
RO_U2 = types.Array(u2, 1, "C", readonly=True)


@njit(i8(RO_U2, RO_U2, RO_U1, f8, f8[:, ::1], u1[::1], u2[::1], u2[::1]), nogil=True, cache=True)
def shrink(x, y, p, scale, charge, kept, to_x, to_y):
    """Mark the events that make a coarse pixel fire, and say where it is.

    `charge` is what each coarse pixel has gathered: an event adds or takes the share of its area
    that a fine pixel has, and at a whole one the coarse pixel fires and gives it up.
    """
    height, width = charge.shape
    area = scale * scale
    count = 0
    for i in range(len(x)):
        column = min(np.int64((x[i] + 0.5) * scale), width - 1)
        row = min(np.int64((y[i] + 0.5) * scale), height - 1)
        to_x[i], to_y[i] = column, row
        sign = 1.0 if p[i] else -1.0
        charge[row, column] += sign * area
        if charge[row, column] * sign >= 1.0 - 1e-9:
            charge[row, column] -= sign
            kept[i] = 1
            count += 1
        else:
            kept[i] = 0
    return count
