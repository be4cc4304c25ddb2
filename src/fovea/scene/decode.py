"""Picture files: from bytes of any kind to upright pixels, with a sentence where that fails.

What comes out keeps the depth of the file: uint8, uint16 or float32, in 1 (grey), 2 (grey and
alpha), 3 (RGB) or 4 (RGB and straight alpha) channels. Of several frames the first is taken. What
was assumed on the way is told in `notes`, half a sentence each.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from fovea.errors import ArtifactError, DataError

MOST_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded. This is where Pillow itself refuses."""

ORIENTATION = "Orientation"
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright, by EXIF's orientation."""

BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    RuntimeError, ZeroDivisionError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders are known to raise on files that are cut off or overwritten."""

SAME_FORMAT = {"MPO": "JPEG", "DNG": "TIFF", "HEIF": "HEIC"}
SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF",
    ".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".avif": "AVIF", ".jp2": "JPEG2000",
}  # fmt: skip

Values = (
    UInt8[np.ndarray, "height width channels"]
    | UInt16[np.ndarray, "height width channels"]
    | Float32[np.ndarray, "height width channels"]
)


@dataclass(frozen=True)
class Decoded:
    """What a picture file holds."""

    values: Values
    """8 or 16-bit steps, or floats, in 1 to 4 channels."""
    exif: Mapping[str, Any]
    """Tags by their names, of the main and the EXIF directory; on equal names the main one's."""
    notes: tuple[str, ...]
    """What was assumed or left out."""


def decode(
    path: str | Path, *, most_pixels: int = MOST_PIXELS, upright: bool = True, srgb: bool = False
) -> Decoded:
    """Read a picture file.

    Args:
        path: of a PNG, JPEG, TIFF, WebP, AVIF, HEIC or whatever else Pillow reads.
        most_pixels: of a picture that is decoded at all.
        upright: False gives it as it is stored, whatever its EXIF says of the camera.
        srgb: whether its colour profile is applied; to 8 bits, where there is one.

    Raises:
        ArtifactError: there is no such file, or it may not be read.
        DataError: it is not a picture, is cut off, or has more than `most_pixels`.
    """
    path = Path(path)
    with _quietly(most_pixels), open_picture(path, most_pixels) as picture:
        try:
            notes = [*_frames(picture), *_naming(path, picture)]
            exif, trouble = read_exif(picture)
            picture.load()
            turn, oddity = _turn(picture, exif) if upright else (None, "")
            values, colors = _values(path, picture, turn, srgb=srgb)
        except (Image.DecompressionBombError, *BROKEN) as error:
            raise damaged(path, error) from None
    return Decoded(values, exif, tuple(note for note in (*notes, trouble, oddity, colors) if note))


def open_picture(path: Path, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """Open a picture, of which only the header is read.

    Raises:
        ArtifactError: there is no such file, or it may not be read.
        DataError: it is not a picture, or has more than `most_pixels`.
    """
    if not path.is_file():
        what = "it is no regular file" if path.exists() else "there is no such file"
        if path.is_symlink() and not path.exists():
            what = "it is a link that leads to nothing"
        raise ArtifactError(f"No picture {path}: {what}. Check the name.")
    _know_heic()
    try:
        with _quietly(None):  # what is too large is said below, with its size
            picture = Image.open(path)
    except UnidentifiedImageError:
        raise _no_picture(path) from None
    except PermissionError:
        raise ArtifactError(
            f"{path} may not be read by this user. Change its permissions, or copy it."
        ) from None
    except BROKEN as error:
        raise damaged(path, error) from None
    width, height = picture.size
    if width * height > most_pixels:
        picture.close()
        raise DataError(
            f"{path} has {width} x {height} pixels, more than the {most_pixels} that are read. "
            "Shrink it."
        )
    return picture


def read_exif(picture: Image.Image) -> tuple[dict[str, Any], str]:
    """The EXIF tags of a picture by name, and what is wrong with them, or nothing."""
    try:
        main = picture.getexif()
        inner = main.get_ifd(ExifTags.IFD.Exif)
        merged = {**inner, **main}
    except BROKEN as error:
        return {}, f"its EXIF cannot be read ({error})"
    return {ExifTags.TAGS.get(number, str(number)): merged[number] for number in merged}, ""


def to_srgb(picture: Image.Image) -> tuple[Image.Image, str]:
    """The picture with its colour profile applied, in 8 bits, and a note where there was one.

    A picture without a profile, or with one that says sRGB, comes back as it is; so does one whose
    profile is broken, with a note that says so.
    """
    profile = picture.info.get("icc_profile")
    if not profile:
        rough = picture.mode == "CMYK"
        return picture, "CMYK without a profile, its colours are rough" if rough else ""
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    plain = {"LA": "L", "RGBA": "RGB"}.get(picture.mode, picture.mode)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower() and plain in ("RGB", "L"):
            return picture, ""
        converted = ImageCms.profileToProfile(
            picture.convert(plain) if alpha else picture,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, *BROKEN) as error:
        return picture, f"its colour profile cannot be used and was ignored ({error})"
    assert converted is not None, "only a conversion in place gives nothing back"
    if alpha:
        converted.putalpha(alpha)
    return converted, f"colours brought from {name} to sRGB"


def damaged(path: Path, error: Exception) -> DataError:
    """The sentence for a picture that a decoder could not go through with."""
    size = path.stat().st_size
    why = str(error).strip().rstrip(".") or type(error).__name__
    return DataError(
        f"{path} ({size} bytes) is a damaged picture: {why}. Fetch or export it again."
    )


def _no_picture(path: Path) -> DataError:
    with path.open("rb") as file:
        start = file.read(256)
    if not start:
        return DataError(f"{path} is empty (0 bytes). Fetch or export it again.")
    if b"<svg" in start.lower():
        return DataError(f"{path} is a drawing (SVG), not a picture. Export it as a PNG.")
    # Pillow has one word for a foreign file and for a HEIC whose boxes are cut short.
    if start[4:8] == b"ftyp" or start.startswith((b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*")):
        return _broken_or_foreign(path, start)
    return DataError(
        f"{path} is not a picture: it starts with {start[:24]!r}. "
        "Give a PNG, JPEG, TIFF, WebP, HEIC or AVIF."
    )


def _broken_or_foreign(path: Path, start: bytes) -> DataError:
    if start[4:8] == b"ftyp" and not _know_heic():
        return DataError(
            f'{path} is a HEIC picture, for which pip install "fovea-vision[photo]" is needed.'
        )
    return DataError(
        f"{path} ({path.stat().st_size} bytes) is a damaged picture, or one of a kind that is not "
        "read. Fetch it again, or export it as a PNG or JPEG."
    )


def _know_heic() -> bool:
    """Have Pillow read HEIC, where the package for it is installed."""
    try:
        import pillow_heif
    except ModuleNotFoundError:
        return False
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener()
    return True


@contextmanager
def _quietly(most_pixels: int | None) -> Generator[None]:
    """Without Pillow's warnings, and with our own limit in place of its."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, most_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _frames(picture: Image.Image) -> list[str]:
    if picture.format in ("MPO", "HEIF"):  # further frames are depth and gain maps of the first
        return []
    count = int(getattr(picture, "n_frames", 1))
    return [f"the first of its {count} frames was taken"] if count > 1 else []


def _naming(path: Path, picture: Image.Image) -> list[str]:
    said = SUFFIXES.get(path.suffix.lower())
    found = SAME_FORMAT.get(picture.format or "", picture.format)
    return [f"named {path.suffix}, it is {found}"] if said and said != found else []


def _turn(picture: Image.Image, exif: Mapping[str, Any]) -> tuple[Image.Transpose | None, str]:
    """How to set a loaded picture upright, and what was odd about it."""
    said = exif.get(ORIENTATION, 1)
    if picture.format == "TIFF" or said in (0, 1):  # Pillow turns a TIFF itself while loading
        return None, ""
    if said not in TURNS:
        return None, f"its EXIF orientation {said} is none of 1 to 8 and was ignored"
    return TURNS[said], ""


def _values(
    path: Path, picture: Image.Image, turn: Image.Transpose | None, *, srgb: bool
) -> tuple[Values, str]:
    """The pixels, turned, and a note on their colours."""
    if picture.mode.startswith("F"):
        values = np.asarray(picture, dtype=np.float32)[..., None]
        return _turned(_finite(path, values), turn), ""
    if picture.mode.startswith("I"):
        return _turned(_steps16(path, np.asarray(picture)), turn), ""
    deep = _read_deep(path) if _is_deep(path, picture) else None
    if deep is not None and not (srgb and picture.info.get("icc_profile")):
        return _turned(deep, turn), ""
    if picture.mode in ("P", "PA", "1") or "transparency" in picture.info:
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        is_grey = picture.mode == "1" and not has_alpha
        picture = _with_profile(picture, "L" if is_grey else "RGBA" if has_alpha else "RGB")
    picture, note = to_srgb(picture) if srgb else (picture, "")
    if picture.mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    values = np.asarray(picture.transpose(turn) if turn is not None else picture)
    return values if values.ndim == 3 else values[..., None], note


def _with_profile(picture: Image.Image, mode: str) -> Image.Image:
    converted = picture.convert(mode)
    if profile := picture.info.get("icc_profile"):
        converted.info["icc_profile"] = profile
    return converted


def _turned(values: Values, turn: Image.Transpose | None) -> Values:
    """An array turned as Pillow would turn a picture."""
    if turn is None:
        return values
    match turn:
        case Image.Transpose.FLIP_LEFT_RIGHT:
            values = values[:, ::-1]
        case Image.Transpose.FLIP_TOP_BOTTOM:
            values = values[::-1]
        case Image.Transpose.ROTATE_180:
            values = values[::-1, ::-1]
        case Image.Transpose.ROTATE_90:
            values = np.rot90(values)
        case Image.Transpose.ROTATE_270:
            values = np.rot90(values, 3)
        case Image.Transpose.TRANSVERSE:
            values = values[::-1, ::-1].transpose(1, 0, 2)
        case _:
            values = values.transpose(1, 0, 2)
    return np.ascontiguousarray(values)


def _finite(path: Path, values: np.ndarray) -> np.ndarray:
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise DataError(
            f"{path} holds {bad} values of {values.size} that are not finite. Export it again."
        )
    return values


def _steps16(path: Path, values: np.ndarray) -> UInt16[np.ndarray, "height width 1"]:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high > 65535:
        raise DataError(
            f"{path} holds whole numbers from {low} to {high}, and grey values of up to 16 bits go "
            "from 0 to 65535. Export it in 8 or 16 bits."
        )
    return values.astype(np.uint16)[..., None]


def _is_deep(path: Path, picture: Image.Image) -> bool:
    """Whether it has several channels of 16 bits, of which Pillow keeps the upper 8."""
    if picture.mode not in ("RGB", "RGBA", "LA"):
        return False
    if picture.format == "TIFF":
        bits: Any = getattr(picture, "tag_v2", {}).get(258, ())
        return 16 in (bits if isinstance(bits, tuple) else (bits,))
    with path.open("rb") as file:
        head = file.read(25)
    return head.startswith(b"\x89PNG") and len(head) == 25 and head[24] == 16


def _read_deep(path: Path) -> UInt16[np.ndarray, "height width channels"] | None:
    """16-bit steps of a PNG or TIFF; None where OpenCV sees fewer bits or cannot read it."""
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    order = [2, 1, 0, 3][: values.shape[2]]
    return np.ascontiguousarray(values[..., order])
