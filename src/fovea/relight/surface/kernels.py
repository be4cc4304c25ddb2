# pyright: basic
"""The compiled loop of the fusion: a voxel's turn in one view. float32; no lock is held."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def integrate(
    part,
    parts,
    depth,
    trust,
    is_empty,
    world_to_camera,
    focal,
    centre,
    origin,
    voxel,
    truncation,
    near,
    distance,
    weight,
    support,
):
    """Add one view to the sums of the signed distances of some slabs of the grid.

    Slabs lie along x; this call takes every `parts`-th from `part`. Of the view: `depth` along the
    optical axis and its weight `trust`, 0 where there is none; `is_empty`, the pixels that see
    through, before which all is free space; `world_to_camera` [3, 4]; `focal` and `centre` in px;
    `near`, the z-depth before which nothing is seen. Of the grid: `origin`, the world position of
    voxel 0, 0, 0; `voxel`, its edge; `truncation`, the distance in world units beyond which the
    sums take no more notice. The sums [X, Y, Z]: `distance`, of weight times distance in
    truncations; `weight`; `support`, of the weights of views that saw a surface within the
    truncation.
    """
    height, width = depth.shape
    size_x, size_y, size_z = distance.shape
    m = world_to_camera
    for i in range(part, size_x, parts):
        x = origin[0] + i * voxel
        for j in range(size_y):
            y = origin[1] + j * voxel
            at_x = m[0, 0] * x + m[0, 1] * y + m[0, 2] * origin[2] + m[0, 3]
            at_y = m[1, 0] * x + m[1, 1] * y + m[1, 2] * origin[2] + m[1, 3]
            at_z = m[2, 0] * x + m[2, 1] * y + m[2, 2] * origin[2] + m[2, 3]
            for k in range(size_z):
                z = at_z + m[2, 2] * voxel * k
                if z <= near:
                    continue
                u = (at_x + m[0, 2] * voxel * k) / z * focal[0] + centre[0] - np.float32(0.5)
                v = (at_y + m[1, 2] * voxel * k) / z * focal[1] + centre[1] - np.float32(0.5)
                column, row = math.floor(u), math.floor(v)
                if column < -1 or row < -1 or column >= width or row >= height:
                    continue
                right, down = u - column, v - row
                nearest_x = min(max(column + (1 if right >= 0.5 else 0), 0), width - 1)
                nearest_y = min(max(row + (1 if down >= 0.5 else 0), 0), height - 1)
                if is_empty[nearest_y, nearest_x]:
                    distance[i, j, k] += 1
                    weight[i, j, k] += 1
                    continue
                trusted = trust[nearest_y, nearest_x]
                if trusted <= 0:
                    continue
                seen = depth[nearest_y, nearest_x]
                # Between pixels of one surface the depth goes linearly.
                if 0 <= column < width - 1 and 0 <= row < height - 1:
                    a, b = depth[row, column], depth[row, column + 1]
                    c, d = depth[row + 1, column], depth[row + 1, column + 1]
                    lowest, highest = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
                    if lowest > 0 and highest - lowest < truncation:
                        seen = (a * (1 - right) + b * right) * (1 - down) + (
                            c * (1 - right) + d * right
                        ) * down
                ahead = (seen - z) / truncation
                if ahead < -1:
                    continue
                if ahead > 1:
                    ahead = 1
                else:
                    support[i, j, k] += trusted
                distance[i, j, k] += trusted * ahead
                weight[i, j, k] += trusted
