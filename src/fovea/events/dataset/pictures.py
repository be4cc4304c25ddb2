"""Pictures of single moments: what the camera saw in 50 ms, and the boxes that were drawn."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from fovea.events.labels import IGNORE, Labels
from fovea.events.page import colour

GREY, WHITE, BLACK = 127, 255, 0
SMALL_PX = 320
"""A narrower picture is enlarged by a whole factor, up to this width."""


def event_picture(counts: UInt8[np.ndarray, "channels h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """White where more events said brighter, black where more said darker, grey elsewhere."""
    half = len(counts) // 2
    balance = counts[half:].sum(axis=0, dtype=np.int64) - counts[:half].sum(axis=0, dtype=np.int64)
    picture = np.full(balance.shape, GREY, np.uint8)
    picture[balance > 0] = WHITE
    picture[balance < 0] = BLACK
    return np.repeat(picture[..., None], 3, axis=2)


def labelled_picture(
    counts: UInt8[np.ndarray, "channels h w"], labels: Labels, classes: tuple[str, ...]
) -> UInt8[np.ndarray, "h w 3"]:
    """The same with boxes, in the colour and with the name of their class."""
    picture = event_picture(counts)
    factor = max(1, SMALL_PX // picture.shape[1])
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    image = Image.fromarray(picture)
    canvas = ImageDraw.Draw(image)
    for (left, top, right, bottom), class_id in zip(labels.xyxy, labels.class_id, strict=True):
        is_known = class_id < len(classes)
        name = classes[class_id] if is_known else "ignored" if class_id == IGNORE else "?"
        ink = colour(int(class_id)) if is_known else "#7a7a7a"
        box = tuple(float(value) * factor for value in (left, top, right + 1, bottom + 1))
        canvas.rectangle(box, outline=ink, width=2)
        place = (box[0] + 3, box[1] + 2)
        canvas.rectangle(canvas.textbbox(place, name), fill=ink)
        canvas.text(place, name, fill="white")
    return np.asarray(image)
