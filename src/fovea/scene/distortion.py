"""Lenses that bend: distortion models, and pictures made straight.

Points are on the plane one unit before the camera, [..., 2] as (x, y) = (X / Z, Y / Z); a lens
moves a point of the pinhole picture to where it is seen. The models stand in `lenses.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from fovea.errors import DataError
from fovea.scene.camera import Camera
from fovea.scene.lenses import FISHEYES, MODELS, Model, Points

NEWTON_STEPS = 40
CLOSE_ENOUGH = 1e-9
WIDEST_RAD = np.radians(65.0)


@dataclass(frozen=True)
class Distortion:
    """How a lens departs from a pinhole.

    Attributes:
        model: one of `fovea.scene.lenses.MODELS`: `opencv` with k1 k2 p1 p2 and perhaps k3, or k3
            k4 k5 k6; `simple_radial` with k1 and perhaps k2; `fisheye` with k1 k2 k3 k4; and
            rarer ones.
        coefficients: as many as the model has, without a unit.

    Raises:
        DataError: another model, another number of coefficients, or one that is not finite.
    """

    model: Model
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths, _ = MODELS.get(self.model, (None, None))
        if lengths is None:
            raise DataError(
                f"A lens is one of {', '.join(MODELS)}; found {self.model!r}. Convert the camera, "
                "or let COLMAP undistort the images."
            )
        if len(self.coefficients) not in lengths or not np.isfinite(self.coefficients).all():
            wanted = " or ".join(map(str, lengths))
            raise DataError(
                f"The lens model {self.model} has {wanted} finite coefficients; found "
                f"{list(self.coefficients)}. Check the camera file."
            )

    def distort(self, points: Points) -> Points:
        """Where the lens shows these points of the pinhole picture."""
        _, bend = MODELS[self.model]
        return bend(self.coefficients, points)

    def undistort(self, points: Points) -> Points:
        """Where a pinhole would have shown what the lens shows here; the inverse of `distort`.

        Raises:
            DataError: the lens shows nothing there: its curve has turned back before.
        """
        found = self._start(points)
        for _ in range(NEWTON_STEPS):
            error = self.distort(found) - points
            if np.abs(error).max(initial=0) < CLOSE_ENOUGH * 1e-4:
                break
            found = found - _solve(self._jacobian(found), error)
        off = np.abs(self.distort(found) - points).max(initial=0)
        if not off < CLOSE_ENOUGH:
            raise DataError(
                f"The lens {self.model} {list(self.coefficients)} cannot be undone up to the "
                f"corners (off by {off:.2g}): its curve turns back. Check the coefficients."
            )
        return found

    def _start(self, points: Points) -> Points:
        if self.model not in FISHEYES:
            return points
        # An equidistant lens without further terms has a closed inverse; 1.5 is short of 90
        # degrees.
        radius = np.linalg.norm(points, axis=-1, keepdims=True)
        out = np.tan(np.minimum(radius, 1.5))
        return points * np.divide(out, radius, out=np.ones_like(radius), where=radius > 0)

    def _jacobian(self, points: Points) -> Float[np.ndarray, "*points 2 2"]:
        step = 1e-6 * (1 + np.abs(points).max(axis=-1, keepdims=True))
        columns = [
            (self.distort(points + step * unit) - self.distort(points - step * unit)) / (2 * step)
            for unit in np.eye(2)
        ]
        return np.stack(columns, axis=-1)


def undistort(
    image: Float[np.ndarray, "height width channels"], camera: Camera
) -> tuple[Float[np.ndarray, "height width channels"], Camera]:
    """The picture a pinhole would have taken, and that pinhole.

    Its size stays the same. Its focal lengths are scaled together, as little as they must be for
    every pixel to show something: there are no black borders, and a strip at the edge of a
    barrel-shaped picture is lost.

    Args:
        image: as the lens showed it, with straight alpha in a fourth channel.
        camera: with `distortion`; without one, both are returned as they are.

    Raises:
        DataError: the sizes differ, or the lens cannot be undone up to the picture's corners.
    """
    if camera.distortion is None:
        return image, camera
    if image.shape[:2] != (camera.height, camera.width):
        raise DataError(
            f"The picture has {image.shape[1]} x {image.shape[0]} pixels and its camera "
            f"{camera.width} x {camera.height}. Resize the camera first."
        )
    pinhole = undistorted_camera(camera)
    seen = camera.distortion.distort(_pixels_to_plane(pinhole, _grid(pinhole)))
    at = _plane_to_pixels(camera, seen).astype(np.float32) - np.float32(0.5)
    return _sample(image, at), pinhole


def undistorted_camera(camera: Camera) -> Camera:
    """The pinhole of `undistort`: the largest view that the lens fills, at the same size.

    What a fisheye lens sees more than 65 degrees off its axis is left out; a pinhole that shows it
    would show little else, and one for 90 degrees there is not.
    """
    if camera.distortion is None:
        return camera
    width, height = camera.width, camera.height
    lens = camera.distortion
    left, right, top, bottom = (
        lens.undistort(_within_reach(lens, _pixels_to_plane(camera, edge)))
        for edge in _edges(camera)
    )
    low = np.array([left[:, 0].max(), top[:, 1].max()])
    high = np.array([right[:, 0].min(), bottom[:, 1].min()])
    focal = np.array([float(camera.intrinsics[0, 0]), float(camera.intrinsics[1, 1])])
    # Centres of the outermost pixels may reach these bounds; one factor keeps the pixels' shape.
    zoom = max((np.array([width - 1, height - 1]) / (high - low) / focal).max(), 1e-6)
    middle = (low + high) / 2
    size = np.array([width, height])
    intrinsics = camera.intrinsics.clone()
    for axis in range(2):
        intrinsics[axis, axis] = zoom * focal[axis]
        intrinsics[axis, 2] = size[axis] / 2 - zoom * focal[axis] * middle[axis]
    return replace(camera, intrinsics=intrinsics, distortion=None)


def _within_reach(lens: Distortion, points: Points) -> Points:
    """Points as the lens shows them, drawn in to where it shows what a pinhole may show."""
    if lens.model not in FISHEYES:
        return points
    limit = float(np.linalg.norm(lens.distort(np.array([[np.tan(WIDEST_RAD), 0.0]]))))
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    return points * np.minimum(1.0, limit / np.maximum(radius, 1e-12))


def _solve(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve 2 x 2 systems; a singular one gives something large, which the caller notices."""
    (a, b), (c, d) = np.moveaxis(matrices, (-2, -1), (0, 1))
    determinant = a * d - b * c
    determinant = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
    x, y = right[..., 0], right[..., 1]
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / determinant[..., None]


def _edges(camera: Camera) -> tuple[Points, Points, Points, Points]:
    """The centres of the pixels at the left, right, top and bottom edge."""
    pixels = _grid(camera)
    return pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]


def _grid(camera: Camera) -> Float[np.ndarray, "height width 2"]:
    columns, rows = np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5
    return np.stack(np.meshgrid(columns, rows), axis=-1)


def _pixels_to_plane(camera: Camera, pixels: Points) -> Points:
    matrix = camera.intrinsics.cpu().double().numpy()
    return (pixels - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]


def _plane_to_pixels(camera: Camera, points: Points) -> Points:
    matrix = camera.intrinsics.cpu().double().numpy()
    return points * matrix[[0, 1], [0, 1]] + matrix[:2, 2]


def _sample(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The image at these places, (column, row) with pixel centres at integers."""
    weighted = np.array(image, dtype=np.float32)
    has_alpha = image.shape[2] == 4
    if has_alpha:
        weighted[..., :3] *= weighted[..., 3:]
    columns, rows = np.ascontiguousarray(np.moveaxis(at, -1, 0))
    found: np.ndarray = cv2.remap(
        weighted, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    ).reshape(*at.shape[:2], image.shape[2])
    if has_alpha:
        alpha = found[..., 3:]
        np.divide(found[..., :3], alpha, out=found[..., :3], where=alpha > 1e-6)
    # Cubic weights overshoot at edges.
    return np.clip(found, image.min(), image.max()).astype(image.dtype)
