"""Pictures as arrays: reading, writing, resizing.

An image is float32 [height, width, channels] with values in 0..1 as they stand in the file, sRGB
for a photograph; nothing here changes the colour space. Alpha, where there is one, is the fourth
channel and
straight: the colours are not multiplied by it.
"""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from fovea.errors import ArtifactError, DataError

MOST_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded. This is where Pillow itself refuses."""

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
    path: str | Path, *, most_pixels: int = MOST_PIXELS, upright: bool = True
) -> Float32[np.ndarray, "height width channels"]:
    """Read a picture of 8 or 16 bits, or of floats in 0..1, turned the way its camera was held.

    Grey becomes three equal channels. There is a fourth channel exactly when the file has alpha.

    Args:
        path: of the picture.
        most_pixels: of a picture that is decoded at all.
        upright: False gives it as it is stored, whatever its EXIF says of the camera.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is not a picture, is cut off, holds NaN or has more than `most_pixels`.
    """
    path = Path(path)
    picture = _decode(path, most_pixels, upright=upright)
    if picture.mode.startswith("F"):
        values = np.asarray(picture, dtype=np.float32)
        bad = int(values.size - np.isfinite(values).sum())
        if bad:
            raise DataError(
                f"{path} holds {bad} values of {values.size} that are not finite. Export it again."
            )
        return np.repeat(values.clip(0, 1)[..., None], 3, axis=2)
    if picture.mode.startswith("I"):
        values = np.asarray(picture, dtype=np.float32) / 65535
        return np.repeat(values[..., None], 3, axis=2)
    if _bits_of_png(path) == 16 and picture.mode in ("RGB", "RGBA", "LA"):
        return _read_png16(path)
    has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    values = np.asarray(picture.convert("RGBA" if has_alpha else "RGB"))
    return values.astype(np.float32) / 255


def image_size(
    path: str | Path, *, most_pixels: int = MOST_PIXELS, upright: bool = True
) -> tuple[int, int]:
    """The height and width that `read_image` would give, from the file's header alone."""
    with _open(Path(path), most_pixels) as picture:
        width, height = picture.size
        # Pillow decodes a whole PNG to look for EXIF behind its pixels, where nobody puts it.
        has_exif = picture.format != "PNG" or "exif" in picture.info
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


def _open(path: Path, most_pixels: int) -> Image.Image:
    if not path.is_file():
        raise ArtifactError(f"No picture {path}: there is no such file. Check the name.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except UnidentifiedImageError:
        start = path.read_bytes()[:24]
        raise DataError(
            f"{path} is not a picture: it starts with {start!r}. Give a PNG, JPEG, TIFF or WebP."
        ) from None
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path} is larger than the {most_pixels} pixels that are read ({error}) Shrink it."
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _damaged(path, error) from None
    width, height = picture.size
    if width * height > most_pixels:
        picture.close()
        raise DataError(
            f"{path} has {width} x {height} pixels, more than the {most_pixels} that are read. "
            "Shrink it."
        )
    return picture


def _decode(path: Path, most_pixels: int, *, upright: bool) -> Image.Image:
    with _open(path, most_pixels) as picture:
        try:
            picture.load()
            return ImageOps.exif_transpose(picture) if upright else picture.copy()
        except (OSError, SyntaxError, ValueError, struct.error) as error:
            raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    size = path.stat().st_size
    return DataError(
        f"{path} ({size} bytes) is a damaged picture: {error}. Fetch or export it again."
    )


def _bits_of_png(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 8


def _read_png16(path: Path) -> np.ndarray:
    # Pillow keeps the upper 8 of 16 bits where a PNG has several channels.
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise DataError(f"{path} is a damaged 16-bit PNG. Fetch or export it again.")
    order = [2, 1, 0, 3][: values.shape[2]]
    return values[..., order].astype(np.float32) / 65535


def _write_png16(path: Path, steps: np.ndarray) -> None:
    import cv2

    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[steps.shape[2]]
    is_written, data = cv2.imencode(".png", np.ascontiguousarray(steps[..., order]))
    assert is_written, "a checked array of 16-bit steps is always a PNG"
    path.write_bytes(data.tobytes())
