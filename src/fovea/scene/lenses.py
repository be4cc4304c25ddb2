"""How the lens models bend: for each, where it shows a point of the pinhole picture.

A model is a function of its coefficients and points (x, y) = (X / Z, Y / Z) on the plane one unit
before the camera. Names of coefficients and their order are OpenCV's and COLMAP's. r is the
distance from the optical axis on that plane, theta = atan r the angle from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

Model = Literal[
    "opencv",
    "simple_radial",
    "fisheye",
    "fov",
    "thin_prism_fisheye",
    "fisheye624",
    "division",
    "unified",
]
Points = Float[np.ndarray, "*points 2"]
Coefficients = Sequence[float]


def opencv(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k1 k2 p1 p2, perhaps k3, perhaps k4 k5 k6: radial and tangential.

    The radial part is a quotient where k4 k5 k6 are there.

    Source: Brown, "Close-range camera calibration" (1971).
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, 0.0, 0.0, 0.0, 0.0)[:8]
    squared = _squared(points)
    radial = 1 + squared * polynomial((k1, k2, k3), squared)
    radial = radial / (1 + squared * polynomial((k4, k5, k6), squared))
    return points * radial[..., None] + _tangential(points, p1, p2)


def simple_radial(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k1 and perhaps k2."""
    squared = _squared(points)
    return points * (1 + squared * polynomial(coefficients, squared))[..., None]


def fisheye(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k1 k2 k3 k4: an equidistant lens with a polynomial of the angle.

    Source: Kannala and Brandt, "A generic camera model and calibration method for conventional,
    wide-angle, and fish-eye lenses" (2006).
    """
    bent = _equidistant(points)
    squared = _squared(bent)
    return bent * (1 + squared * polynomial(coefficients, squared))[..., None]


def thin_prism_fisheye(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k1 k2 p1 p2 k3 k4 sx1 sy1: equidistant, then further terms.

    These are radial, tangential and of a thin prism.

    Source: Weng, Cohen and Herniou, "Camera calibration with distortion models and accuracy
    evaluation" (1992).
    """
    k1, k2, p1, p2, k3, k4, sx1, sy1 = coefficients
    bent = _equidistant(points)
    squared = _squared(bent)
    radial = 1 + squared * polynomial((k1, k2, k3, k4), squared)
    prism = squared[..., None] * np.array([sx1, sy1])
    return bent * radial[..., None] + _tangential(bent, p1, p2) + prism


def fisheye624(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k1..k6 p1 p2 s1..s4: fisheye with six terms, then tangential and prism terms.

    Source: the camera model of Project Aria (RAD_TAN_THIN_PRISM_FISHEYE in COLMAP).
    """
    p1, p2, s1, s2, s3, s4 = coefficients[6:]
    bent = fisheye(coefficients[:6], points)
    squared = _squared(bent)[..., None]
    prism = squared * np.array([s1, s3]) + squared**2 * np.array([s2, s4])
    return bent + _tangential(bent, p2, p1) + prism


def fov(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients omega: the field of view of an ideal fisheye lens.

    Source: Devernay and Faugeras, "Straight lines have to be straight" (2001).
    """
    (omega,) = coefficients
    if abs(omega) < 1e-9:
        return points
    radius = np.sqrt(_squared(points))
    seen = np.arctan(radius * 2 * np.tan(omega / 2)) / omega
    near_axis = 2 * np.tan(omega / 2) / omega
    return points * _quotient(seen, radius, at_zero=near_axis)[..., None]


def division(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients k: what is seen at r_d lies at r_d / (1 + k r_d^2).

    Source: Fitzgibbon, "Simultaneous linear estimation of multiple view geometry and lens
    distortion" (2001).
    """
    (k,) = coefficients
    root = np.sqrt(np.maximum(1 - 4 * k * _squared(points), 0))
    return points * (2 / (1 + root))[..., None]


def unified(coefficients: Coefficients, points: Points) -> Points:
    """Coefficients alpha beta: a projection onto an ellipsoid, then onto a plane.

    Source: Khomutenko, Garcia and Martinet, "An enhanced unified camera model" (2016).
    """
    alpha, beta = coefficients
    depth = alpha * np.sqrt(beta * _squared(points) + 1) + (1 - alpha)
    return points / depth[..., None]


MODELS: dict[str, tuple[tuple[int, ...], Callable[[Coefficients, Points], Points]]] = {
    "opencv": ((4, 5, 8), opencv),
    "simple_radial": ((1, 2), simple_radial),
    "fisheye": ((4,), fisheye),
    "fov": ((1,), fov),
    "thin_prism_fisheye": ((8,), thin_prism_fisheye),
    "fisheye624": ((12,), fisheye624),
    "division": ((1,), division),
    "unified": ((2,), unified),
}
"""By the name of the model: how many coefficients it may have, and how it bends."""

FISHEYES = ("fisheye", "thin_prism_fisheye", "fisheye624")
"""Models in which what is seen at distance 1 lies about one radian from the axis."""


def polynomial(coefficients: Coefficients, squared: np.ndarray) -> np.ndarray:
    """k1 + k2 s + k3 s^2 + ..."""
    value = np.zeros_like(squared)
    for coefficient in reversed(coefficients):
        value = value * squared + coefficient
    return value


def _squared(points: Points) -> np.ndarray:
    return np.square(points).sum(axis=-1)


def _tangential(points: Points, p1: float, p2: float) -> Points:
    x, y = points[..., 0], points[..., 1]
    squared = _squared(points)
    return np.stack(
        [
            2 * p1 * x * y + p2 * (squared + 2 * x * x),
            p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _equidistant(points: Points) -> Points:
    """The same directions, at a distance that is the angle from the axis."""
    radius = np.sqrt(_squared(points))
    return points * _quotient(np.arctan(radius), radius, at_zero=1.0)[..., None]


def _quotient(above: np.ndarray, below: np.ndarray, *, at_zero: float) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(below, at_zero), where=below > 0)
