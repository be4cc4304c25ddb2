"""Actors: figures on their way through a scene, drawn where they are at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32

from fovea.events.simulate.figures import Figure
from fovea.events.simulate.motion import Course, Sway


class Region(NamedTuple):
    """A rectangle of pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.right <= self.left or self.bottom <= self.top


class Place(NamedTuple):
    """Where an actor is at a time, in pixels of the sensor."""

    middle_px: float
    foot_px: float
    height_px: float
    phase: float
    """Of its figure; whole numbers are its pictures."""


@dataclass(frozen=True)
class Actor:
    """A figure that crosses the scene."""

    figure: Figure
    class_id: int
    track_id: int
    across: Course
    """Of its middle, in pixels from the left."""
    depth: Sway
    """Its height against its usual one, as a logarithm: it comes nearer and goes away."""
    usual_px: float
    """Its usual height."""
    ground: tuple[float, float]
    """Where its feet are, in pixels from the top: so much, and so much for a pixel of height."""
    from_s: float
    to_s: float

    def is_there(self, time_s: float) -> bool:
        """Whether it is in the scene at a time."""
        return self.from_s <= time_s < self.to_s

    def at(self, time_s: float) -> Place:
        """Where it is at a time."""
        height = self.usual_px * math.exp(self.depth.at(time_s))
        middle = self.across.at(time_s)
        turns = middle / (self.figure.cycle * self.usual_px)
        foot = self.ground[0] + self.ground[1] * height
        return Place(middle, foot, height, turns % 1.0 * len(self.figure.picture))

    def speed_px(self, time_s: float) -> float:
        """A speed, a second, that no part of it exceeds; legs are faster than the body."""
        return 1.6 * abs(self.across.rate(time_s)) + self.depth.fastest * self.usual_px * (
            1 + self.ground[1]
        )

    def region(
        self, place: Place, shift: tuple[float, float], *, height: int, width: int
    ) -> Region:
        """The pixels of a sensor that it may touch."""
        scale = place.height_px / self.figure.height_px
        rows, columns = self.figure.cover.shape[1:]
        left = place.middle_px + shift[0] - scale * columns / 2
        bottom = place.foot_px + shift[1] + scale * (rows - self.figure.height_px) / 2
        return Region(
            max(0, math.floor(left)),
            max(0, math.floor(bottom - scale * rows)),
            min(width, math.ceil(left + scale * columns)),
            min(height, math.ceil(bottom)),
        )

    def picture(
        self, place: Place, region: Region, shift: tuple[float, float], *, finer: int = 1
    ) -> Float32[np.ndarray, "h w 2"]:
        """Its light, times its cover, and its cover, in a region.

        Args:
            place: where it is.
            region: of the sensor.
            shift: of everything, right and down: the camera's shaking.
            finer: pixels a side in place of one.
        """
        blended = self._blended(place)
        # Rows of `to_figure` map a pixel of the region to one of the picture.
        k = self.figure.height_px / place.height_px
        rows, columns = blended.shape[:2]
        left = region.left + 0.5 / finer - place.middle_px - shift[0]
        top = region.top + 0.5 / finer - place.foot_px - shift[1]
        to_figure = np.array(
            [
                [k / finer, 0, columns / 2 + k * left - 0.5],
                [0, k / finer, (rows + self.figure.height_px) / 2 + k * top - 0.5],
            ]
        )
        size = (region.right - region.left) * finer, (region.bottom - region.top) * finer
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(blended, to_figure, size, flags=flags), np.float32)

    def covered_px(self, place: Place) -> float:
        """How many pixels it would cover, were nothing before it and the sensor endless."""
        scale = place.height_px / self.figure.height_px
        return float(self._blended(place)[..., 1].sum()) * scale**2

    def _blended(self, place: Place) -> Float32[np.ndarray, "h w 2"]:
        """The figure between two of its phases."""
        first, part = divmod(place.phase, 1.0)
        here = self.figure.picture[int(first) % len(self.figure.picture)]
        following = self.figure.picture[int(first + 1) % len(self.figure.picture)]
        return np.asarray(cv2.addWeighted(here, 1 - part, following, part, 0), np.float32)
