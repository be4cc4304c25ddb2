"""A picture and its depth become Gaussians: what a scene would be if the depth were this.

A Gaussian stands on the ray of each cell of a grid over the picture, as wide as the cell. With the
true depth of a stereo pair it is a scene to test with; with a wall's or the ground's it is what a
predictor has to beat.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from fovea.scene.camera import Camera
from fovea.scene.color import srgb_to_linear
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0

WIDTH = 0.6
"""Standard deviation of a Gaussian, in cells: between them little shows, and edges stay sharp."""
OPACITY = 0.99


def lift(
    pixels: UInt8[np.ndarray, "height width 3"],
    depth_m: Float[np.ndarray, "height width"],
    camera: Camera,
    *,
    grid: tuple[int, int] | None = None,
    width: float = WIDTH,
) -> Gaussians:
    """Put a picture at its depths.

    Args:
        pixels: sRGB.
        depth_m: z-depths; where it is 0 or not finite there will be nothing.
        camera: at the origin, of the picture's size.
        grid: rows and columns of Gaussians; one a pixel when left out.
        width: standard deviation, in cells of the grid.

    Returns:
        Linear colours, row by row.
    """
    rows, columns = grid or depth_m.shape
    seen, depth = pixels, depth_m.astype(np.float64)
    if (rows, columns) != depth_m.shape:
        seen = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
        depth = cv2.resize(depth, (columns, rows), interpolation=cv2.INTER_NEAREST)
    cell = camera.resized(height=rows, width=columns)
    rays = cell.directions(unit=False).double().numpy()
    is_known = np.isfinite(depth) & (depth > 0)
    z = depth[is_known]
    focal_x, focal_y = (float(cell.intrinsics[axis, axis]) for axis in (0, 1))
    scales = np.stack([width * z / focal_x, width * z / focal_y, width * z / max(focal_x, focal_y)])
    colors = srgb_to_linear(seen[is_known].astype(np.float64) / 255)
    quats = np.zeros((len(z), 4))
    quats[:, 0] = 1
    values = rays[is_known] * z[:, None], quats, scales.T, np.full(len(z), OPACITY)
    means, quats, scales, opacities = (_tensor(array) for array in values)
    harmonics = _tensor((colors - 0.5) / C0)[:, None]
    return Gaussians(means, quats, scales, opacities, harmonics, color_space="linear")


def joined(*parts: Gaussians) -> Gaussians:
    """Gaussians of one degree and colour space, one after the other."""
    names = ("means", "quats", "scales", "opacities", "harmonics")
    values = [torch.cat([getattr(part, name) for part in parts]) for name in names]
    return Gaussians(*values, color_space=parts[0].color_space)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
