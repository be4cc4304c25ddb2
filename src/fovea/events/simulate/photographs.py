"""The photographs that made scenes are of: those that come with scikit-image, all free to use.

Light is linear, 0 for black and 1 for white.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32

from fovea.scene.color import srgb_to_linear

Light = Float32[np.ndarray, "height width"]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear red, green and blue, Rec. 709."""
MOST_ENLARGED = 1.25
"""A photograph is not enlarged more than this; beyond its border its mirror image begins."""


def luminance(srgb: np.ndarray) -> Light:
    """The light of a picture of 8 bits, grey or in colour."""
    linear = srgb_to_linear(srgb.astype(np.float32) / 255).astype(np.float32)
    return linear if linear.ndim == 2 else linear[..., :3] @ LUMINANCE


@cache
def photograph(name: str) -> Light:
    """The photograph of scikit-image that has this name."""
    import skimage.data

    load: Any = getattr(skimage.data, name)
    light = luminance(load())
    light.setflags(write=False)
    return light


class Album:
    """Some photographs, from which pieces are cut."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def backdrop(
        self, rng: np.random.Generator, *, height: int, width: int, margin: float
    ) -> Light:
        """A photograph to move behind a window of a size, larger than it by `margin` of it.

        It is shrunk to between one and two such sizes, and enlarged no more than a little.
        """
        whole = photograph(self.names[rng.integers(len(self.names))])
        if rng.random() < 0.5:
            whole = whole[:, ::-1]
        least = max(height / whole.shape[0], width / whole.shape[1]) * (1 + margin)
        scale = min(least * rng.uniform(1.0, 1.8), MOST_ENLARGED)
        size = round(whole.shape[1] * scale), round(whole.shape[0] * scale)
        shrunk = cv2.resize(np.ascontiguousarray(whole), size, interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk, np.float32)

    def texture(self, rng: np.random.Generator, *, height: int, width: int) -> Light:
        """A piece of a photograph, its light scaled to 0..1 with half of it on either side."""
        whole = photograph(self.names[rng.integers(len(self.names))])
        zoom = rng.uniform(1.5, 5.0)
        rows = min(whole.shape[0], max(8, round(height * zoom)))
        columns = min(whole.shape[1], max(8, round(width * zoom)))
        top = rng.integers(whole.shape[0] - rows + 1)
        left = rng.integers(whole.shape[1] - columns + 1)
        piece = np.ascontiguousarray(whole[top : top + rows, left : left + columns])
        small = np.asarray(cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA))
        low, middle, high = np.percentile(small, (2, 50, 98))
        reach = max(high - middle, middle - low, 1e-3)
        return np.clip(0.5 + 0.5 * (small - middle) / reach, 0, 1).astype(np.float32)
