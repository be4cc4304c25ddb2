"""Made scenes: figures with photographs on them, moving before a photograph that moves.

A scene gives the light on the sensor at any time, and the boxes of what is seen of its figures.
Nearer figures are larger, stand lower and hide farther ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fovea.events.boxes import BOX_DTYPE, Boxes
from fovea.events.settings.simulate import PHOTOGRAPHS, RenderConfig, SceneConfig
from fovea.events.simulate.actor import Actor, Place, Region
from fovea.events.simulate.figures import DRAWINGS, draw_figure
from fovea.events.simulate.motion import Course, Sway, wandering
from fovea.events.simulate.photographs import Album, Light
from fovea.events.simulate.pixel import Moment

FINER = 4
"""Boxes are measured on a grid so many times finer than the sensor's."""
APPROACH = 0.2
"""How far figures come and go, as a logarithm of their size."""
STARTS_INSIDE = 0.7
"""Chance that the first figure of each place in the scene is there from the start."""
TURNS_A_SECOND = (0.05, 0.25)
"""Frequencies of coming and going, of figures and of the background."""
SHAKING_HZ = (0.5, 4.0)


@dataclass(frozen=True)
class Backdrop:
    """A photograph behind everything, which drifts, comes and goes."""

    light: Light
    right: Course
    """Where its middle is seen from the sensor's, in pixels."""
    down: Course
    zoom: Sway
    """Its size, as a logarithm."""

    def seen(self, time_s: float, shift: tuple[float, float], *, height: int, width: int) -> Light:
        """Its light on a sensor at a time; beyond its border it goes on mirrored."""
        k = float(np.exp(-self.zoom.at(time_s)))
        rows, columns = self.light.shape
        right = (0.5 - width / 2 - self.right.at(time_s) - shift[0]) * k
        down = (0.5 - height / 2 - self.down.at(time_s) - shift[1]) * k
        to_photograph = np.array([[k, 0, columns / 2 + right - 0.5], [0, k, rows / 2 + down - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(
            self.light, to_photograph, (width, height), flags=flags,
            borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        return np.asarray(seen, np.float32)

    def speed_px(self, time_s: float, width: int) -> float:
        """A speed, a second, that it does not exceed."""
        drift = abs(self.right.rate(time_s)) + abs(self.down.rate(time_s))
        return drift + self.zoom.fastest * width / 2


@dataclass(frozen=True)
class Scene:
    """One recording's world."""

    height: int
    width: int
    backdrop: Backdrop
    actors: Sequence[Actor]
    shaking: tuple[Sway, Sway]
    """Of the camera, right and down, in pixels."""

    def light(self, time_s: float) -> Light:
        """The light on the sensor at a time."""
        shift = self._shift(time_s)
        light = self.backdrop.seen(time_s, shift, height=self.height, width=self.width)
        for actor, place in self._on_stage(time_s):
            region = actor.region(place, shift, height=self.height, width=self.width)
            if not region.is_empty:
                picture = actor.picture(place, region, shift)
                part = light[region.top : region.bottom, region.left : region.right]
                part *= 1 - picture[..., 1]
                part += picture[..., 0]
        return light

    def boxes(self, time_us: int, *, min_visible: float) -> Boxes:
        """The boxes of what is seen of each figure at a time, to a quarter of a pixel.

        A figure is seen where it covers the sensor and no nearer one covers it. One of which less
        than `min_visible` is seen has no box.
        """
        shift = self._shift(time_us * 1e-6)
        nearest_first = self._on_stage(time_us * 1e-6)[::-1]
        rows = list[tuple[float, ...]]()
        for number, (actor, place) in enumerate(nearest_first):
            region = actor.region(place, shift, height=self.height, width=self.width)
            if region.is_empty:
                continue
            seen = actor.picture(place, region, shift, finer=FINER)[..., 1]
            for before, where in nearest_first[:number]:
                seen = seen * (1 - before.picture(where, region, shift, finer=FINER)[..., 1])
            if seen.sum() >= min_visible * FINER**2 * actor.covered_px(place):
                rows.append((time_us, *_extent(seen, region), actor.class_id, actor.track_id, 1.0))
        return np.array(sorted(rows, key=lambda row: row[6]), BOX_DTYPE)

    def moments(self, seconds: float, config: RenderConfig) -> Iterator[Moment]:
        """Light over time, often enough that nothing moves far in between."""
        end_us, now_us = round(seconds * 1e6), 0
        while True:
            yield now_us, self.light(now_us * 1e-6)
            if now_us >= end_us:
                return
            hertz = self._speed_px(now_us * 1e-6) / config.shift_px
            hertz = min(max(hertz, config.least_hz), config.most_hz)
            now_us = min(now_us + round(1e6 / hertz), end_us)

    def _on_stage(self, time_s: float) -> list[tuple[Actor, Place]]:
        """Who is there and where, farthest first."""
        there = [(actor, actor.at(time_s)) for actor in self.actors if actor.is_there(time_s)]
        return sorted(there, key=lambda pair: (pair[1].foot_px, pair[0].track_id))

    def _shift(self, time_s: float) -> tuple[float, float]:
        return self.shaking[0].at(time_s), self.shaking[1].at(time_s)

    def _speed_px(self, time_s: float) -> float:
        shaking = max(sway.fastest for sway in self.shaking)
        actors = [actor.speed_px(time_s) for actor in self.actors if actor.is_there(time_s)]
        return shaking + max([self.backdrop.speed_px(time_s, self.width), *actors])


def make_scene(
    config: SceneConfig,
    *,
    classes: Sequence[str],
    height: int,
    width: int,
    seconds: float,
    rng: np.random.Generator,
) -> Scene:
    """Draw a scene at random: the same generator gives the same scene.

    Args:
        config: what goes on.
        classes: kinds of figures, by class id.
        height: of the sensor, in pixels.
        width: of the sensor, in pixels.
        seconds: for which figures come and go.
        rng: draws it.
    """
    album = Album(config.photographs or PHOTOGRAPHS)
    light = album.backdrop(rng, height=height, width=width, margin=0.3)
    drift = config.pan * width
    courses = [
        wandering(rng, 0.0, rng.uniform(-drift, drift) * share, from_s=0, to_s=seconds, whims=0.3)
        for share in (1.0, 0.3)
    ]
    zoom = Sway.drawn(rng, config.zoom, TURNS_A_SECOND)
    shaking = [Sway.drawn(rng, config.shake * width, SHAKING_HZ) for _ in range(2)]
    casting = _Casting(config, classes, album, height, width, seconds, rng)
    return Scene(
        height,
        width,
        Backdrop(light, courses[0], courses[1], zoom),
        casting.all(),
        (shaking[0], shaking[1]),
    )


@dataclass
class _Casting:
    """Draws the figures of a scene."""

    config: SceneConfig
    classes: Sequence[str]
    album: Album
    height: int
    width: int
    seconds: float
    rng: np.random.Generator

    def all(self) -> list[Actor]:
        """The figures that come one after the other in each of a few places."""
        rng = self.rng
        slope = rng.uniform(1.0, 1.2)
        # The nearest stand at the sensor's bottom, or a little below it.
        horizon = self.height * (rng.uniform(0.92, 1.04) - slope * self.config.size[1])
        actors = list[Actor]()
        for _ in range(rng.integers(self.config.objects[0], self.config.objects[1] + 1)):
            is_inside = rng.random() < STARTS_INSIDE
            now = 0.0 if is_inside else rng.uniform(0, min(1.5, self.seconds / 3))
            while now < self.seconds:
                actors.append(self._actor(len(actors), now, is_inside, (horizon, slope)))
                now, is_inside = actors[-1].to_s + rng.uniform(0.1, 0.8), False
        return actors

    def _actor(
        self, number: int, from_s: float, is_inside: bool, ground: tuple[float, float]
    ) -> Actor:
        rng, config = self.rng, self.config
        class_id = int(rng.integers(len(self.classes)))
        kind = self.classes[class_id]
        person = rng.uniform(*config.size)
        height_px = person * self.height * DRAWINGS[kind].stature
        depth = Sway.drawn(rng, APPROACH, TURNS_A_SECOND, waves=2)
        is_left = rng.random() < 0.5
        pace = rng.uniform(*config.speed) * DRAWINGS[kind].pace * person / config.size[1]
        rate = -pace * self.width if is_left else pace * self.width
        figure = draw_figure(
            kind, height_px * float(np.exp(APPROACH)), self.album, rng, faces_left=is_left
        )
        half = height_px * float(np.exp(APPROACH)) * DRAWINGS[kind].aspect / 2
        start = self.width + half if is_left else -half
        if is_inside:
            start = rng.uniform(0.1, 0.9) * self.width
        across = wandering(rng, start, rate, from_s=from_s, to_s=self.seconds, whims=config.whims)
        return Actor(
            figure,
            class_id,
            number,
            across,
            depth,
            height_px,
            # Feet stand by the height of a person at that depth, whatever the figure's own.
            (ground[0], ground[1] / DRAWINGS[kind].stature),
            from_s,
            self._gone(across, from_s, half),
        )

    def _gone(self, across: Course, from_s: float, half_px: float) -> float:
        """When the figure has left the sensor."""
        now = from_s + 0.2
        while now < self.seconds and -half_px <= across.at(now) <= self.width + half_px:
            now += 0.02
        return now


def _extent(seen: Light, region: Region) -> tuple[float, float, float, float]:
    """The rectangle, as x, y, w, h in sensor pixels, about what is more seen than not."""
    rows = np.flatnonzero((seen > 0.5).any(axis=1))
    columns = np.flatnonzero((seen > 0.5).any(axis=0))
    if not len(rows):
        return (float(region.left), float(region.top), 0.0, 0.0)
    left, top = columns[0] / FINER, rows[0] / FINER
    return (
        region.left + left,
        region.top + top,
        (columns[-1] + 1) / FINER - left,
        (rows[-1] + 1) / FINER - top,
    )
