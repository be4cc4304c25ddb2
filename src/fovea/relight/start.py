"""Where a fit starts: the first positions, colours and sizes of its Gaussians."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.capture import Capture, View
from fovea.relight.stages import StartConfig
from fovea.runs.stage import Context
from fovea.scene.path import looked_at

LEAST_SQUARED_DISTANCE = 1e-7


def start_points(
    capture: Capture, config: StartConfig, context: Context
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Positions and sRGB colours of the first Gaussians, as the config asks.

    Raises:
        DataError: the capture's own points were asked for and it has none.
    """
    if config.points in ("auto", "file") and capture.points is not None:
        colors = capture.colors if capture.colors is not None else np.full((1, 3), 0.5)
        context.note(f"starting from the capture's {len(capture.points)} points")
        return capture.points, np.broadcast_to(colors, capture.points.shape)
    if config.points == "file":
        raise DataError(
            f"start.points=file needs a capture with points, and {capture.folder} has none. Take"
            " start.points=triangulate or start.points=random."
        )
    rng = context.rng("points")
    points = random_points(capture, config.count, rng)
    context.note(f"starting from {len(points)} random points where the cameras look")
    return points, 0.5 + 0.05 * rng.standard_normal((len(points), 3))


def squared_distance_to_neighbours(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The mean squared distance to the 3 nearest other points; duplicates count with 0."""
    distances, _ = KDTree(points).query(points, k=min(4, len(points)))
    return np.square(distances[:, 1:]).mean(axis=1)


def log_scales(points: Float[np.ndarray, "n 3"]) -> Float[Tensor, "n 3"]:
    """Logarithms of the start scales: round Gaussians as large as the points are apart."""
    squared = np.maximum(squared_distance_to_neighbours(points), LEAST_SQUARED_DISTANCE)
    return torch.from_numpy(0.5 * np.log(squared)).unsqueeze(-1).repeat(1, 3)


def random_points(capture: Capture, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points where the cameras look: in a ball that two of them see at least.

    The ball is around the point nearest to all optical axes, as wide as the farthest camera is
    away; the points that fewer than two training views see are thrown again.
    """
    views = capture.split("train")
    centre = looked_at([view.camera for view in views])
    reach = np.linalg.norm(capture.positions - centre, axis=1)
    radius = 0.6 * float(np.median(reach))
    kept = np.empty((0, 3))
    for _ in range(50):
        draw = rng.normal(size=(2 * count, 3))
        draw *= (rng.random((2 * count, 1)) ** (1 / 3)) / np.linalg.norm(
            draw, axis=1, keepdims=True
        )
        points = centre + radius * draw
        kept = np.concatenate([kept, points[seen_by(points, views) >= 2]])
        if len(kept) >= count:
            return kept[:count]
    return np.concatenate([kept, centre + radius * (rng.random((count, 3)) - 0.5)])[:count]


def seen_by(points: Float[np.ndarray, "n 3"], views: tuple[View, ...]) -> np.ndarray:
    """In how many views each point lies inside the picture."""
    at = torch.from_numpy(points)
    count = torch.zeros(len(points), dtype=torch.int64)
    for view in views:
        pixel, depth = view.camera.project(at)
        inside = (pixel >= 0).all(-1) & (pixel[:, 0] < view.camera.width)
        count += (inside & (pixel[:, 1] < view.camera.height) & (depth > 0)).long()
    return count.numpy()
