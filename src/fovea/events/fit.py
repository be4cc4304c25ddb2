"""Recordings of one sensor for a detector of another: coordinates there and back.

A detector knows objects of the size in pixels that it was trained on. A smaller recording is
therefore set into its frame as it is; a larger one is either cut or shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fovea.errors import DataError
from fovea.events.boxes import Boxes
from fovea.events.detections import scaled
from fovea.events.sensor import Sensor
from fovea.events.stream import EventStream
from fovea.scene.raster.compiled import kernels

Manner = Literal["auto", "pad", "crop", "resize", "refuse"]


@dataclass(frozen=True)
class Fit:
    """How pixels of a recording become pixels of a detector's sensor."""

    height: int
    width: int
    """Of the recording."""
    to_height: int
    to_width: int
    """Of the detector's sensor."""
    scale: float = 1.0
    left: int = 0
    top: int = 0
    """First pixel of the recording that is seen."""

    @classmethod
    def of(cls, height: int, width: int, sensor: Sensor, manner: Manner = "auto") -> Fit:
        """The fit of a recording to a sensor.

        Args:
            height: of the recording.
            width: of the recording.
            sensor: the detector's.
            manner: `pad` sets a smaller recording into the corner of the detector's frame. `crop`
                takes the middle of a larger one. `resize` shrinks it, all of it, keeping its shape.
                `auto` pads a smaller and shrinks a larger one.

        Raises:
            DataError: sizes differ and `manner` is `refuse`, or it is `pad` and the recording is
                larger.
        """
        size = {"height": height, "width": width} | {
            "to_height": sensor.height, "to_width": sensor.width,
        }  # fmt: skip
        is_larger = height > sensor.height or width > sensor.width
        if (height, width) == (sensor.height, sensor.width):
            return cls(**size)
        if manner == "refuse" or (manner == "pad" and is_larger):
            raise DataError(
                f"the recording is of {height} x {width} pixels, and the detector of"
                f" {sensor.height} x {sensor.width} ({sensor.name}); fit={manner} does not allow"
                " it. Give fit=resize to shrink the recording, fit=crop to take its middle, or a"
                " detector trained on such a sensor."
            )
        if manner == "crop":
            left, top = max(0, width - sensor.width) // 2, max(0, height - sensor.height) // 2
            return cls(**size, left=left, top=top)
        if manner == "pad" or not is_larger:
            return cls(**size)
        return cls(**size, scale=min(sensor.height / height, sensor.width / width))

    @property
    def is_identity(self) -> bool:
        """Whether sizes are the same."""
        return (self.height, self.width) == (self.to_height, self.to_width)

    def describe(self) -> str:
        """What is done, in a sentence; empty where nothing is."""
        if self.is_identity:
            return ""
        sizes = (
            f"the recording is of {self.height} x {self.width} pixels and the detector of"
            f" {self.to_height} x {self.to_width}"
        )
        if self.scale != 1:
            return (
                f"{sizes}: it is shrunk to {self.scale:.3g} of its size, {1 / self.scale**2:.0f}"
                " events of a pixel's area becoming one. Objects should then be as large as those"
                " the detector learnt"
            )
        if self.left or self.top or self.height > self.to_height or self.width > self.to_width:
            return f"{sizes}: only the middle is looked at, from x={self.left} y={self.top} on"
        return f"{sizes}: it stands in the corner of the detector's frame, at its own size"

    def back(self, boxes: Boxes) -> Boxes:
        """Boxes in pixels of the recording."""
        if self.is_identity:
            return boxes
        return scaled(boxes, 1 / self.scale, left=self.left, top=self.top)


class Fitter:
    """Events of a recording as the detector's sensor would have seen them, piece by piece."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self._charge = np.zeros((fit.to_height, fit.to_width))

    def __call__(self, events: EventStream) -> EventStream:
        """The next piece; the result does not depend on how the stream is cut."""
        fit = self.fit
        if fit.is_identity:
            return events
        if fit.scale != 1:
            return self._shrunk(events)
        right, bottom = fit.left + fit.to_width, fit.top + fit.to_height
        inside = (events.x >= fit.left) & (events.x < right)
        inside &= (events.y >= fit.top) & (events.y < bottom)
        x, y = events.x[inside] - np.uint16(fit.left), events.y[inside] - np.uint16(fit.top)
        return EventStream(events.t[inside], x, y, events.p[inside], fit.to_height, fit.to_width)

    def _shrunk(self, events: EventStream) -> EventStream:
        """A coarse pixel fires for as many events as make one of its area.

        Were coordinates divided and all events kept, a pixel would see a hundred times the events
        it was trained on. Gathering them, opposite ones undoing each other, is what a sensor with
        larger pixels does to a first approximation.
        """
        count = len(events)
        x, y = np.empty(count, np.uint16), np.empty(count, np.uint16)
        kept = np.empty(count, np.uint8)
        columns = (events.x, events.y, events.p)
        contiguous = (np.ascontiguousarray(column) for column in columns)
        loops: Any = kernels("shrink", package="fovea.events")
        loops.shrink(*contiguous, self.fit.scale, self._charge, kept, x, y)
        chosen = kept.astype(np.bool_)
        return EventStream(
            events.t[chosen], x[chosen], y[chosen], events.p[chosen],
            self.fit.to_height, self.fit.to_width,
        )  # fmt: skip
