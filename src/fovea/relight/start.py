"""Where a fit starts: the first positions, colours and sizes of its Gaussians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.settings.fit import StartConfig
from fovea.relight.triangulate import triangulate
from fovea.runs.stage import Context
from fovea.scene.capture import Capture, Photograph, View, load
from fovea.scene.path import looked_at

LEAST_SQUARED_DISTANCE = 1e-7
LEAST_TRIANGULATED = 500
LEAST_INSIDE = 100
BALL_SHARE = 0.6
MOST_DRAWS = 30
FEATURE_PX = 1024
"""Features are looked for in photographs whose longer side is at most this."""


def start_points(
    capture: Capture, photographs: Sequence[Photograph], config: StartConfig, context: Context
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Positions and sRGB colours of the first Gaussians, as the config asks.

    `auto` takes the capture's own points; else, for cut-out photographs, random points inside their
    silhouettes; else points triangulated from the photographs; and random ones where that fails.

    Raises:
        DataError: what was asked for cannot be had.
    """
    rng = context.rng("points")
    if config.points in ("auto", "file") and capture.points is not None:
        colors = capture.colors if capture.colors is not None else np.full((1, 3), 0.5)
        context.note(f"starting from the capture's {len(capture.points)} points")
        return capture.points, np.broadcast_to(colors, capture.points.shape)
    if config.points == "file":
        raise DataError(
            f"start.points=file needs a capture with points, and {capture.folder} has none. Take"
            " start.points=triangulate or start.points=random."
        )
    is_cut_out = all(photograph.is_cut_out for photograph in photographs)
    if config.points == "triangulate" or (config.points == "auto" and not is_cut_out):
        points, colors = _triangulated(capture, config.count, rng, context)
        if len(points) >= LEAST_TRIANGULATED:
            context.note(f"starting from {len(points)} points triangulated from the photographs")
            return points, colors
        if config.points == "triangulate":
            raise DataError(
                f"the photographs of {capture.folder} gave {len(points)} points, too few to start"
                " from. Are the poses right? Else take start.points=random."
            )
    shapes = photographs if is_cut_out and config.points == "auto" else ()
    points = random_points(capture, config.count, rng, silhouettes=shapes)
    context.note(f"starting from {len(points)} random points where the cameras look")
    return points, 0.5 + 0.05 * rng.standard_normal((len(points), 3))


def _triangulated(
    capture: Capture, count: int, rng: np.random.Generator, context: Context
) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate on larger photographs than the fit's; keep `count` of the points."""
    views = capture.split("train")
    longest = max(max(view.camera.width, view.camera.height) for view in views)
    resolution = next((n for n in (1, 2, 4) if longest / n <= FEATURE_PX), 8)
    large = [load(view, resolution) for view in views]

    def matched(done: int, total: int) -> None:
        context.progress(done, total, "views matched")
        if context.should_stop():
            context.stop()

    points, colors = triangulate(large, matched)
    kept = rng.permutation(len(points))[:count]
    return points[kept], colors[kept]


def in_silhouettes(
    points: Float[np.ndarray, "n 3"], photographs: Sequence[Photograph]
) -> Bool[np.ndarray, " n"]:
    """Which points no photograph shows to be empty."""
    at, kept = torch.from_numpy(points), torch.ones(len(points), dtype=torch.bool)
    for photograph in photographs:
        camera = photograph.camera
        pixel, depth = camera.project(at)
        column, row = pixel.floor().long().unbind(-1)
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
        is_empty = photograph.pixels[row, column, 3] == 0
        kept &= ~(inside & (depth > 0) & is_empty)
    return kept.numpy()


def squared_distance_to_neighbours(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The mean squared distance to the 3 nearest other points; duplicates count with 0."""
    distances, _ = KDTree(points).query(points, k=min(4, len(points)))
    return np.square(distances[:, 1:]).mean(axis=1)


def log_scales(points: Float[np.ndarray, "n 3"]) -> Float[Tensor, "n 3"]:
    """Logarithms of the start scales: round Gaussians as large as the points are apart."""
    squared = np.maximum(squared_distance_to_neighbours(points), LEAST_SQUARED_DISTANCE)
    return torch.from_numpy(0.5 * np.log(squared)).unsqueeze(-1).repeat(1, 3)


def random_points(
    capture: Capture,
    count: int,
    rng: np.random.Generator,
    *,
    silhouettes: Sequence[Photograph] = (),
) -> Float[np.ndarray, "n 3"]:
    """Random points where the cameras look: in a ball, where two training views see them.

    The ball is around the point nearest to all optical axes, more than half as wide as the cameras
    are away. With cut-out photographs only points inside all their silhouettes are kept.
    """
    views = capture.split("train")
    centre = looked_at([view.camera for view in views])
    reach = np.linalg.norm(capture.positions - centre, axis=1)
    radius = BALL_SHARE * float(np.median(reach))
    kept = np.empty((0, 3))
    for _ in range(MOST_DRAWS):
        draw = rng.normal(size=(2 * count, 3))
        draw *= rng.random((2 * count, 1)) ** (1 / 3) / np.linalg.norm(draw, axis=1, keepdims=True)
        points = centre + radius * draw
        points = points[seen_by(points, views) >= 2]
        if silhouettes:
            points = points[in_silhouettes(points, silhouettes)]
        kept = np.concatenate([kept, points])
        if len(kept) >= count:
            break
    if len(kept) < LEAST_INSIDE:
        kept = centre + radius * (rng.random((count, 3)) - 0.5)
    return kept[:count]


def seen_by(points: Float[np.ndarray, "n 3"], views: tuple[View, ...]) -> np.ndarray:
    """In how many views each point lies inside the picture."""
    at = torch.from_numpy(points)
    count = torch.zeros(len(points), dtype=torch.int64)
    for view in views:
        pixel, depth = view.camera.project(at)
        inside = (pixel >= 0).all(-1) & (pixel[:, 0] < view.camera.width)
        count += (inside & (pixel[:, 1] < view.camera.height) & (depth > 0)).long()
    return count.numpy()
