# pyright: basic
"""Colours of the harmonics seen from a position, and the way back.

Constants as in `fovea.scene.harmonics`.
"""

import math

import numpy as np
from numba import njit

C0 = 0.28209479177387814
C1 = 0.4886025119029199
A0, A1, A2 = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
B0, B1, B2 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
B3, B4 = 0.3731763325901154, 1.445305721320277
D0, D1, D2 = 2.5033429417967046, 1.7701307697799304, 0.9461746957575601
D3, D4, D5, D6 = 0.6690465435572892, 0.10578554691520431, 0.47308734787878004, 0.6258357354491761


@njit("void(i8, f8, f8, f8, f8[::1])", nogil=True, cache=True)
def _basis(count, x, y, z, value):
    """The first `count` basis functions at a unit direction."""
    xx, yy, zz = x * x, y * y, z * z
    value[0] = C0
    if count > 1:
        value[1], value[2], value[3] = -C1 * y, C1 * z, -C1 * x
    if count > 4:
        value[4], value[5], value[6] = A0 * x * y, -A0 * y * z, A1 * (2 * zz - xx - yy)
        value[7], value[8] = -A0 * x * z, A2 * (xx - yy)
    if count > 9:
        value[9], value[10] = -B0 * y * (3 * xx - yy), B1 * x * y * z
        value[11], value[12] = -B2 * y * (4 * zz - xx - yy), B3 * z * (2 * zz - 3 * xx - 3 * yy)
        value[13], value[14] = -B2 * x * (4 * zz - xx - yy), B4 * z * (xx - yy)
        value[15] = -B0 * x * (xx - 3 * yy)
    if count > 16:
        value[16], value[17] = D0 * x * y * (xx - yy), -D1 * y * z * (3 * xx - yy)
        value[18], value[19] = D2 * x * y * (7 * zz - 1), -D3 * y * z * (7 * zz - 3)
        value[20], value[21] = D4 * (zz * (35 * zz - 30) + 3), -D3 * x * z * (7 * zz - 3)
        value[22], value[23] = D5 * (xx - yy) * (7 * zz - 1), -D1 * x * z * (xx - 3 * yy)
        value[24] = D6 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy))


@njit("void(f8[:, ::1], i8, f8, f8, f8)", nogil=True, cache=True)
def _row(slope, k, x, y, z):
    slope[k, 0], slope[k, 1], slope[k, 2] = x, y, z


@njit("void(i8, f8, f8, f8, f8[:, ::1])", nogil=True, cache=True)
def _slopes(count, x, y, z, slope):
    """Derivatives of the basis functions by x, y and z."""
    xx, yy, zz = x * x, y * y, z * z
    _row(slope, 0, 0.0, 0.0, 0.0)
    if count > 1:
        _row(slope, 1, 0.0, -C1, 0.0)
        _row(slope, 2, 0.0, 0.0, C1)
        _row(slope, 3, -C1, 0.0, 0.0)
    if count > 4:
        _row(slope, 4, A0 * y, A0 * x, 0.0)
        _row(slope, 5, 0.0, -A0 * z, -A0 * y)
        _row(slope, 6, -2 * A1 * x, -2 * A1 * y, 4 * A1 * z)
        _row(slope, 7, -A0 * z, 0.0, -A0 * x)
        _row(slope, 8, 2 * A2 * x, -2 * A2 * y, 0.0)
    if count > 9:
        _row(slope, 9, -6 * B0 * x * y, -3 * B0 * (xx - yy), 0.0)
        _row(slope, 10, B1 * y * z, B1 * x * z, B1 * x * y)
        _row(slope, 11, 2 * B2 * x * y, -B2 * (4 * zz - xx - 3 * yy), -8 * B2 * y * z)
        _row(slope, 12, -6 * B3 * x * z, -6 * B3 * y * z, B3 * (6 * zz - 3 * xx - 3 * yy))
        _row(slope, 13, -B2 * (4 * zz - 3 * xx - yy), 2 * B2 * x * y, -8 * B2 * x * z)
        _row(slope, 14, 2 * B4 * x * z, -2 * B4 * y * z, B4 * (xx - yy))
        _row(slope, 15, -3 * B0 * (xx - yy), 6 * B0 * x * y, 0.0)
    if count > 16:
        _row(slope, 16, D0 * y * (3 * xx - yy), D0 * x * (xx - 3 * yy), 0.0)
        _row(slope, 17, -6 * D1 * x * y * z, -3 * D1 * z * (xx - yy), -D1 * y * (3 * xx - yy))
        _row(slope, 18, D2 * y * (7 * zz - 1), D2 * x * (7 * zz - 1), 14 * D2 * x * y * z)
        _row(slope, 19, 0.0, -D3 * z * (7 * zz - 3), -D3 * y * (21 * zz - 3))
        _row(slope, 20, 0.0, 0.0, D4 * z * (140 * zz - 60))
        _row(slope, 21, -D3 * z * (7 * zz - 3), 0.0, -D3 * x * (21 * zz - 3))
        _row(
            slope,
            22,
            2 * D5 * x * (7 * zz - 1),
            -2 * D5 * y * (7 * zz - 1),
            14 * D5 * z * (xx - yy),
        )
        _row(slope, 23, -3 * D1 * z * (xx - yy), 6 * D1 * x * y * z, -D1 * x * (xx - 3 * yy))
        _row(slope, 24, 4 * D6 * x * (xx - 3 * yy), -4 * D6 * y * (3 * xx - yy), 0.0)


@njit(
    "void(i8, i8, f4[:, ::1], f4[:, :, ::1], f8[::1], i4[::1], f4[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def forward(part, parts, means, harmonics, position, radii, colors):
    """Fill the colours of the Gaussians that are seen; the others stay black."""
    value = np.empty(25)
    total, count = len(means), harmonics.shape[1]
    for i in range(total * part // parts, total * (part + 1) // parts):
        colors[i, 0] = colors[i, 1] = colors[i, 2] = 0.0
        if radii[i] == 0:
            continue
        x, y, z = means[i, 0] - position[0], means[i, 1] - position[1], means[i, 2] - position[2]
        inverse = 1 / max(math.sqrt(x * x + y * y + z * z), 1e-12)
        _basis(count, x * inverse, y * inverse, z * inverse, value)
        red = green = blue = 0.5
        for k in range(count):
            red += value[k] * harmonics[i, k, 0]
            green += value[k] * harmonics[i, k, 1]
            blue += value[k] * harmonics[i, k, 2]
        colors[i, 0], colors[i, 1], colors[i, 2] = max(red, 0.0), max(green, 0.0), max(blue, 0.0)


@njit(
    "void(i8, i8, f4[:, ::1], f4[:, :, ::1], f8[::1], i4[::1], f4[:, ::1], f4[:, ::1], "
    "f4[:, ::1], f4[:, :, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def backward(
    part, parts, means, harmonics, position, radii, colors, v_colors, v_means, v_harmonics
):
    """Fill the gradients of means and harmonics; none comes through a channel that was cut at 0."""
    value, slope = np.empty(25), np.empty((25, 3))
    total, count = len(means), harmonics.shape[1]
    for i in range(total * part // parts, total * (part + 1) // parts):
        v_means[i, 0] = v_means[i, 1] = v_means[i, 2] = 0.0
        red = float(v_colors[i, 0]) if colors[i, 0] > 0 else 0.0
        green = float(v_colors[i, 1]) if colors[i, 1] > 0 else 0.0
        blue = float(v_colors[i, 2]) if colors[i, 2] > 0 else 0.0
        if radii[i] == 0:
            for k in range(count):
                v_harmonics[i, k, 0] = v_harmonics[i, k, 1] = v_harmonics[i, k, 2] = 0.0
            continue
        x, y, z = means[i, 0] - position[0], means[i, 1] - position[1], means[i, 2] - position[2]
        inverse = 1 / max(math.sqrt(x * x + y * y + z * z), 1e-12)
        x, y, z = x * inverse, y * inverse, z * inverse
        _basis(count, x, y, z, value)
        for k in range(count):
            v_harmonics[i, k, 0] = value[k] * red
            v_harmonics[i, k, 1] = value[k] * green
            v_harmonics[i, k, 2] = value[k] * blue
        if count == 1:
            continue
        _slopes(count, x, y, z, slope)
        vx = vy = vz = 0.0
        for k in range(1, count):
            v = red * harmonics[i, k, 0] + green * harmonics[i, k, 1] + blue * harmonics[i, k, 2]
            vx += v * slope[k, 0]
            vy += v * slope[k, 1]
            vz += v * slope[k, 2]
        # The direction has length 1: only what is across it counts.
        along = vx * x + vy * y + vz * z
        v_means[i, 0] = (vx - along * x) * inverse
        v_means[i, 1] = (vy - along * y) * inverse
        v_means[i, 2] = (vz - along * z) * inverse
