"""A photograph as a predictor takes it: upright sRGB pixels and a focal length.

`mode=corrected` obeys all eight orientations, colour profiles, 16 bits, palettes and alpha.
`mode=reference` reads as SHARP's own program does, so that its numbers come out: it turns three of
the orientations only, drops alpha over whatever lies under it, and knows no profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageColor

from fovea.errors import ArtifactError, DataError
from fovea.photo.focal import focal_length
from fovea.photo.settings.photograph import PhotographConfig
from fovea.scene.decode import (
    BROKEN,
    ORIENTATION,
    TURNS,
    Decoded,
    Values,
    damaged,
    decode,
    open_picture,
    read_exif,
)

if TYPE_CHECKING:
    from fovea.scene.camera import Camera

LEAST_PX = 8
"""A smaller picture holds nothing that a scene could be made of."""
LONG_RATIO = 4.0
"""A longer picture is a panorama or a strip of pictures, which no pinhole camera takes."""
REFERENCE_TURNS = (3, 6, 8)
Pixels = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Photograph:
    """Upright sRGB pixels, and the pinhole camera that took them."""

    name: str
    """For files and titles; the stem of its file."""
    pixels: Pixels
    focal_px: float
    focal_source: str
    """How the focal length is known: `EXIF 35 mm equivalent 28 mm`, `assumed 30 mm`."""
    path: Path | None = None
    notes: tuple[str, ...] = ()
    """What was assumed or left out while it was read."""

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    def camera(self) -> Camera:
        """The camera at the origin that took it, its principal point in the middle."""
        import torch

        from fovea.scene.camera import Camera

        f, x, y = self.focal_px, self.width / 2, self.height / 2
        intrinsics = torch.tensor([[f, 0, x], [0, f, y], [0, 0, 1]], dtype=torch.float64)
        pose = torch.eye(4, dtype=torch.float64)
        return Camera(pose, intrinsics, height=self.height, width=self.width, name=self.name)


def read_photograph(path: str | Path, settings: PhotographConfig | None = None) -> Photograph:
    """Read a photograph from its file.

    Raises:
        ArtifactError: there is no such file, or it may not be read.
        DataError: it is not a picture, is damaged, or is too large or too small.
    """
    path = Path(path)
    settings = settings or PhotographConfig()
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder, and a photograph was wanted. Give a file in it.")
    if settings.mode == "reference":
        pixels, exif, notes = _read_as_reference(path, settings.most_pixels)
    else:
        found = decode(path, most_pixels=settings.most_pixels, srgb=True)
        pixels, over = _on_background(found, settings.background)
        exif, notes = found.exif, [*found.notes, over]
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_PX:
        raise DataError(
            f"{path} has {width} x {height} pixels, and a photograph has {LEAST_PX} or more on "
            "each side. Give a larger one."
        )
    focal = focal_length(exif, width=width, height=height, settings=settings)
    notes += [focal.note, _shape_note(width, height)]
    kept = tuple(note for note in notes if note)
    return Photograph(path.stem, pixels, focal.px, focal.source, path, kept)


def _on_background(found: Decoded, background: str) -> tuple[Pixels, str]:
    """Three channels of 8 bits, before a colour where there is alpha."""
    values = _in_8_bits(found.values)
    colors = values[..., :1].repeat(3, axis=2) if values.shape[2] < 3 else values[..., :3]
    alpha = values[..., -1:]
    if values.shape[2] in (1, 3) or alpha.min() == 255:
        return np.ascontiguousarray(colors), ""
    behind = np.array(ImageColor.getrgb(background)[:3], dtype=np.uint32)
    part = alpha.astype(np.uint32)
    over = (colors * part + behind * (255 - part) + 127) // 255
    hidden = float((alpha < 255).mean())
    return over.astype(np.uint8), f"{hidden:.0%} of it is transparent, with {background} behind"


def _in_8_bits(values: Values) -> UInt8[np.ndarray, "height width channels"]:
    """Rounded to the nearest of 256 steps."""
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if values.dtype == np.float32:
        return np.floor(values.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return values.astype(np.uint8, copy=False)


def _shape_note(width: int, height: int) -> str:
    ratio = max(width, height) / min(width, height)
    if ratio <= LONG_RATIO:
        return ""
    return f"{width} x {height} is longer than cameras take; a panorama's scene is bent"


def _read_as_reference(path: Path, most_pixels: int) -> tuple[Pixels, Mapping[str, Any], list[str]]:
    """What SHARP's own program reads: channels as they are stored, the first three of them.

    Raises:
        DataError: it is a picture on which that program breaks.
    """
    with open_picture(path, most_pixels) as picture:
        try:
            exif, trouble = read_exif(picture)
            picture.load()
            said = exif.get(ORIENTATION, 1)
            values = np.asarray(_reference_turn(picture, said))
        except BROKEN as error:
            raise damaged(path, error) from None
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.dtype != np.uint8 or values.shape[2] < 3:
        raise DataError(
            f"{path} has {values.shape[2]} channels of {values.dtype} (Pillow's {picture.mode}), on"
            " which the reference breaks. Read it with mode=corrected."
        )
    ignored = (
        f"orientation {said} ignored, as the reference does"
        if said in TURNS and said not in REFERENCE_TURNS
        else ""
    )
    return np.ascontiguousarray(values[..., :3]), exif, [trouble, ignored]


def _reference_turn(picture: Image.Image, said: Any) -> Image.Image:
    is_turned = said in REFERENCE_TURNS and picture.format != "TIFF"
    return picture.transpose(TURNS[said]) if is_turned else picture
