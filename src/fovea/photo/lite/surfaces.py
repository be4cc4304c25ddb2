"""From two surfaces and their colours to Gaussians: discs on the visible one, and what it hides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32

from fovea.photo.lite.edges import jumps
from fovea.scene.color import srgb_to_linear
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import from_colors

Map = Float32[np.ndarray, "height width"]
Picture = Float32[np.ndarray, "height width 3"]

WIDTH = 0.6
"""Standard deviation of a Gaussian, in cells of the grid."""
OPACITY = 0.98
MOST_STRETCH = 1.5
"""A disc seen from the side is drawn out no more than this."""
THIN = 0.4
"""Thickness of a disc beside its radius."""


@dataclass(frozen=True)
class Grid:
    """Cells over the photograph, and its camera in them (principal point in the middle)."""

    height: int
    width: int
    focal_x: float
    focal_y: float

    def rays(self) -> tuple[Float32[np.ndarray, " width"], Float32[np.ndarray, " height"]]:
        """Slopes x / z of the columns and y / z of the rows."""
        x = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.focal_x
        y = (np.arange(self.height, dtype=np.float32) + 0.5 - self.height / 2) / self.focal_y
        return x, y


def discs(
    grid: Grid,
    depth_m: Map,
    color: Picture,
    *,
    keep: Bool[np.ndarray, "height width"] | None = None,
    grow: float = 1.0,
) -> Gaussians:
    """A disc a cell, lying on the surface; it faces the camera where the surface ends.

    Args:
        grid: the cells and the camera.
        depth_m: along z.
        color: display values in 0..1.
        keep: cells that get a disc; all where left out.
        grow: factor on the discs' size.

    Returns:
        Metric, linear colours, row by row.
    """
    chosen = np.ones(depth_m.shape, bool) if keep is None else keep
    x, y = grid.rays()
    slope_x, slope_y = _slopes(np.log(depth_m))
    cell = (grid.focal_x * grid.focal_y) ** 0.5
    # Steps along x and y move a point by z / focal sideways and by z * slope in depth.
    tilt_x = (slope_x * grid.focal_x)[chosen]
    tilt_y = (slope_y * grid.focal_y)[chosen]
    z = depth_m[chosen]
    rows, columns = np.nonzero(chosen)
    steep = np.hypot(tilt_x, tilt_y)
    angle = np.arctan(np.minimum(steep, MOST_STRETCH))
    way = np.arctan2(tilt_y, tilt_x)
    radius = grow * WIDTH * z / cell
    scales = np.stack([radius / np.cos(angle), radius, radius * THIN], 1)
    # About z until x points up the slope, then about y until x lies in the surface.
    cz, sz, cy, sy = np.cos(way / 2), np.sin(way / 2), np.cos(angle / 2), np.sin(-angle / 2)
    quats = np.stack([cz * cy, -sz * sy, cz * sy, sz * cy], 1)
    means = np.stack([x[columns] * z, y[rows] * z, z], 1)
    linear = srgb_to_linear(np.clip(color[chosen], 0, 1))
    return Gaussians(
        _tensor(means), _tensor(quats), _tensor(scales),
        torch.full((len(z),), OPACITY), from_colors(_tensor(linear)), color_space="linear",
    )  # fmt: skip


def _slopes(log_depth: Map) -> tuple[Map, Map]:
    """Change of the log depth a cell; zero where the surface jumps."""
    smooth = cv2.blur(log_depth, (5, 5))
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    flat = cv2.dilate(jumps(log_depth).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    slope_x[flat] = 0
    slope_y[flat] = 0
    return slope_x, slope_y


def joined(parts: list[Gaussians]) -> Gaussians:
    """Several as one; all have linear colours of degree 0."""
    return Gaussians(
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("means", "quats", "scales", "opacities", "harmonics")
        ),
        color_space="linear",
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
