# pyright: basic
"""Carry Gaussians through an affine map, and find the axes of what comes out.

A symmetric 3x3 matrix C has the eigenvalues m + 2 p cos(t + k 2 pi / 3), k = 0, 1, 2, with m its
mean diagonal, p its spread about m and cos 3t = det((C - m) / p) / 2. Of these the one that lies
furthest from the others has the best conditioned eigenvector: the longest cross product of two rows
of C - eigenvalue. The other two are the axes of the 2x2 matrix that C leaves on the plane across
it, which one rotation makes diagonal. So the axes are orthonormal whatever C is: a ball, a disc, a
needle or nothing.

Source: the trigonometric solution of the cubic (O. K. Smith, 1961), and D. Eberly's way to take the
vectors ("A Robust Eigensolver for 3x3 Symmetric Matrices"); the 2x2 step is Jacobi's rotation.
"""

import math

import numpy as np
from numba import njit
from numba.core.types import Array, f4, f8, i8, void

ROWS = Array(f4, 2, "C", readonly=True)
MAP = Array(f8, 2, "C", readonly=True)
SIX = Array(f8, 2, "C", readonly=True)
FULL_CIRCLE_THIRD = 2.0 * math.pi / 3.0


@njit(void(ROWS, i8, f8[:, ::1]), nogil=True, cache=True)
def _rotation(quats, i, r):
    """The rotation of a quaternion of any length, wxyz, into `r`; the zero one turns nothing."""
    w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    length = math.sqrt(w * w + x * x + y * y + z * z)
    if length > 0.0:
        w, x, y, z = w / length, x / length, y / length, z / length
    r[0, 0], r[0, 1], r[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    r[1, 0], r[1, 1], r[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    r[2, 0], r[2, 1], r[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@njit(f8(f8[:, ::1]), nogil=True, cache=True)
def _lone_eigenvalue(c):
    """The eigenvalue of `c` that lies furthest from the others."""
    mean = (c[0, 0] + c[1, 1] + c[2, 2]) / 3.0
    a, b, d = c[0, 0] - mean, c[1, 1] - mean, c[2, 2] - mean
    off = c[0, 1] * c[0, 1] + c[0, 2] * c[0, 2] + c[1, 2] * c[1, 2]
    spread = math.sqrt((a * a + b * b + d * d + 2.0 * off) / 6.0)
    if spread == 0.0:
        return mean
    determinant = (
        a * (b * d - c[1, 2] * c[1, 2])
        - c[0, 1] * (c[0, 1] * d - c[1, 2] * c[0, 2])
        + c[0, 2] * (c[0, 1] * c[1, 2] - b * c[0, 2])
    )
    half = min(1.0, max(-1.0, determinant / (2.0 * spread * spread * spread)))
    angle = math.acos(half) / 3.0
    if half < 0.0:
        angle += FULL_CIRCLE_THIRD
    return mean + 2.0 * spread * math.cos(angle)


@njit(void(f8[:, ::1], f8, f8[:, ::1]), nogil=True, cache=True)
def _lone_axis(c, eigenvalue, axes):
    """The unit eigenvector of the lone eigenvalue, into the first row of `axes`."""
    x0, y0, z0 = c[0, 0] - eigenvalue, c[0, 1], c[0, 2]
    x1, y1, z1 = c[0, 1], c[1, 1] - eigenvalue, c[1, 2]
    x2, y2, z2 = c[0, 2], c[1, 2], c[2, 2] - eigenvalue
    ax, ay, az = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
    bx, by, bz = y0 * z2 - z0 * y2, z0 * x2 - x0 * z2, x0 * y2 - y0 * x2
    dx, dy, dz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
    a, b = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz
    d = dx * dx + dy * dy + dz * dz
    if b > a:
        a, ax, ay, az = b, bx, by, bz
    if d > a:
        a, ax, ay, az = d, dx, dy, dz
    if a == 0.0:  # every direction is an axis
        a, ax, ay, az = 1.0, 1.0, 0.0, 0.0
    length = math.sqrt(a)
    axes[0, 0], axes[0, 1], axes[0, 2] = ax / length, ay / length, az / length


@njit(void(f8[:, ::1]), nogil=True, cache=True)
def _across(axes):
    """Two more rows, which make the first one a right-handed frame."""
    x, y, z = axes[0, 0], axes[0, 1], axes[0, 2]
    if abs(x) > abs(y):
        length = math.sqrt(x * x + z * z)
        axes[1, 0], axes[1, 1], axes[1, 2] = -z / length, 0.0, x / length
    else:
        length = math.sqrt(y * y + z * z)
        axes[1, 0], axes[1, 1], axes[1, 2] = 0.0, z / length, -y / length
    axes[2, 0] = y * axes[1, 2] - z * axes[1, 1]
    axes[2, 1] = z * axes[1, 0] - x * axes[1, 2]
    axes[2, 2] = x * axes[1, 1] - y * axes[1, 0]


@njit(f8(f8[:, ::1], f8[:, ::1], i8, i8), nogil=True, cache=True)
def _between(c, axes, j, k):
    """axes_j . c . axes_k."""
    total = 0.0
    for row in range(3):
        for column in range(3):
            total += axes[j, row] * c[row, column] * axes[k, column]
    return total


@njit(void(f8[:, ::1], f8[:, ::1], f8[::1]), nogil=True, cache=True)
def _principal_axes(c, axes, values):
    """Orthonormal eigenvectors of `c` into the rows of `axes`, and their eigenvalues."""
    _lone_axis(c, _lone_eigenvalue(c), axes)
    _across(axes)
    values[0] = _between(c, axes, 0, 0)
    first, both, second = _between(c, axes, 1, 1), _between(c, axes, 1, 2), _between(c, axes, 2, 2)
    values[1], values[2] = first, second
    if both == 0.0:
        return
    slope = (second - first) / (2.0 * both)
    tangent = math.copysign(1.0, slope) / (abs(slope) + math.sqrt(1.0 + slope * slope))
    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
    sine = tangent * cosine
    values[1], values[2] = first - tangent * both, second + tangent * both
    for k in range(3):
        u, v = axes[1, k], axes[2, k]
        axes[1, k], axes[2, k] = cosine * u - sine * v, sine * u + cosine * v


@njit(void(f8[:, ::1], f8[::1]), nogil=True, cache=True)
def _order(axes, values):
    """Sizes descending, as of singular values, and a right-handed frame."""
    for k in range(3):
        values[k] = abs(values[k])
    swaps = 0
    for j, k in ((0, 1), (1, 2), (0, 1)):
        if values[j] < values[k]:
            values[j], values[k] = values[k], values[j]
            for column in range(3):
                axes[j, column], axes[k, column] = axes[k, column], axes[j, column]
            swaps += 1
    if swaps % 2:
        for column in range(3):
            axes[2, column] = -axes[2, column]


@njit(void(f8[:, ::1], f4[:, ::1], i8), nogil=True, cache=True)
def _quaternion(axes, quats, i):
    """The unit quaternion, w not negative, of the rotation whose columns are the rows of `axes`."""
    r00, r11, r22 = axes[0, 0], axes[1, 1], axes[2, 2]
    x, y, z = axes[1, 2] - axes[2, 1], axes[2, 0] - axes[0, 2], axes[0, 1] - axes[1, 0]
    xy, xz, yz = axes[0, 1] + axes[1, 0], axes[0, 2] + axes[2, 0], axes[1, 2] + axes[2, 1]
    trace = r00 + r11 + r22
    if trace >= max(r00, r11, r22):
        w = 1.0 + trace
    elif r00 >= r11 and r00 >= r22:
        w, x, y, z = x, 1.0 + r00 - r11 - r22, xy, xz
    elif r11 >= r22:
        w, x, y, z = y, xy, 1.0 + r11 - r00 - r22, yz
    else:
        w, x, y, z = z, xz, yz, 1.0 + r22 - r00 - r11
    length = math.copysign(math.sqrt(w * w + x * x + y * y + z * z), w)
    quats[i, 0], quats[i, 1], quats[i, 2] = w / length, x / length, y / length
    quats[i, 3] = z / length


@njit(void(f8[:, ::1], f8[:, ::1], f8[::1], f4[:, ::1], f4[:, ::1], i8), nogil=True, cache=True)
def _decompose(c, axes, values, quats, scales, i):
    """The quaternion and scales of the covariance `c`, which is scaled on the way."""
    largest = 0.0
    for row in range(3):
        for column in range(3):
            largest = max(largest, abs(c[row, column]))
    if largest > 0.0:
        for row in range(3):
            for column in range(3):
                c[row, column] /= largest
    _principal_axes(c, axes, values)
    _order(axes, values)
    _quaternion(axes, quats, i)
    for k in range(3):
        scales[i, k] = math.sqrt(values[k] * largest)


@njit(
    void(i8, i8, ROWS, ROWS, ROWS, MAP, f4[:, ::1], f4[:, ::1], f4[:, ::1]), nogil=True, cache=True
)
def transform(part, parts, means, quats, scales, affine, new_means, new_quats, new_scales):
    """Gaussians through the 3x4 map `affine`; float64 between float32 arrays.

    The covariance is rounded to float32 on the way, as the reference rounds it.
    """
    count = len(means)
    r, axes, c = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    values = np.empty(3)
    for i in range(part * count // parts, (part + 1) * count // parts):
        for row in range(3):
            total = affine[row, 3]
            for k in range(3):
                total += affine[row, k] * means[i, k]
            new_means[i, row] = total
        _rotation(quats, i, r)
        for row in range(3):
            for k in range(3):
                turned = affine[row, 0] * r[0, k] + affine[row, 1] * r[1, k]
                axes[row, k] = (turned + affine[row, 2] * r[2, k]) * scales[i, k]
        for row in range(3):
            for column in range(row + 1):
                total = 0.0
                for k in range(3):
                    total += axes[row, k] * axes[column, k]
                rounded = float(np.float32(total))
                c[row, column], c[column, row] = rounded, rounded
        _decompose(c, axes, values, new_quats, new_scales, i)


@njit(void(i8, i8, SIX, f4[:, ::1], f4[:, ::1]), nogil=True, cache=True)
def decompose(part, parts, covariances, quats, scales):
    """The axes of covariances given as their entries xx xy xz yy yz zz."""
    count = len(covariances)
    axes, c, values = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for i in range(part * count // parts, (part + 1) * count // parts):
        c[0, 0], c[1, 1], c[2, 2] = covariances[i, 0], covariances[i, 3], covariances[i, 5]
        c[0, 1], c[0, 2], c[1, 2] = covariances[i, 1], covariances[i, 2], covariances[i, 4]
        c[1, 0], c[2, 0], c[2, 1] = c[0, 1], c[0, 2], c[1, 2]
        _decompose(c, axes, values, quats, scales, i)
