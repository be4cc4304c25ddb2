# pyright: basic
"""Place Gaussians on the image, and the way back.

Worked in float64 between float32 arrays: a long thin Gaussian's determinant loses its digits
    otherwise.

With W the camera's rotation, J the Jacobian of the perspective at the mean, R and s the Gaussian's
axes and scales: U = J W R diag(s), 2D covariance = U U^T + blur. A covariance that is too thin to
be inverted in float32 is widened first, as in `plain`.
"""

import math

import numpy as np
from numba import njit

TILE = 16
ALPHA_MIN = 1.0 / 255.0
THINNEST = 1e-6


@njit("void(f4[:, ::1], i8, f8[:, ::1])", nogil=True, cache=True)
def _rotation(quats, i, r):
    """The rotation matrix of a unit quaternion, wxyz, into `r`."""
    w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    r[0, 0], r[0, 1], r[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    r[1, 0], r[1, 1], r[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    r[2, 0], r[2, 1], r[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@njit("void(f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])", nogil=True, cache=True)
def _to_image(jacobian, camera, r, u):
    """J W R into `u`; J is given as its entries (0,0), (0,2), (1,1), (1,2)."""
    for k in range(3):
        x = camera[0, 0] * r[0, k] + camera[0, 1] * r[1, k] + camera[0, 2] * r[2, k]
        y = camera[1, 0] * r[0, k] + camera[1, 1] * r[1, k] + camera[1, 2] * r[2, k]
        z = camera[2, 0] * r[0, k] + camera[2, 1] * r[1, k] + camera[2, 2] * r[2, k]
        u[0, k] = jacobian[0] * x + jacobian[1] * z
        u[1, k] = jacobian[2] * y + jacobian[3] * z


@njit("b1(f8, f8, f8, i8, i8)", nogil=True, cache=True)
def _touches_a_tile(x, y, radius, height, width):
    """Whether the 3-sigma square reaches a tile, with the roundings of `plain`."""
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    low_x, low_y = math.trunc((x - 0.5 - radius) / TILE), math.trunc((y - 0.5 - radius) / TILE)
    past_x = math.trunc((x - 0.5 + radius + TILE - 1) / TILE)
    past_y = math.trunc((y - 0.5 + radius + TILE - 1) / TILE)
    some_x = min(max(low_x, 0), tiles_x) < min(max(past_x, 0), tiles_x)
    some_y = min(max(low_y, 0), tiles_y) < min(max(past_y, 0), tiles_y)
    return some_x and some_y


@njit(
    "void(i8, i8, f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f8[:, ::1], f8[::1], f8[::1], "
    "i8, i8, b1, "
    "f4[:, ::1], f4[:, ::1], f4[::1], i4[::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def forward(
    part,
    parts,
    means,
    quats,
    scales,
    opacities,
    camera,
    lens,
    bounds,
    height,
    width,
    in_tiles,
    means2d,
    conics,
    depths,
    radii,
):
    """Fill 2D means, conics, depths and radii; a radius of 0 marks a Gaussian that is not seen.

    `camera` is the 3x4 of world to camera; `lens` holds fx, fy, cx, cy, near, blur and the epsilon
    of the division; `bounds` the lowest and highest x/z and y/z that the Jacobian follows.
    """
    r, u = np.empty((3, 3)), np.empty((2, 3))
    jacobian = np.empty(4)
    fx, fy, cx, cy, near, blur, epsilon = (
        lens[0],
        lens[1],
        lens[2],
        lens[3],
        lens[4],
        lens[5],
        lens[6],
    )
    total = len(means)
    for i in range(total * part // parts, total * (part + 1) // parts):
        mx, my, mz = float(means[i, 0]), float(means[i, 1]), float(means[i, 2])
        x = camera[0, 0] * mx + camera[0, 1] * my + camera[0, 2] * mz + camera[0, 3]
        y = camera[1, 0] * mx + camera[1, 1] * my + camera[1, 2] * mz + camera[1, 3]
        z = camera[2, 0] * mx + camera[2, 1] * my + camera[2, 2] * mz + camera[2, 3]
        radii[i] = 0
        depths[i] = z
        means2d[i, 0] = means2d[i, 1] = 0.0
        conics[i, 0] = conics[i, 1] = conics[i, 2] = 0.0
        if not z > near:
            continue
        jacobian[0] = fx / z
        jacobian[1] = -fx / z * min(max(x / z, bounds[0]), bounds[1])
        jacobian[2] = fy / z
        jacobian[3] = -fy / z * min(max(y / z, bounds[2]), bounds[3])
        _rotation(quats, i, r)
        _to_image(jacobian, camera, r, u)
        a = c = blur
        b = 0.0
        for k in range(3):
            s = float(scales[i, k])
            a += u[0, k] * u[0, k] * s * s
            b += u[0, k] * u[1, k] * s * s
            c += u[1, k] * u[1, k] * s * s
        widen = THINNEST * (a + c) - (a * c - b * b) / (a + c)
        if widen > 0:
            a += widen
            c += widen
        determinant = a * c - b * b
        px, py = fx * x / (z + epsilon) + cx, fy * y / (z + epsilon) + cy
        middle = 0.5 * (a + c)
        radius = math.ceil(
            3 * math.sqrt(middle + math.sqrt(max(0.1, middle * middle - determinant)))
        )
        opacity = float(opacities[i])
        if not (determinant > 0 and radius < 1e9 and abs(px) < 1e9 and abs(py) < 1e9):
            continue
        if in_tiles:
            if not _touches_a_tile(px, py, radius, height, width):
                continue
        else:
            if not opacity >= ALPHA_MIN:
                continue
            reach = 2 * math.log(opacity / ALPHA_MIN)
            half_x, half_y = math.sqrt(reach * a), math.sqrt(reach * c)
            if px + half_x < 0.5 or px - half_x > width - 0.5:
                continue
            if py + half_y < 0.5 or py - half_y > height - 0.5:
                continue
        means2d[i, 0], means2d[i, 1] = px, py
        conics[i, 0], conics[i, 1], conics[i, 2] = (
            c / determinant,
            -b / determinant,
            a / determinant,
        )
        radii[i] = np.int32(radius)


@njit("void(f4[:, ::1], i8, f8[:, ::1], f4[:, ::1])", nogil=True, cache=True)
def _quaternion_gradient(quats, i, v, v_quats):
    """From the gradient `v` of the rotation matrix to that of the quaternion."""
    w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    v_quats[i, 0] = 2 * (
        x * (v[2, 1] - v[1, 2]) + y * (v[0, 2] - v[2, 0]) + z * (v[1, 0] - v[0, 1])
    )
    v_quats[i, 1] = 2 * (
        -2 * x * (v[1, 1] + v[2, 2])
        + y * (v[0, 1] + v[1, 0])
        + z * (v[0, 2] + v[2, 0])
        + w * (v[2, 1] - v[1, 2])
    )
    v_quats[i, 2] = 2 * (
        -2 * y * (v[0, 0] + v[2, 2])
        + x * (v[0, 1] + v[1, 0])
        + z * (v[1, 2] + v[2, 1])
        + w * (v[0, 2] - v[2, 0])
    )
    v_quats[i, 3] = 2 * (
        -2 * z * (v[0, 0] + v[1, 1])
        + x * (v[0, 2] + v[2, 0])
        + y * (v[1, 2] + v[2, 1])
        + w * (v[1, 0] - v[0, 1])
    )


@njit(
    "void(i8, i8, f4[:, ::1], f4[:, ::1], f4[:, ::1], f8[:, ::1], f8[::1], f8[::1], "
    "f4[:, ::1], i4[::1], "
    "f4[:, ::1], f4[:, ::1], f4[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def backward(
    part,
    parts,
    means,
    quats,
    scales,
    camera,
    lens,
    bounds,
    conics,
    radii,
    v_means2d,
    v_conics,
    v_depths,
    v_means,
    v_quats,
    v_scales,
):
    """Fill the gradients of means, quats and scales from those of the splats."""
    r, u, v_u, v_r = np.empty((3, 3)), np.empty((2, 3)), np.empty((2, 3)), np.empty((3, 3))
    jacobian = np.empty(4)
    fx, fy, epsilon = lens[0], lens[1], lens[6]
    total = len(means)
    for i in range(total * part // parts, total * (part + 1) // parts):
        for k in range(3):
            v_means[i, k] = v_scales[i, k] = 0.0
        for k in range(4):
            v_quats[i, k] = 0.0
        if radii[i] == 0:
            continue
        mx, my, mz = float(means[i, 0]), float(means[i, 1]), float(means[i, 2])
        x = camera[0, 0] * mx + camera[0, 1] * my + camera[0, 2] * mz + camera[0, 3]
        y = camera[1, 0] * mx + camera[1, 1] * my + camera[1, 2] * mz + camera[1, 3]
        z = camera[2, 0] * mx + camera[2, 1] * my + camera[2, 2] * mz + camera[2, 3]
        slope_x = min(max(x / z, bounds[0]), bounds[1])
        slope_y = min(max(y / z, bounds[2]), bounds[3])
        jacobian[0], jacobian[1] = fx / z, -fx / z * slope_x
        jacobian[2], jacobian[3] = fy / z, -fy / z * slope_y
        _rotation(quats, i, r)
        _to_image(jacobian, camera, r, u)

        # d(inverse) = -inverse d(covariance) inverse; g is the symmetric gradient of the
        # covariance.
        a, b, c = float(conics[i, 0]), float(conics[i, 1]), float(conics[i, 2])
        va, vb, vc = float(v_conics[i, 0]), 0.5 * float(v_conics[i, 1]), float(v_conics[i, 2])
        p00, p01 = a * va + b * vb, a * vb + b * vc
        p10, p11 = b * va + c * vb, b * vb + c * vc
        g00, g01, g11 = -(p00 * a + p01 * b), -(p00 * b + p01 * c), -(p10 * b + p11 * c)
        for k in range(3):
            s = float(scales[i, k])
            along_x = 2 * (g00 * u[0, k] + g01 * u[1, k])
            along_y = 2 * (g01 * u[0, k] + g11 * u[1, k])
            v_scales[i, k] = s * (along_x * u[0, k] + along_y * u[1, k])
            v_u[0, k], v_u[1, k] = s * s * along_x, s * s * along_y
        # Through U = (J W) R to R, and to J.
        vj00 = vj02 = vj11 = vj12 = 0.0
        for k in range(3):
            for j in range(3):
                t0 = jacobian[0] * camera[0, j] + jacobian[1] * camera[2, j]
                t1 = jacobian[2] * camera[1, j] + jacobian[3] * camera[2, j]
                v_r[j, k] = t0 * v_u[0, k] + t1 * v_u[1, k]
                vj00 += v_u[0, k] * r[j, k] * camera[0, j]
                vj02 += v_u[0, k] * r[j, k] * camera[2, j]
                vj11 += v_u[1, k] * r[j, k] * camera[1, j]
                vj12 += v_u[1, k] * r[j, k] * camera[2, j]
        _quaternion_gradient(quats, i, v_r, v_quats)

        over = 1 / (z + epsilon)
        vx, vy = float(v_means2d[i, 0]) * fx * over, float(v_means2d[i, 1]) * fy * over
        vz = float(v_depths[i]) - (vx * x + vy * y) * over
        vz -= (
            vj00 * jacobian[0] + vj02 * jacobian[1] + vj11 * jacobian[2] + vj12 * jacobian[3]
        ) / z
        if bounds[0] <= x / z <= bounds[1]:
            vx -= vj02 * fx / (z * z)
            vz += vj02 * fx * x / (z * z * z)
        if bounds[2] <= y / z <= bounds[3]:
            vy -= vj12 * fy / (z * z)
            vz += vj12 * fy * y / (z * z * z)
        for k in range(3):
            v_means[i, k] = camera[0, k] * vx + camera[1, k] * vy + camera[2, k] * vz
