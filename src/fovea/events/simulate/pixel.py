"""The pixels of an event camera: light over time in, events out.

A pixel follows the logarithm of light, linear near black, through a first-order low-pass that is
slower in the dark. It makes an event whenever that brightness has moved by its threshold since its
last event, is blind for the refractory time, and then remembers what it sees. Thresholds differ
from pixel to pixel; leakage lets the memory drift, and shot noise makes events of its own.

Between the moments at which light is given, brightness is a straight line: events have times of
their own, to a microsecond, however rarely it is given.

Source: Hu, Liu and Delbruck, "v2e: From Video Frames to Realistic DVS Events" (CVPRW 2021), for the
model and its numbers; Rebecq, Gehrig and Scaramuzza, "ESIM: an Open Event Camera Simulator" (CoRL
2018), for events between rendered moments. We end the refractory time within a step, as the circuit
does, and draw noise as a Poisson process in continuous time rather than once a frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32

from fovea.errors import DataError
from fovea.events.settings.simulate import PixelConfig
from fovea.events.stream import EventStream
from fovea.scene.raster.compiled import kernels

Light = Float32[np.ndarray, "height width"]
Moment = tuple[int, Light]
"""A time in µs and the light there is then, linear, 0 for black and 1 for white."""

LEAST_THRESHOLD = 0.01
"""No pixel's threshold is drawn below it; v2e's."""
LEAK_SPREAD = 0.1
"""Relative spread of the leak from pixel to pixel; v2e's."""
NOISE_IN_LIGHT = 0.25
"""Shot noise in full light, as a part of that in the dark; v2e's."""
DARK_BANDWIDTH = 0.1
"""Bandwidth in black, as a part of that in white, as in v2e."""
CHUNK_US = 100_000
"""Events of so long a time come in one piece."""


def brightness(light: Light, knee: float) -> Light:
    """The logarithm of light; below the knee the tangent there, which is finite at black."""
    above = np.asarray(cv2.log(np.maximum(light, knee)), np.float32)
    return above + np.minimum(light / np.float32(knee) - 1, 0, dtype=np.float32)


class PixelArray:
    """The pixels of one camera, and what each remembers.

    The first moment that it sees makes no event. `is_settled` pixels then remember exactly that
    moment; others stand, as in a camera that has been running, somewhere between two events.
    """

    def __init__(
        self,
        config: PixelConfig,
        *,
        height: int,
        width: int,
        rng: np.random.Generator,
        is_settled: bool = False,
    ) -> None:
        self.config, self.height, self.width = config, height, width
        shape = height, width
        self.threshold_on = _thresholds(config.threshold_on, config.threshold_sigma, shape, rng)
        self.threshold_off = _thresholds(config.threshold_off, config.threshold_sigma, shape, rng)
        spread = 1 + LEAK_SPREAD * rng.standard_normal(shape).astype(np.float32)
        self._leak = config.leak_hz * 1e-6 * self.threshold_on * np.maximum(spread, 0)
        self._hazard = rng.standard_exponential(shape).astype(np.float32)
        where = rng.random(shape, np.float32)
        within = where * (self.threshold_on + self.threshold_off) - self.threshold_off
        self._change = np.zeros(shape, np.float32) if is_settled else within
        self._blind_us = np.zeros(shape, np.float64)
        self._random = rng.integers(1, 2**63, size=1, dtype=np.uint64)
        self._time_us: int | None = None
        self._light = self._brightness = np.zeros(shape, np.float32)
        self._columns = _columns(2 * height * width)

    def see(self, time_us: int, light: Light) -> EventStream:
        """The events from the moment seen last up to this one.

        Raises:
            DataError: light is of another size, or time does not go on.
        """
        if light.shape != (self.height, self.width):
            raise DataError(
                f"the camera has {self.height} x {self.width} pixels, and light at {time_us} µs is"
                f" given for {' x '.join(map(str, light.shape))}. Resize it."
            )
        bright = brightness(light, self.config.knee)
        if self._time_us is None:
            self._time_us, self._light, self._brightness = time_us, light, bright
            return EventStream.empty(self.height, self.width)
        if time_us <= self._time_us:
            raise DataError(
                f"moments come in order, and {time_us} µs is given after {self._time_us} µs. Sort"
                " them."
            )
        start_us, duration_us = self._time_us, time_us - self._time_us
        bright = self._passed(bright, light, duration_us)
        events = self._step(start_us, duration_us, bright)
        self._time_us, self._light, self._brightness = time_us, light, bright
        return events

    def _passed(self, bright: Light, light: Light, duration_us: int) -> Light:
        """What of a new brightness gets through the low-pass within a step."""
        if not self.config.cutoff_hz:
            return bright
        rate = -2 * math.pi * self.config.cutoff_hz * duration_us * 1e-6
        speed = np.clip(DARK_BANDWIDTH + (1 - DARK_BANDWIDTH) * light, 0, 1)
        share = 1 - np.asarray(cv2.exp(np.float32(rate) * speed), np.float32)
        return self._brightness + share * (bright - self._brightness)

    def _step(self, start_us: int, duration_us: int, bright: Light) -> EventStream:
        config, pixel, parts = self.config, 0, list[tuple[np.ndarray, ...]]()
        dark = config.shot_noise_hz * 1e-6
        advance = kernels("pixel", package="fovea.events").advance
        state = (
            self._light, self._brightness, bright, self._change, self._blind_us, self._hazard,
            self.threshold_on, self.threshold_off, self._leak,
        )  # fmt: skip
        flat = [values.reshape(-1) for values in state]
        while pixel < bright.size:
            count, pixel = advance(
                pixel, self.width, float(duration_us), float(config.refractory_us),
                dark, (NOISE_IN_LIGHT - 1) * dark, *flat, self._random, *self._columns,
            )  # fmt: skip
            parts.append(tuple(column[:count].copy() for column in self._columns))
        t, x, y, p = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        # A step is short: sixteen bits of time sort by radix, in linear time.
        order = np.argsort(t.astype(np.uint16) if duration_us < 2**16 else t, kind="stable")
        return EventStream(t[order] + start_us, x[order], y[order], p[order], *bright.shape)


def events_of(
    pixels: PixelArray, moments: Iterable[Moment], *, chunk_us: int = CHUNK_US
) -> Iterator[EventStream]:
    """The events that a camera makes of light over time, in pieces, without holding the whole."""
    parts, since_us = list[EventStream](), None
    for time_us, light in moments:
        parts.append(pixels.see(time_us, light))
        since_us = time_us if since_us is None else since_us
        if time_us - since_us >= chunk_us:
            yield EventStream.joined(parts)
            parts, since_us = [], time_us
    if parts:
        yield EventStream.joined(parts)


def _thresholds(
    mean: float, sigma: float, shape: tuple[int, int], rng: np.random.Generator
) -> Light:
    drawn = mean + sigma * rng.standard_normal(shape)
    return np.maximum(drawn, LEAST_THRESHOLD).astype(np.float32)


def _columns(room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.empty(room, np.int64), np.empty(room, np.uint16),
        np.empty(room, np.uint16), np.empty(room, np.uint8),
    )  # fmt: skip
