"""`service.prepare`: a photograph goes through plugins; one that breaks is left out."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fovea.errors import DataError
from fovea.photo.photograph import read_photograph
from fovea.runs.stage import Context
from fovea.scene.decode import open_picture
from fovea.service.plugins.apply import through
from fovea.service.plugins.stages import PrepareConfig

ORIENTATION = 0x0112


def prepare(config: PrepareConfig, context: Context) -> dict[str, float]:
    """Write the photograph as the plugins leave it, with what its EXIF says of the lens."""
    pixels = read_photograph(config.photo).pixels
    pixels = through("preprocess", config.plugins, pixels, context, check=_checked)
    with open_picture(config.photo) as picture:
        exif = picture.getexif()
    exif[ORIENTATION] = 1  # it was turned upright while it was read
    Image.fromarray(pixels).save(context.output("photo"), exif=exif, compress_level=1)
    return {}


def _checked(pixels: object) -> UInt8[np.ndarray, "height width 3"]:
    """What a plugin gave, if it is a photograph.

    Raises:
        DataError: it is none.
    """
    is_array = isinstance(pixels, np.ndarray)
    if not is_array or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        found = f"{pixels.dtype} {pixels.shape}" if is_array else type(pixels).__name__
        raise DataError(f"it gave {found} in place of uint8 [height, width, 3]")
    return np.ascontiguousarray(pixels)
