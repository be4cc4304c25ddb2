"""What moves in a scene: cars, people and two-wheelers, drawn from formulas.

Notation: a figure is drawn on a grid where its height is 1, `u` to the right from its middle and
`v` down from its top. Shapes are signed distances, negative inside. A figure has several phases of
one cycle, such as a stride, through which it goes as it moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from fovea.events.simulate.photographs import Album

Field = Float32[np.ndarray, "height width"]

EDGE_PX = 1.5
"""Over how many pixels an edge goes from covered to free: the blur of a lens."""
GLASS, TYRE, HUB = 0.06, 0.03, 0.35
"""Light of windows, tyres and hubs."""


@dataclass(frozen=True)
class Figure:
    """An object as it looks in each phase of its cycle."""

    picture: Float32[np.ndarray, "phases height width 2"]
    """Its light, times its cover, and its cover, 1 where nothing behind it is seen."""
    height_px: float
    """Of the object in these pictures, which have a free margin about it."""
    cycle: float
    """Distance, in heights, that it moves in one cycle."""

    @property
    def cover(self) -> Float32[np.ndarray, "phases height width"]:
        """The cover alone."""
        return self.picture[..., 1]


@dataclass
class Paper:
    """A picture in the making: one shape laid over the other."""

    u: Field
    v: Field
    height_px: float

    def __post_init__(self) -> None:
        self.light = np.zeros_like(self.u)
        self.cover = np.zeros_like(self.u)

    def lay(self, distance: Field, light: Field | float) -> None:
        """Lay a shape over what is there."""
        over = np.clip(0.5 - distance * (self.height_px / EDGE_PX), 0, 1).astype(np.float32)
        self.light += over * (light - self.light)
        self.cover += over * (1 - self.cover)

    def disc(self, u: float, v: float, radius: float) -> Field:
        """Distance to a disc."""
        return np.hypot(self.u - u, self.v - v) - radius

    def limb(self, start: tuple[float, float], end: tuple[float, float], radius: float) -> Field:
        """Distance to a line with round ends."""
        du, dv = end[0] - start[0], end[1] - start[1]
        along = ((self.u - start[0]) * du + (self.v - start[1]) * dv) / (du * du + dv * dv + 1e-9)
        along = np.clip(along, 0, 1)
        return np.hypot(self.u - start[0] - along * du, self.v - start[1] - along * dv) - radius

    def box(self, u: float, v: float, half: tuple[float, float], radius: float) -> Field:
        """Distance to a box with round corners."""
        du = np.abs(self.u - u) - half[0] + radius
        dv = np.abs(self.v - v) - half[1] + radius
        return (
            np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
            + np.minimum(np.maximum(du, dv), 0)
            - radius
        )

    def hull(self, corners: list[tuple[float, float]]) -> Field:
        """Distance, near its edges, to a convex polygon whose corners go round clockwise."""
        sides = zip(corners, corners[1:] + corners[:1], strict=True)
        return np.max([self._beyond(a, b) for a, b in sides], axis=0)

    def wheel(self, u: float, v: float, radius: float, turn: float, spokes: int) -> None:
        """Lay a wheel that has turned so far."""
        self.lay(self.disc(u, v, radius), TYRE)
        self.lay(self.disc(u, v, 0.62 * radius), HUB)
        for spoke in range(spokes):
            angle = turn + 2 * math.pi * spoke / spokes
            tip = u + 0.6 * radius * math.cos(angle), v + 0.6 * radius * math.sin(angle)
            self.lay(self.limb((u, v), tip, 0.06 * radius), TYRE)

    def _beyond(self, a: tuple[float, float], b: tuple[float, float]) -> Field:
        du, dv = b[0] - a[0], b[1] - a[1]
        return ((self.u - a[0]) * dv - (self.v - a[1]) * du) / math.hypot(du, dv)


@dataclass(frozen=True)
class Paint:
    """The light of a figure's parts."""

    body: Field
    legs: Field
    skin: float


def draw_figure(
    kind: str, height_px: float, album: Album, rng: np.random.Generator, *, faces_left: bool
) -> Figure:
    """Draw a figure of a kind at a height, painted with photographs.

    Args:
        kind: a key of `DRAWINGS`.
        height_px: of the figure; the pictures are a little larger.
        album: where its paint is from.
        rng: chooses the paint.
        faces_left: rather than right, in which it is drawn.
    """
    drawing = DRAWINGS[kind]
    margin = 2.0
    rows = math.ceil(height_px + 2 * margin)
    columns = math.ceil(height_px * drawing.aspect + 2 * margin)
    v, u = np.mgrid[:rows, :columns].astype(np.float32)
    u = (u + np.float32(0.5 - columns / 2)) / np.float32(height_px)
    v = (v + np.float32(0.5 - rows / 2)) / np.float32(height_px) + np.float32(0.5)
    paint = _painted(rng, album, rows, columns)
    papers = list[Paper]()
    for phase in range(drawing.phases):
        paper = Paper(-u if faces_left else u, v, height_px)
        drawing.draw(paper, 2 * math.pi * phase / drawing.phases, paint)
        papers.append(paper)
    return Figure(
        np.stack([np.stack([paper.light, paper.cover], axis=-1) for paper in papers]),
        height_px,
        drawing.cycle,
    )


def _painted(rng: np.random.Generator, album: Album, rows: int, columns: int) -> Paint:
    """Dark or bright, with a photograph's texture on it."""
    is_dark = rng.random() < 0.5
    base = rng.uniform(0.04, 0.12) if is_dark else rng.uniform(0.45, 0.8)
    legs = rng.uniform(0.03, 0.1) if rng.random() < 0.6 else rng.uniform(0.3, 0.6)
    body_texture = album.texture(rng, height=rows, width=columns)
    legs_texture = album.texture(rng, height=rows, width=columns)
    depth = rng.uniform(1.2, 2.4)
    return Paint(
        np.minimum(base * np.exp(depth * (body_texture - 0.5)), 1).astype(np.float32),
        (legs * np.exp(0.8 * (legs_texture - 0.5))).astype(np.float32),
        rng.uniform(0.15, 0.6),
    )


def _car(paper: Paper, phase: float, paint: Paint) -> None:
    paper.lay(paper.hull([(-0.72, 0.5), (-0.46, 0.02), (0.3, 0.02), (0.72, 0.5)]), paint.body)
    for corners in (
        [(-0.58, 0.44), (-0.4, 0.11), (-0.1, 0.11), (-0.1, 0.44)],
        [(0.0, 0.44), (0.0, 0.11), (0.25, 0.11), (0.54, 0.44)],
    ):
        paper.lay(paper.hull(corners), GLASS)
    paper.lay(paper.box(0.0, 0.63, (1.06, 0.2), 0.12), paint.body)
    paper.lay(paper.box(0.98, 0.58, (0.06, 0.05), 0.02), 0.9)
    paper.lay(paper.box(-1.0, 0.58, (0.04, 0.06), 0.02), 0.25)
    for u in (-0.62, 0.62):
        # Five spokes look the same after a fifth of a turn: that is the cycle.
        paper.wheel(u, 0.79, 0.21, phase / 5, 5)


def _pedestrian(paper: Paper, phase: float, paint: Paint) -> None:
    hip, shoulder = (0.0, 0.53), (0.0, 0.23)
    for side in (0.0, math.pi):
        swing = 0.42 * math.sin(phase + side)
        bend = 0.35 * max(0.0, math.cos(phase + side))
        knee = _from(hip, swing, 0.22)
        foot = _from(knee, swing - bend, 0.22)
        toe = foot[0] + 0.045, foot[1]
        hand = _from(shoulder, -0.8 * swing, 0.3)
        paper.lay(paper.limb(shoulder, hand, 0.035), paint.body * np.float32(0.8))
        paper.lay(paper.limb(hip, knee, 0.055), paint.legs)
        paper.lay(paper.limb(knee, foot, 0.042), paint.legs)
        paper.lay(paper.limb(foot, toe, 0.03), TYRE)
    paper.lay(paper.limb((0.0, 0.27), (0.0, 0.48), 0.105), paint.body)
    paper.lay(paper.disc(0.01, 0.085, 0.08), paint.skin)


def _two_wheeler(paper: Paper, phase: float, paint: Paint) -> None:
    back, front, crank = (-0.3, 0.77), (0.34, 0.77), (-0.02, 0.76)
    hip, shoulder, grip = (-0.14, 0.45), (0.1, 0.19), (0.27, 0.46)
    for u, v in (back, front):
        paper.lay(np.abs(paper.disc(u, v, 0.2)) - 0.025, TYRE)
        for spoke in range(3):
            angle = phase / 3 + 2 * math.pi * spoke / 3
            tip = u + 0.2 * math.cos(angle), v + 0.2 * math.sin(angle)
            paper.lay(paper.limb((u, v), tip, 0.008), HUB)
    for start, end in ((back, crank), (crank, grip), (hip, crank), (hip, grip), (grip, front)):
        paper.lay(paper.limb(start, end, 0.018), paint.legs)
    for side in (0.0, math.pi):
        pedal = crank[0] + 0.09 * math.cos(phase + side), crank[1] + 0.09 * math.sin(phase + side)
        knee = (hip[0] + pedal[0]) / 2 + 0.12, (hip[1] + pedal[1]) / 2 - 0.03
        paper.lay(paper.limb(hip, knee, 0.055), paint.legs)
        paper.lay(paper.limb(knee, pedal, 0.045), paint.legs)
    paper.lay(paper.limb(hip, shoulder, 0.1), paint.body)
    paper.lay(paper.limb(shoulder, grip, 0.035), paint.body * np.float32(0.8))
    paper.lay(paper.disc(0.17, 0.085, 0.08), paint.skin)


def _from(start: tuple[float, float], angle: float, length: float) -> tuple[float, float]:
    """The end of a limb that hangs from a joint, `angle` to the front."""
    return start[0] + length * math.sin(angle), start[1] + length * math.cos(angle)


@dataclass(frozen=True)
class Drawing:
    """How a kind of figure is drawn, and how it compares with a person."""

    draw: Callable[[Paper, float, Paint], None]
    aspect: float
    """Width of its picture, over its height."""
    phases: int
    """So many that nothing moves farther than a pixel or two from one to the next."""
    cycle: float
    """Distance, in heights, that it moves in one cycle."""
    stature: float
    """Its height, over that of a person."""
    pace: float
    """Its speed, over that of a car."""


DRAWINGS: dict[str, Drawing] = {
    "car": Drawing(_car, 2.2, 6, 2 * math.pi * 0.21 / 5, 0.6, 1.0),
    "pedestrian": Drawing(_pedestrian, 0.62, 24, 0.85, 1.0, 0.5),
    "two-wheeler": Drawing(_two_wheeler, 1.15, 24, 2 * math.pi * 0.22, 0.9, 0.7),
}
"""Kinds of figures by the name of their class."""
