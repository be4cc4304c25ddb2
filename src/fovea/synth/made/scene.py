"""A made picture: a few objects in places, each of a colour, a shape and a size, on a ground.

Everything that can be asked about a picture stands in its `MadeScene`, so that captions and answers
are right by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

COLORS = {
    "red": (205, 40, 40),
    "green": (40, 150, 60),
    "blue": (45, 80, 200),
    "yellow": (240, 205, 50),
    "purple": (130, 50, 160),
    "orange": (240, 130, 30),
    "black": (25, 25, 25),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "bar")
GROUNDS = ("plain", "striped", "dotted", "shaded")
SIZES = {"small": 0.11, "large": 0.2}
"""Radius in parts of the picture's side."""
PLACES = {
    "top left": (0.27, 0.27),
    "top right": (0.73, 0.27),
    "bottom left": (0.27, 0.73),
    "bottom right": (0.73, 0.73),
}
OVERSAMPLING = 3


@dataclass(frozen=True)
class MadeObject:
    """One thing in a picture."""

    color: str
    shape: str
    size: str
    place: str

    @property
    def words(self) -> str:
        """`large red star`."""
        return f"{self.size} {self.color} {self.shape}"


@dataclass(frozen=True)
class MadeScene:
    """What a picture shows."""

    objects: tuple[MadeObject, ...]
    ground: str
    shade: float
    """Of the ground's grey, 0.45 to 0.8."""


def drawn_scene(rng: np.random.Generator, most_objects: int) -> MadeScene:
    """A scene by chance: shapes and colours of one scene differ, so that each can be named."""
    count = int(rng.integers(1, most_objects + 1))
    colors = _some(rng, tuple(COLORS), count)
    shapes = _some(rng, SHAPES, count)
    places = _some(rng, tuple(PLACES), count)
    sizes = [_one(rng, tuple(SIZES)) for _ in range(count)]
    objects = tuple(MadeObject(*words) for words in zip(colors, shapes, sizes, places, strict=True))
    return MadeScene(objects, _one(rng, GROUNDS), float(rng.uniform(0.45, 0.8)))


def paint(scene: MadeScene, size: int) -> Image.Image:
    """The picture of a scene, smooth at its edges.

    Args:
        scene: what it shows.
        size: side in pixels.
    """
    side = size * OVERSAMPLING
    picture = Image.fromarray(_ground(scene, side))
    pen = ImageDraw.Draw(picture)
    for thing in scene.objects:
        x, y = (side * part for part in PLACES[thing.place])
        _shape(pen, thing.shape, x, y, side * SIZES[thing.size], COLORS[thing.color], scene)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def _ground(scene: MadeScene, side: int) -> np.ndarray:
    grey = np.full((side, side), 255 * scene.shade, np.float32)
    along, down = np.meshgrid(np.arange(side) / side, np.arange(side) / side)
    if scene.ground == "striped":
        grey += np.where((along * 12).astype(int) % 2 == 0, 22, -22)
    elif scene.ground == "dotted":
        cell_x, cell_y = (along * 10) % 1 - 0.5, (down * 10) % 1 - 0.5
        grey += np.where(cell_x**2 + cell_y**2 < 0.07, -45, 0)
    elif scene.ground == "shaded":
        grey += 110 * (down - 0.5)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _shape(
    pen: ImageDraw.ImageDraw,
    shape: str,
    x: float,
    y: float,
    radius: float,
    color: tuple[int, int, int],
    scene: MadeScene,
) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        pen.ellipse(box, fill=color)
    elif shape == "ring":
        pen.ellipse(box, outline=color, width=max(2, int(radius * 0.4)))
    elif shape == "square":
        pen.rectangle(box, fill=color)
    elif shape == "bar":
        pen.rectangle((x - 1.2 * radius, y - 0.35 * radius, x + 1.2 * radius, y + 0.35 * radius),
                      fill=color)  # fmt: skip
    elif shape == "cross":
        arm = 0.33 * radius
        pen.rectangle((x - radius, y - arm, x + radius, y + arm), fill=color)
        pen.rectangle((x - arm, y - radius, x + arm, y + radius), fill=color)
    else:
        corners, inner = {"triangle": (3, 1.0), "diamond": (4, 1.0), "star": (5, 0.42)}[shape]
        pen.polygon(_corners(x, y, radius, corners, inner), fill=color)


def _corners(
    x: float, y: float, radius: float, count: int, inner: float
) -> list[tuple[float, float]]:
    """Corners of a regular polygon, or of a star, the first one at the top."""
    steps = count if inner == 1.0 else 2 * count
    points: list[tuple[float, float]] = []
    for step in range(steps):
        reach = radius * (inner if steps > count and step % 2 else 1.0)
        angle = 2 * math.pi * step / steps
        points.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    return points


def _some(rng: np.random.Generator, words: tuple[str, ...], count: int) -> list[str]:
    """Different words by chance."""
    return [words[int(place)] for place in rng.permutation(len(words))[:count]]


def _one(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
