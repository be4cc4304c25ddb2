"""Bring a small map up to a photograph's size so that its edges lie on the photograph's.

The guided filter finds, in every window, the map as a linear function of the colours; near a jump
of the depth what it gives still runs from one side to the other, so each pixel is then drawn to the
side it is nearer to. A surface that hangs between two others is what one sees first in a new view.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

Map = Float32[np.ndarray, "height width"]
Picture = Float32[np.ndarray, "height width 3"]

REGULAR = 2e-3
"""How much of the colours' variance in a window is taken for noise."""
JUMP = 0.06
"""A difference of log depth across a few pixels that no slope makes: 6 percent."""


def guided(small: Map, picture: Picture, *, radius: int) -> Map:
    """The map at the picture's size, its edges moved to those of the colours.

    Args:
        small: the map, of any size.
        picture: display values in 0..1.
        radius: of the windows, in pixels of the picture.

    Source: He, Sun and Tang, "Guided Image Filtering" (2013), with colours as guide; He and Sun,
        "Fast Guided Filter" (2015): the windows' functions are found at half the size.
    """
    height, width = picture.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    guide = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
    target = cv2.resize(small, half, interpolation=cv2.INTER_CUBIC)
    window = (radius | 1, radius | 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, window)

    m, t = mean(guide), mean(target)
    covariance = mean(guide * target[..., None]) - m * t[..., None]
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    variance = np.empty((*guide.shape[:2], 3, 3), np.float32)
    for i, j in pairs:
        v = mean(guide[..., i] * guide[..., j]) - m[..., i] * m[..., j]
        variance[..., i, j] = variance[..., j, i] = v + (REGULAR if i == j else 0.0)
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0]
    offset = t - (slope * m).sum(-1)
    slope, offset = mean(slope), mean(offset)
    size = (width, height)
    slope = cv2.resize(slope, size, interpolation=cv2.INTER_LINEAR)
    offset = cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
    return ((slope * picture).sum(-1) + offset).astype(np.float32)


def sharpened(values: Map, *, radius: int, jump: float = JUMP) -> Map:
    """Where the map jumps, each pixel goes to the nearer side; slopes stay as they are."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    low, high = cv2.erode(values, kernel), cv2.dilate(values, kernel)
    span = high - low
    place = (values - low) / np.maximum(span, 1e-6)
    steep = np.clip((place - 0.5) * 6 + 0.5, 0, 1)
    amount = np.clip((span - 2 * jump) / (2 * jump), 0, 1)
    return (values + amount * (low + steep * span - values)).astype(np.float32)


def without_spikes(values: Map, *, frame: int = 12, size: int = 17, rise: float = 0.1) -> Map:
    """Takes away what stands out at the border of the network's map.

    In the corners, where every convolution sees its padding, the network may say a few centimetres.
    An opening with a window wider than that leaves the rest of the border alone.
    """
    opened = cv2.morphologyEx(values, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
    out = np.minimum(values, opened + rise)
    inner = slice(frame, -frame)
    out[inner, inner] = values[inner, inner]
    return out


def jumps(values: Map, *, jump: float = JUMP) -> np.ndarray:
    """Whether a pixel's neighbours lie on another surface."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(values, kernel) - cv2.erode(values, kernel) > jump


def far_side(log_inverse: Map, picture: Picture, *, radius: int) -> tuple[Map, Picture, Map]:
    """What a near surface hides close to its border, as its surroundings go on behind it.

    Returns:
        The log inverse depth of the farthest surface within the radius, the mean colour of what
        lies that far there, and how many pixels that mean is of, as a share of the window.
    """
    side = 2 * radius + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    low = cv2.blur(cv2.erode(log_inverse, kernel), (radius | 1, radius | 1))
    is_far = (log_inverse < low + 0.5 * np.maximum(log_inverse - low, 0) + 0.03).astype(np.float32)
    is_far *= log_inverse < cv2.erode(log_inverse, kernel) + 0.1
    share = cv2.GaussianBlur(is_far, (0, 0), radius / 2)
    color = cv2.GaussianBlur(picture * is_far[..., None], (0, 0), radius / 2)
    return low, color / np.maximum(share, 1e-4)[..., None], share
