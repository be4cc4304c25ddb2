"""A picture of where photographs were taken from: seen from above and from the side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from fovea.scene.camera import Camera

PANEL_PX, MARGIN_PX, HEADING_PX = 420, 12, 26
INK, PAPER, FAINT, FIRST = (30, 30, 34), (250, 250, 248), (165, 170, 178), (214, 90, 40)
WEDGE = 0.09
"""Length of a camera's wedge, in widths of the panel."""
MOST_POINTS = 20_000
SHOWN_SHARE = 0.9
"""Of the points; those farther out are mostly wrong or background."""


def draw_cameras(
    cameras: Mapping[str, Camera], points: Float[np.ndarray, "n 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Cameras as wedges in the order of their names, the first in colour; points in grey."""
    points = points[:: max(1, len(points) // MOST_POINTS)]
    places = np.stack([camera.position.numpy() for camera in cameras.values()])
    size = (2 * PANEL_PX + 3 * MARGIN_PX, PANEL_PX + HEADING_PX + 2 * MARGIN_PX)
    sheet = Image.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    low, high = _bounds(places, points)
    shown = points[np.all((points > low) & (points < high), axis=1)]
    span = 1.1 * float((high - low).max())
    for number, (heading, vertical) in enumerate((("from above", 1), ("from the side", 2))):
        axes = [0, vertical]
        corner = np.array([MARGIN_PX + number * (PANEL_PX + MARGIN_PX), HEADING_PX + MARGIN_PX])
        scale = PANEL_PX / span * np.array([1.0, -1.0])
        origin = corner + PANEL_PX / 2 - scale * (low + high)[axes] / 2
        pen.text((corner[0], MARGIN_PX), heading, fill=INK, font=font)
        pen.rectangle((*corner.tolist(), *(corner + PANEL_PX).tolist()), outline=FAINT)
        pen.point([tuple(at) for at in (origin + scale * shown[:, axes]).tolist()], fill=FAINT)
        for order, camera in enumerate(cameras.values()):
            wedge = origin + scale * _wedge(camera, WEDGE * span)[:, axes]
            pen.polygon([tuple(at) for at in wedge.tolist()], outline=INK if order else FIRST)
    return np.asarray(sheet)


def _bounds(
    places: Float[np.ndarray, "m 3"], points: Float[np.ndarray, "n 3"]
) -> tuple[np.ndarray, np.ndarray]:
    shown = places
    if len(points):
        shares = (0.5 - SHOWN_SHARE / 2, 0.5 + SHOWN_SHARE / 2)
        shown = np.concatenate([places, np.quantile(points, shares, axis=0)])
    return shown.min(axis=0) - 1e-9, shown.max(axis=0) + 1e-9


def _wedge(camera: Camera, length: float) -> Float[np.ndarray, "3 3"]:
    """The camera's place and the two ends of what it sees at that distance."""
    place, rotation = camera.position.numpy(), camera.rotation.numpy()
    side = math.tan(camera.fov_x / 2) * rotation[0]
    return np.stack([place, *(place + length * (rotation[2] + s * side) for s in (-1, 1))])
