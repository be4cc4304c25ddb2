"""Pictures of events, and boxes on them.

A picture is uint8 [height, width, 3], RGB. Boxes are rows with the fields of `PSEUDO_DTYPE`, in
pixels of the picture's events; the picture may be larger by a whole `factor`.

Source: colours, text and layout of the films of Wu et al., "LEOD" (2024). What we changed: boxes
and letters grow with the picture, a label stays inside it and stands on a ground of its own colour,
and the clock shows the time of the recording. The original's clock counts 50 ms a histogram, which
is 2.5 times too slow where histograms end every 125 ms; `published_clock` is its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from fovea.events.boxes import Boxes
from fovea.events.stream import EventStream

Picture = UInt8[np.ndarray, "height width 3"]
Color = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels of the picture."""
Look = Literal["events", "polarity"]
Wording = Literal["full", "short", "class", "none"]

BACKGROUND, EVENT = 255, 64
GREEN: Color = (0, 255, 0)
RED: Color = (255, 0, 0)
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
CLASS_COLORS: tuple[Color, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233),
    (120, 94, 240), (160, 100, 60),
)  # fmt: skip
"""Told apart by most people whatever colours they see (Okabe and Ito, 2008), and two more."""
SHORT_SIDE_PX = 360
"""A picture is enlarged until its short side has as many pixels."""
MOST_FACTOR = 12
PUBLISHED_FACTOR = 2
PUBLISHED_STEP_S = 0.05
DIVIDER, DIVIDER_PX = 160, 4
FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE_PX = 20
"""Height of a line of text at scale 0.5."""


def factor_for(height: int, width: int) -> int:
    """By how much pictures of a sensor are enlarged so that boxes on them can be read."""
    return min(max(1, -(-SHORT_SIDE_PX // min(height, width))), MOST_FACTOR)


def class_color(class_id: int) -> Color:
    """The colour of a class."""
    return CLASS_COLORS[class_id % len(CLASS_COLORS)]


# Events


def event_picture(active: Bool[np.ndarray, "h w"], *, factor: int = 1) -> Picture:
    """Dark grey where something happened, on white; enlarged bilinearly."""
    grey = np.where(active, np.uint8(EVENT), np.uint8(BACKGROUND))
    return np.repeat(_enlarged(grey, factor)[..., None], 3, axis=2)


def polarity_picture(histogram: UInt8[np.ndarray, "channels h w"], *, factor: int = 1) -> Picture:
    """White where it mostly became brighter, black where darker, grey elsewhere."""
    bins = len(histogram) // 2
    change = histogram[bins:].sum(axis=0, dtype=np.int64) - histogram[:bins].sum(axis=0)
    return _three_tones(change, factor)


def stream_picture(events: EventStream, *, factor: int = 1, look: Look = "events") -> Picture:
    """The events of a while, as either picture above."""
    cells = events.y.astype(np.int64) * events.width + events.x
    size = events.height * events.width
    shape = (events.height, events.width)
    if look == "events":
        active = np.zeros(size, np.bool_)
        active[cells] = True
        return event_picture(active.reshape(shape), factor=factor)
    change = np.bincount(cells, 2.0 * events.p - 1, minlength=size).astype(np.int64)
    return _three_tones(change.reshape(shape), factor)


def histogram_picture(
    histogram: UInt8[np.ndarray, "channels h w"],
    *,
    factor: int = 1,
    look: Look = "events",
) -> Picture:
    """A histogram as either picture above."""
    if look == "polarity":
        return polarity_picture(histogram, factor=factor)
    return event_picture(histogram.max(axis=0) > 0, factor=factor)


def _three_tones(change: np.ndarray, factor: int) -> Picture:
    tones = np.full(change.shape, 127, np.uint8)
    tones[change > 0] = 255
    tones[change < 0] = 0
    large = cv2.resize(tones, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.repeat(large[..., None], 3, axis=2)


def _enlarged(grey: UInt8[np.ndarray, "h w"], factor: int) -> UInt8[np.ndarray, "H W"]:
    if factor == 1:
        return grey
    height, width = grey.shape
    # In float: OpenCV's own arithmetic for 8 bits rounds halves another way.
    large = cv2.resize(
        grey.astype(np.float32), (width * factor, height * factor), interpolation=cv2.INTER_LINEAR
    )
    return np.floor(large + 0.5).astype(np.uint8)


# Boxes


@dataclass(frozen=True)
class Style:
    """How boxes are drawn on pictures of one size."""

    factor: int
    """Pixels of the picture for one of the sensor."""
    thickness: int = 2
    font_scale: float = 0.5

    @classmethod
    def fitting(cls, height: int, width: int, *, factor: int | None = None) -> Style:
        """For a sensor of that size; larger pictures get thicker lines and larger letters."""
        factor = factor_for(height, width) if factor is None else factor
        short = min(height, width) * factor
        scale = min(max(short / 1200, 0.38), 0.9)
        return cls(factor, thickness=max(1, round(short / 240)), font_scale=scale)

    @classmethod
    def published(cls) -> Style:
        """As in the original's films."""
        return cls(PUBLISHED_FACTOR, thickness=2, font_scale=0.25 * PUBLISHED_FACTOR)


def label_lines(
    boxes: Boxes, classes: Sequence[str], *, wording: Wording = "full"
) -> list[list[str]]:
    """The text of each box.

    Args:
        boxes: of one picture.
        classes: names by class id; a box of another id is called ignored.
        wording: `full` is three lines, class, both probabilities, and their product. `short` is the
            class and the product; `class` the class alone.
    """
    return [_words(box, classes, wording) for box in boxes]


def _words(box: Any, classes: Sequence[str], wording: Wording) -> list[str]:
    number = int(box["class_id"])
    name = classes[number] if number < len(classes) else "ignored"
    objectness, confidence = float(box["objectness"]), float(box["class_confidence"])
    sure = objectness * confidence
    match wording:
        case "none":
            return []
        case "class":
            return [name]
        case "short":
            return [f"{name} {sure:.2f}"]
        case "full":
            return [name, f"{objectness:.3f}x{confidence:.3f}", f"{sure:.3f}"]


def draw_boxes(
    picture: Picture,
    boxes: Boxes,
    lines: Sequence[Sequence[str]],
    colors: Sequence[Color],
    style: Style,
) -> None:
    """Draw boxes with their text onto a picture; labels give way to those of boxes before them."""
    sides = np.stack([boxes["x"], boxes["y"], boxes["w"], boxes["h"]], axis=1).astype(np.float64)
    sides[:, 2:] += sides[:, :2]
    places = np.rint(sides * style.factor).astype(int).tolist()
    for (x1, y1, x2, y2), color in zip(places, colors, strict=True):
        cv2.rectangle(picture, (x1, y1), (x2, y2), color, style.thickness)
    taken: list[Rectangle] = []
    for place, words, color in zip(places, lines, colors, strict=True):
        if words:
            _label(picture, words, place, color, style, taken)


def _label(
    picture: Picture,
    words: Sequence[str],
    box: Sequence[int],
    color: Color,
    style: Style,
    taken: list[Rectangle],
) -> None:
    """Text on a ground of the box's colour, where there is room for it."""
    step = max(9, round(LINE_PX * style.font_scale / 0.5))
    width = max(cv2.getTextSize(word, FONT, style.font_scale, 1)[0][0] for word in words) + 6
    x1, y1, x2, y2 = _room(box, width, step * len(words) + 4, picture, taken)
    taken.append((x1, y1, x2, y2))
    ground = picture[y1:y2, x1:x2]
    ground[:] = (0.25 * ground + 0.75 * np.array(color)).astype(np.uint8)
    ink = BLACK if _is_light(color) else WHITE
    for number, word in enumerate(words, start=1):
        place = (x1 + 3, y1 + step * number - round(0.25 * step))
        cv2.putText(picture, word, place, FONT, style.font_scale, ink, 1, cv2.LINE_AA)


def _room(
    box: Sequence[int], width: int, height: int, picture: Picture, taken: Sequence[Rectangle]
) -> Rectangle:
    """The first place around a box that lies in the picture and on no label; else the freest."""
    left, top, right, bottom = box
    most_y, most_x = picture.shape[0] - height, picture.shape[1] - width
    corners = (
        (left, top - height), (right - width, top - height), (left, bottom),
        (right - width, bottom), (right, top), (left - width, top), (left, top),
    )  # fmt: skip
    inside = [(x, y) for x, y in corners if 0 <= x <= most_x and 0 <= y <= most_y]
    nearest = (max(0, min(left, most_x)), max(0, min(top - height, most_y)))
    places = [(x, y, x + width, y + height) for x, y in inside or [nearest]]
    return min(places, key=lambda place: sum(_shared(place, other) for other in taken))


def _shared(one: Rectangle, other: Rectangle) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _is_light(color: Color) -> bool:
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue > 128


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Pictures of one height, a line between them."""
    line = np.full((len(pictures[0]), DIVIDER_PX, 3), DIVIDER, np.uint8)
    parts = [part for picture in pictures for part in (line, picture)]
    return np.concatenate(parts[1:], axis=1)


# The clock and headings


def clock(t_us: int, number: int, *, decimals: int = 2) -> str:
    """`12.35s (N=0247)`: the time of the recording and the number of the frame."""
    return f"{t_us / 1e6:.{decimals}f}s (N={number:04d})"


def published_clock(number: int) -> str:
    """The original's text, which counts 50 ms a histogram whatever the sensor."""
    return f"{number * PUBLISHED_STEP_S:.2f}s (N={number:04d})"


def draw_text(picture: Picture, text: str, style: Style, *, color: Color = RED) -> None:
    """Write a line in the top left corner, on a ground that lets little of the events through."""
    step = max(10, round(LINE_PX * style.font_scale / 0.5))
    weight = max(1, round(style.font_scale * 2))
    width = cv2.getTextSize(text, FONT, style.font_scale, weight)[0][0] + 8
    ground = picture[: round(1.4 * step), :width]
    ground[:] = (0.15 * ground + 0.85 * 255).astype(np.uint8)
    cv2.putText(picture, text, (4, step), FONT, style.font_scale, color, weight, cv2.LINE_AA)
