"""Pictures of single moments: what the camera saw in 50 ms, and the boxes that were drawn."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from fovea.events.labels import Labels
from fovea.events.page import colour

GREY, WHITE, BLACK = 127, 255, 0
SMALL_PX = 640
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
    counts: UInt8[np.ndarray, "channels h w"], labels: Labels
) -> UInt8[np.ndarray, "h w 3"]:
    """The same with boxes, in the colours of their classes."""
    picture = event_picture(counts)
    factor = max(1, SMALL_PX // picture.shape[1])
    image = Image.fromarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))
    canvas = ImageDraw.Draw(image)
    for corners, class_id in zip(labels.xyxy.tolist(), labels.class_id.tolist(), strict=True):
        left, top, right, bottom = (factor * value for value in corners)
        canvas.rectangle(
            (left, top, right + factor, bottom + factor), outline=colour(class_id), width=2
        )
    return np.asarray(image)
