"""A photograph as the two towers take it: a large square and a small one, in CLIP's colours.

Source: CLIP's image processor (bicubic, mean and deviation of its training set); Mini-Gemini's two
sizes; LLaVA's padding.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image, ImageFile
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
MOST_PIXELS = 89_478_485
"""Pillow's own limit; a larger picture is taken for a bomb."""

Shape = Literal["square", "pad"]
Picture = Path | bytes | Image.Image | None
"""A file, the bytes of one, a picture in RGB; None where there is none."""


def read_picture(source: Path | bytes) -> Image.Image:
    """A picture in RGB. A cut-off file gives what there is of it; alpha is dropped, not laid over.

    Raises:
        DataError: it is not a picture, it is too large, or only one pixel high or wide.
    """
    name = str(source) if isinstance(source, Path) else "a picture given as bytes"
    try:
        with _opened(source) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise DataError(
                    f"{name} has {width} x {height} pixels, more than {MOST_PIXELS:,}. Make it "
                    "smaller first."
                )
            with _what_there_is():
                picture = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name} should be a picture: {error}. Take it out of the data.") from error
    if min(picture.size) < 2:
        raise DataError(
            f"{name} is {picture.width} x {picture.height} pixels; a tower needs at least 2 each "
            "way. Take it out of the data."
        )
    return picture


@contextmanager
def _what_there_is() -> Generator[None]:
    """Let Pillow fill up what a cut-off file lacks, here and nowhere else."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _opened(source: Path | bytes) -> Image.Image:
    """The picture with its header read; a large one is refused by us, not warned of by Pillow."""
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        return Image.open(source if isinstance(source, Path) else BytesIO(source))


def padded(picture: Image.Image) -> Image.Image:
    """The picture in the middle of a square of CLIP's mean colour."""
    if picture.width == picture.height:
        return picture
    side = max(picture.size)
    square = Image.new("RGB", (side, side), tuple(int(255 * m) for m in MEAN))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def high_resolution(
    picture: Image.Image, *, shape: Shape = "square", size: int = 768
) -> Float32[Tensor, "3 size size"]:
    """The picture as the high-resolution tower takes it.

    Args:
        picture: in RGB.
        shape: `pad` shows it whole with borders; `square` cuts off what is over on the long side.
        size: of the square in pixels.
    """
    if shape == "pad":
        picture = padded(picture)
    pixels = np.asarray(_cropped(picture, size), dtype=np.float32) / 255
    normed = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normed.transpose(2, 0, 1)))


def low_resolution(
    large: Float[Tensor, "*batch 3 size size"], size: int = 336
) -> Float[Tensor, "*batch 3 small small"]:
    """The same picture as the low-resolution tower takes it."""
    batch = large if large.ndim == 4 else large[None]
    small = functional.interpolate(batch, (size, size), mode="bilinear", align_corners=False)
    return small if large.ndim == 4 else small[0]


def recoloured(clip: Float[Tensor, "*batch 3 height width"]) -> Tensor:
    """From CLIP's colours to ImageNet's, for a tower that was trained on those."""
    mean, deviation = (clip.new_tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    wanted, spread = (clip.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (clip * deviation + mean - wanted) / spread


def _cropped(picture: Image.Image, size: int) -> Image.Image:
    """Bicubic to `size` on the short side, then the middle."""
    short = min(picture.size)
    width, height = (int(size * side / short) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return resized.crop((left, top, left + size, top + size))
