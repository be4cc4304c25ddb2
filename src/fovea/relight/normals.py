"""Normals of the surface that a depth map shows.

Maps are [height, width]; depth is along the optical axis. Normals are of length 1, in the world,
and face the camera; where there is none they are 0 and `valid` is False.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fovea.scene.camera import Camera

BORDER_PX = 2
LEAST_DEPTH = 0.01


class DepthNormals(NamedTuple):
    """Normals and where there are any."""

    normals: Float[Tensor, "h w 3"]
    valid: Bool[Tensor, "h w"]


def depth_to_normals(
    depth: Float[Tensor, "h w"],
    camera: Camera,
    *,
    median: bool = True,
    pixel_centre: float = 0.5,
) -> DepthNormals:
    """Normals from differences of neighbouring points, each towards the neighbour of nearer depth.

    Args:
        depth: 0 where there is nothing.
        camera: that the depth belongs to.
        median: whether the depth goes through a 3x3 median first, as 0 beyond the border.
        pixel_centre: 0.5 is right; 0 is the published system's, half a pixel off.

    Source: Liang et al., "GS-IR" (CVPR 2024). Ties go right and up.
    """
    if median:
        depth = median_3x3(depth)
    points = _camera_points(depth, camera, pixel_centre)
    horizontal = _towards_nearer(points, depth, axis=1, ties_forward=True)
    vertical = _towards_nearer(points, depth, axis=0, ties_forward=False)
    normals = functional.normalize(torch.linalg.cross(horizontal, -vertical), dim=-1)
    valid = _has_depth_around(depth)
    normals = torch.where(valid.unsqueeze(-1), normals @ camera.rotation.to(normals), 0.0)
    return DepthNormals(normals, valid)


def median_3x3(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The median of each 3x3 neighbourhood, with zeros beyond the border.

    Source: the exchange network of Devillard, "Fast median search" (1998), 19 minima and maxima.
    """
    height, width = depth.shape
    padded = functional.pad(depth, (1, 1, 1, 1))
    p = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    for low, high in _MEDIAN_OF_9:
        p[low], p[high] = torch.minimum(p[low], p[high]), torch.maximum(p[low], p[high])
    return p[4]


_MEDIAN_OF_9 = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3),
    (5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip


def _camera_points(depth: Tensor, camera: Camera, pixel_centre: float) -> Tensor:
    height, width = depth.shape
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics.tolist()
    x = (torch.arange(width, dtype=depth.dtype, device=depth.device) + (pixel_centre - cx)) / fx
    y = (torch.arange(height, dtype=depth.dtype, device=depth.device) + (pixel_centre - cy)) / fy
    return torch.stack([depth * x, depth * y.unsqueeze(-1), depth], dim=-1)


def _towards_nearer(points: Tensor, depth: Tensor, *, axis: int, ties_forward: bool) -> Tensor:
    """The difference of points along an axis, to the side whose depth is nearer to the pixel's own.

    Both differences point forward along the axis. Pixels at the border have one side only, and no
    normal.
    """
    ahead, behind = points.roll(-1, axis), points.roll(1, axis)
    gap_ahead = (depth.roll(-1, axis) - depth).abs()
    gap_behind = (depth.roll(1, axis) - depth).abs()
    use_ahead = gap_ahead <= gap_behind if ties_forward else gap_ahead < gap_behind
    return torch.where(use_ahead.unsqueeze(-1), ahead - points, points - behind)


def _has_depth_around(depth: Tensor) -> Tensor:
    """Whether all of the 5x5 neighbourhood lies in the image and has depth."""
    missing = (depth < LEAST_DEPTH).to(depth).unsqueeze(0).unsqueeze(0)
    holes = functional.max_pool2d(
        functional.max_pool2d(missing, (1, 5), stride=1, padding=(0, 2)),
        (5, 1),
        stride=1,
        padding=(2, 0),
    )
    valid = holes[0, 0] == 0
    inside = torch.zeros_like(valid)
    inside[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = True
    return valid & inside
