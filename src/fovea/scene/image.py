"""Pictures as arrays: reading, writing, resizing.

An image is float32 [height, width, channels] with values in 0..1 as they stand in the file, sRGB
for a photograph; nothing here changes the colour space. Alpha, where there is one, is the fourth
channel and
straight: the colours are not multiplied by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from fovea.errors import DataError
from fovea.scene.decode import MOST_PIXELS, decode, open_picture

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
Filter = Literal["nearest", "area", "bilinear", "bicubic", "lanczos"]

Pixels = Float[np.ndarray, "height width channels"] | Float[torch.Tensor, "height width channels"]


def read_image(
    path: str | Path, *, most_pixels: int = MOST_PIXELS, upright: bool = True, srgb: bool = False
) -> Float32[np.ndarray, "height width channels"]:
    """Read a picture of 8 or 16 bits, or of floats in 0..1, turned the way its camera was held.

    Grey becomes three equal channels. There is a fourth channel exactly when the file has alpha.

    Args:
        path: of the picture.
        most_pixels: of a picture that is decoded at all.
        upright: False gives it as it is stored, whatever its EXIF says of the camera.
        srgb: whether its colour profile is applied.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is not a picture, is cut off, holds NaN or has more than `most_pixels`.
    """
    values = decode(path, most_pixels=most_pixels, upright=upright, srgb=srgb).values
    if values.shape[2] < 3:
        values = np.concatenate([values[..., :1]] * 3 + [values[..., 1:]], axis=2)
    if values.dtype == np.float32:
        return values.clip(0, 1)
    return values.astype(np.float32) / np.iinfo(values.dtype).max


def image_size(
    path: str | Path, *, most_pixels: int = MOST_PIXELS, upright: bool = True
) -> tuple[int, int]:
    """The height and width that `read_image` would give, from the file's header alone."""
    with open_picture(Path(path), most_pixels) as picture:
        width, height = picture.size
        # Pillow decodes a whole PNG to look for EXIF behind its pixels, where nobody puts it, and
        # gives the size of a TIFF as it is when upright.
        has_exif = "exif" in picture.info if picture.format == "PNG" else picture.format != "TIFF"
        is_turned = upright and has_exif and picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (width, height) if is_turned else (height, width)


def write_image(
    path: str | Path, image: Pixels, *, bits: Literal[8, 16] = 8, quality: int = 95
) -> None:
    """Write an image of 1, 3 or 4 channels; the suffix says the format.

    Values are clipped to 0..1 and rounded to the nearest step.

    Args:
        path: ends in .png, .jpg, .jpeg or .webp; only .png keeps alpha and 16 bits.
        image: values in 0..1.
        bits: a channel, 16 for PNG only.
        quality: of .jpg and .webp.

    Raises:
        DataError: the format cannot hold it, or values are not finite.
    """
    path = Path(path)
    suffix, channels = path.suffix.lower(), image.shape[-1]
    if suffix not in (".png", ".jpg", ".jpeg", ".webp"):
        raise DataError(
            f"{path.name}: pictures are written as .png, .jpg or .webp, not '{suffix}'. "
            "Change the name."
        )
    if suffix != ".png" and (channels == 4 or bits == 16):
        what = "alpha" if channels == 4 else "16 bits"
        raise DataError(
            f"{path.name}: {suffix} as we write it holds no {what}. Name it .png, or "
            + ("composite() it first." if channels == 4 else "write 8 bits.")
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if bits == 16:
        _write_png16(path, _steps(image, 65535).astype(np.uint16))
        return
    steps = to_uint8(image)
    picture = Image.fromarray(steps[..., 0] if channels == 1 else steps)
    if suffix == ".png":
        picture.save(path)
    else:
        picture.save(path, quality=quality)


def to_uint8(image: Pixels) -> UInt8[np.ndarray, "height width channels"]:
    """The 8-bit steps of an image: clipped to 0..1, then `floor(value * 255 + 0.5)`."""
    return _steps(image, 255).astype(np.uint8)


def composite(
    image: Float[np.ndarray, "height width 4"], background: tuple[float, float, float] | float = 0.0
) -> Float[np.ndarray, "height width 3"]:
    """Lay a straight-alpha image over one colour, in the space its values are in."""
    alpha = image[..., 3:]
    over = image[..., :3] * alpha + np.asarray(background, dtype=image.dtype) * (1 - alpha)
    return over.astype(image.dtype)


def resize(
    image: Float[np.ndarray, "height width channels"],
    *,
    height: int,
    width: int,
    filter: Filter = "bicubic",
) -> Float[np.ndarray, "new_height new_width channels"]:
    """Resize with a filter as wide as the shrinking asks for, so that nothing aliases.

    With four channels the colours are weighted by alpha, so that what lies under a transparent
    pixel does not bleed into its neighbours. The result stays within the range of the input:
    bicubic and lanczos would overshoot at edges.
    """
    if image.shape[:2] == (height, width):
        return image
    if image.shape[2] == 4:
        return _resize_straight(image, height=height, width=width, filter=filter)
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c], dtype=np.float32)).resize(
            (width, height), FILTERS[filter]
        )
        for c in range(image.shape[2])
    ]
    resized = np.stack([np.asarray(channel) for channel in channels], axis=2)
    return np.clip(resized, image.min(), image.max()).astype(image.dtype)


def _resize_straight(image: np.ndarray, *, height: int, width: int, filter: Filter) -> np.ndarray:
    alpha = image[..., 3:]
    # The two parts are resized apart, so that each is clipped to its own range.
    weighted = resize(image[..., :3] * alpha, height=height, width=width, filter=filter)
    weight = resize(alpha, height=height, width=width, filter=filter)
    color = np.divide(weighted, weight, out=np.zeros_like(weighted), where=weight > 0)
    return np.concatenate([np.clip(color, 0, image[..., :3].max()), weight], axis=2)


def _steps(image: Pixels, most: int) -> np.ndarray:
    values = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise DataError(
            f"an image is [height, width, channels] with 1, 3 or 4 channels; found {values.shape}. "
            "Move the channels last."
        )
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise DataError(
            f"{bad} of the picture's {values.size} values are not finite; find their source."
        )
    return np.floor(np.clip(values, 0, 1).astype(np.float64) * most + 0.5)


def _write_png16(path: Path, steps: np.ndarray) -> None:
    import cv2

    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[steps.shape[2]]
    is_written, data = cv2.imencode(".png", np.ascontiguousarray(steps[..., order]))
    assert is_written, "a checked array of 16-bit steps is always a PNG"
    path.write_bytes(data.tobytes())
