"""Pictures from strangers: known by their content, measured by their head, decoded by a child.

A picture of 20 kB can be one of 144 million pixels, which take seconds and most of a GB to decode.
So its head is read first, in which it says how large it is; where settings want it, it is then
decoded once by a process that has little memory and time.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from fovea.scene.decode import BROKEN, SUFFIXES
from fovea.service.decoding import DAMAGED
from fovea.service.problems import RefusedError
from fovea.service.settings.uploads import UploadsConfig

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF", "JPEG2000")
"""What is opened at all (JPEG also as MPO); Pillow knows more, some of which start programs."""
SEVERAL = ("MPO", "HEIF")
"""Formats in which what looks like further frames belongs to the first: depth, gain maps."""
SUFFIX_OF = {
    "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "GIF": ".gif",
    "BMP": ".bmp", "HEIF": ".heic", "AVIF": ".avif", "JPEG2000": ".jp2",
}  # fmt: skip
_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")

_alone = threading.Lock()
"""Warnings are the process's, so one thread at a time switches them off."""


def looks_like_picture(path: Path, suffix: str) -> bool:
    """Whether a file is named like a picture, or begins like one."""
    with path.open("rb") as file:
        head = file.read(16)
    boxed = head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"avis")
    begins = head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or boxed
    return suffix.lower() in SUFFIXES or begins


def check(path: Path, settings: UploadsConfig) -> str:
    """Look at the head of a picture; decode it where settings say so.

    Returns:
        The suffix of its format.

    Raises:
        RefusedError: 415, it is no picture; 413, it is too large or has too many frames; 422, it
            is damaged.
    """
    _know_heic()
    try:
        with _alone, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(f"over {Image.MAX_IMAGE_PIXELS} pixels", settings) from None
    except (UnidentifiedImageError, *BROKEN):
        raise RefusedError(
            415,
            "not_a_picture",
            "this file is no picture that can be read. Send JPEG, PNG, WebP, TIFF, HEIC or AVIF.",
        ) from None
    with picture:
        _check_size(picture, settings)
        _check_frames(picture, settings)
        suffix = SUFFIX_OF[picture.format or "PNG"]
    if settings.decode:
        _decode_in_child(path, settings)
    return suffix


def _check_size(picture: Image.Image, settings: UploadsConfig) -> None:
    width, height = picture.size
    if width * height > settings.max_pixels or max(width, height) > settings.max_side_px:
        raise _too_large(f"{width} x {height} pixels", settings)


def _too_large(found: str, settings: UploadsConfig) -> RefusedError:
    return RefusedError(
        413,
        "picture_too_large",
        f"this picture has {found}; at most {settings.max_pixels} go, and {settings.max_side_px}"
        " on a side. Shrink it.",
    )


def _check_frames(picture: Image.Image, settings: UploadsConfig) -> None:
    if picture.format in SEVERAL or not hasattr(picture, "n_frames"):
        return
    try:
        picture.seek(settings.max_frames)  # cheaper than to count them all
    except EOFError:
        return
    except BROKEN:  # the first may be good; who reads it will say
        return
    raise RefusedError(
        413,
        "picture_frames",
        f"this {picture.format} has more than {settings.max_frames} frames. Send one picture.",
    )


def _decode_in_child(path: Path, settings: UploadsConfig) -> None:
    limits = [str(settings.decode_mb), str(settings.decode_s)]
    words = [sys.executable, "-m", "fovea.service.decoding", *limits, str(path)]
    try:
        told = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=settings.decode_s + 10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        status = -9
    else:
        status = told.returncode
    if status == DAMAGED:
        raise RefusedError(
            422, "picture_damaged", "this picture is damaged. Export it again, and send that."
        )
    if status:
        raise RefusedError(
            413,
            "picture_too_large",
            f"this picture needs more than {settings.decode_mb} MB or {settings.decode_s} s to be"
            " decoded. Shrink it.",
        )


def _know_heic() -> None:
    try:
        import pillow_heif
    except ModuleNotFoundError:
        return
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener()
