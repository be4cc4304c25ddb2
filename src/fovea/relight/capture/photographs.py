"""The pixels of a capture's views: decoded, undistorted and brought to the size of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.capture.views import View
from fovea.scene.camera import Camera
from fovea.scene.distortion import undistort
from fovea.scene.image import image_size, read_image, resize, to_uint8

LONGEST_PX = 512
REFERENCE_WIDTH_PX = 1600
SHAPE_TOLERANCE = 0.02
"""How far a photograph's width / height may be from its camera's; rounding a small size takes that
much."""


@dataclass(frozen=True)
class Photograph:
    """A view's pixels and the pinhole camera that would have taken exactly these."""

    camera: Camera
    pixels: UInt8[Tensor, "h w c"]
    """sRGB and, where the photograph is cut out, straight alpha."""

    @property
    def is_cut_out(self) -> bool:
        """Whether it has an alpha channel that is used."""
        return self.pixels.shape[-1] == 4

    def over(self, background: Float[Tensor, " 3"]) -> Float[Tensor, "h w 3"]:
        """The photograph before a background, in 0..1."""
        values = self.pixels.to(torch.float32).div_(255)
        if not self.is_cut_out:
            return values
        return torch.lerp(background.to(values), values[..., :3], values[..., 3:])

    def to(self, device: torch.device) -> Photograph:
        """The same with its pixels on a device; the camera stays where it is."""
        return Photograph(self.camera, self.pixels.to(device))

    @cached_property
    def half(self) -> Photograph:
        """The same at half the size."""
        height, width = self.camera.height // 2, self.camera.width // 2
        values = self.pixels.cpu().numpy().astype(np.float32) / 255
        values = resize(values, height=height, width=width, filter="area")
        small = torch.from_numpy(to_uint8(values))
        camera = self.camera.resized(height=height, width=width)
        return Photograph(camera, small.to(self.pixels.device))


def scaled_size(*, width: int, height: int, resolution: int) -> tuple[int, int]:
    """The size (width, height) in px that a photograph is brought to.

    1, 2, 4 and 8 divide, -1 keeps up to 1600 px of width, 0 takes the first divisor that brings the
    longer side to 512 px (8 at most), and any other number is the width wanted.
    """
    if resolution == 0:
        fitting = (n for n in (1, 2, 4, 8) if max(width, height) / n <= LONGEST_PX)
        resolution = next(fitting, 8)
    if resolution in (1, 2, 4, 8):
        return round(width / resolution), round(height / resolution)
    if resolution == -1:
        resolution = min(width, REFERENCE_WIDTH_PX)
    scale = width / resolution
    return int(width / scale), int(height / scale)


def load(view: View, resolution: int = 1) -> Photograph:
    """Decode a view's photograph at the wanted resolution, undistorted, with its mask as alpha.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is not a picture, or its shape does not fit the camera's.
    """
    values = _checked(view)
    height, width = values.shape[:2]
    width, height = scaled_size(width=width, height=height, resolution=resolution)
    values = resize(values, height=height, width=width, filter="area")
    camera = view.camera.resized(height=height, width=width)
    if camera.distortion is not None:
        values, camera = _straight(values, camera, view)
    return Photograph(camera, torch.from_numpy(to_uint8(values)))


def decode(
    image: Path, mask: Path | None = None, *, upright: bool = True
) -> Float[np.ndarray, "h w c"]:
    """A photograph with its mask as alpha; alpha stays only where it is used.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is not a picture.
    """
    values = read_image(image, upright=upright)
    height, width = values.shape[:2]
    if mask is not None:
        alpha = resize(read_image(mask)[..., :1], height=height, width=width, filter="area")
        values = np.concatenate([values[..., :3], alpha], axis=-1)
    if values.shape[-1] == 4 and values[..., 3].min() == 1:
        values = values[..., :3]
    return values


def is_taken_upright(view: View) -> bool:
    """Whether the view's camera means the photograph turned as its EXIF says, or as it is stored.

    Programs that find poses look at the pixels as they are stored; others turn them first. The
    shape tells, and where both have it, they are taken as stored.
    """
    stored = image_size(view.image, upright=False)
    turned = image_size(view.image)
    return _is_of_shape(view.camera, *turned) and not _is_of_shape(view.camera, *stored)


def _checked(view: View) -> Float[np.ndarray, "h w c"]:
    """The photograph, checked against the shape of its camera."""
    values = decode(view.image, view.mask, upright=is_taken_upright(view))
    height, width = values.shape[:2]
    if not _is_of_shape(view.camera, height, width):
        raise DataError(
            f"{view.image} has {width}x{height} px, and its camera {view.camera.width}x"
            f"{view.camera.height} (width x height), another shape. Is it turned or cropped? Put"
            " the photograph there that the poses were made from."
        )
    return values


def _is_of_shape(camera: Camera, height: int, width: int) -> bool:
    return abs(width / height / (camera.width / camera.height) - 1) <= SHAPE_TOLERANCE


def _straight(
    values: Float[np.ndarray, "h w c"], camera: Camera, view: View
) -> tuple[Float[np.ndarray, "h w c"], Camera]:
    try:
        return undistort(values, camera)
    except DataError as error:
        raise DataError(
            f"{view.image} cannot be made straight. {error} A lens that sees more than half of"
            " what is around it has no pinhole with the same view: crop while straightening, with"
            " colmap image_undistorter --max_scale 1, and give the folder that it makes."
        ) from error
