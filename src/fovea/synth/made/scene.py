"""A made picture: a few objects in places, each of a colour, a shape and a size, on a ground.

Everything that can be asked about a picture stands in its `MadeScene`, so that captions and answers
are right by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from jaxtyping import Float

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
WIDEST = 1.2
"""Half the width of a bar, the widest shape, in radii."""


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
    grey = np.clip(_ground(scene.ground, size) + 255 * scene.shade, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB")
    for thing in scene.objects:
        _put(picture, thing)
    return picture


def _put(picture: Image.Image, thing: MadeObject) -> None:
    """Paint an object, drawn larger in a box of its own and brought down, which smooths it."""
    side = picture.width
    reach = math.ceil(WIDEST * SIZES[thing.size] * side) + 1
    left, top = (int(side * part) - reach for part in PLACES[thing.place])
    box = 2 * reach
    x, y = (
        OVERSAMPLING * (side * part - edge)
        for part, edge in zip(PLACES[thing.place], (left, top), strict=True)
    )
    mask = Image.new("L", (box * OVERSAMPLING, box * OVERSAMPLING))
    radius = OVERSAMPLING * SIZES[thing.size] * side
    _shape(ImageDraw.Draw(mask), thing.shape, x, y, radius)
    smooth = mask.resize((box, box), Image.Resampling.LANCZOS)
    picture.paste(COLORS[thing.color], (left, top), smooth)


@lru_cache(maxsize=16)
def _ground(kind: str, size: int) -> Float[np.ndarray, "size size"]:
    """What a ground adds to its grey: drawn larger once, and brought down."""
    side = size * OVERSAMPLING
    added = np.zeros((side, side), np.float32)
    along, down = np.meshgrid(np.arange(side) / side, np.arange(side) / side)
    if kind == "striped":
        added += np.where((along * 12).astype(int) % 2 == 0, 22, -22)
    elif kind == "dotted":
        cell_x, cell_y = (along * 10) % 1 - 0.5, (down * 10) % 1 - 0.5
        added += np.where(cell_x**2 + cell_y**2 < 0.07, -45, 0)
    elif kind == "shaded":
        added += 110 * (down - 0.5)
    whole = Image.fromarray(added.astype(np.float32))
    return np.asarray(whole.resize((size, size), Image.Resampling.LANCZOS))


def _shape(
    pen: ImageDraw.ImageDraw, shape: str, x: float, y: float, radius: float, ink: int = 255
) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        pen.ellipse(box, fill=ink)
    elif shape == "ring":
        pen.ellipse(box, outline=ink, width=max(2, int(radius * 0.4)))
    elif shape == "square":
        pen.rectangle(box, fill=ink)
    elif shape == "bar":
        wide, high = WIDEST * radius, 0.35 * radius
        pen.rectangle((x - wide, y - high, x + wide, y + high), fill=ink)
    elif shape == "cross":
        arm = 0.33 * radius
        pen.rectangle((x - radius, y - arm, x + radius, y + arm), fill=ink)
        pen.rectangle((x - arm, y - radius, x + arm, y + radius), fill=ink)
    else:
        corners, inner = {"triangle": (3, 1.0), "diamond": (4, 1.0), "star": (5, 0.42)}[shape]
        pen.polygon(_corners(x, y, radius, corners, inner), fill=ink)


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
