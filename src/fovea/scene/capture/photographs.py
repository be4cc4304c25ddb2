"""The pixels of a capture's views: decoded, undistorted and brought to the size of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fovea.errors import DataError
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture.views import View
from fovea.scene.color import linear_to_srgb
from fovea.scene.distortion import undistort
from fovea.scene.image import image_size, read_image, resize, to_uint8
from fovea.scene.radiance import read_radiance

LINEAR = (".exr", ".hdr")
"""Photographs of linear light; they are brought to sRGB, and what is brighter than white is cut."""
LONGEST_PX = 512
REFERENCE_WIDTH_PX = 1600
BYTES_A_PIXEL = 5
"""Of a photograph that is kept: four of colour and alpha, and one of its half size."""
DECODING_BYTES_A_PIXEL = 64
"""While a photograph is decoded, resized and made straight: a few copies in float32."""
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


def load_all(views: Sequence[View], resolution: int, context: Context) -> list[Photograph]:
    """Decode the photographs of these views, once it is said how much memory they take.

    Raises:
        ArtifactError: there is no such file.
        DataError: they do not fit into memory, or one is not as its camera has it.
    """
    context.note(refuse_if_too_large(views, resolution))
    loaded: list[Photograph] = []
    for view in views:
        loaded.append(load(view, resolution))
        context.progress(len(loaded), len(views), "photographs")
        if context.should_stop():
            context.stop()
    return loaded


def refuse_if_too_large(views: Sequence[View], resolution: int) -> str:
    """Say how much memory the photographs of these views will take, before any is decoded.

    Raises:
        DataError: it is more than is free.
    """
    sizes = [photograph_size(view.image, upright=False) for view in views]
    pixels = 0
    for height, width in sizes:
        wide, high = scaled_size(width=width, height=height, resolution=resolution)
        pixels += wide * high
    height, width = max(sizes, key=lambda size: size[0] * size[1])
    needed = BYTES_A_PIXEL * pixels + DECODING_BYTES_A_PIXEL * height * width
    wide, high = scaled_size(width=width, height=height, resolution=resolution)
    said = (
        f"{len(views)} photographs of up to {width}x{height} px (width x height), brought to"
        f" {wide}x{high}, take {_gigabytes(needed)} of memory"
    )
    free = free_bytes()
    if needed > free:
        raise DataError(
            f"{said}, and {_gigabytes(free)} are free. Take a smaller size, resolution=8 or a width"
            " in px, or fewer photographs."
        )
    return said


def free_bytes() -> int:
    """The memory that may still be used here, also inside a container with a limit."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    if (group / "memory.max").is_file() and (group / "memory.current").is_file():
        limit = (group / "memory.max").read_text().strip()
        if limit.isdigit():
            free = min(free, int(limit) - int((group / "memory.current").read_text()))
    return max(free, 0)


def photograph_size(image: Path, *, upright: bool = True) -> tuple[int, int]:
    """The height and width of a photograph, from its header where that can be read alone."""
    if image.suffix.lower() in LINEAR:
        height, width = read_radiance(image, is_panorama=False).shape[:2]
        return height, width
    return image_size(image, upright=upright)


def decode(
    image: Path, mask: Path | None = None, *, upright: bool = True
) -> Float[np.ndarray, "h w c"]:
    """A photograph, sRGB, with its mask as alpha; alpha stays only where it is used.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is not a picture, or holds values that are not finite.
    """
    if image.suffix.lower() in LINEAR:
        values = linear_to_srgb(read_radiance(image, is_panorama=False).clip(0, 1))
    else:
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
    if view.image.suffix.lower() in LINEAR:
        return False
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


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _is_of_shape(camera: Camera, height: int, width: int) -> bool:
    return abs(width / height / (camera.width / camera.height) - 1) <= SHAPE_TOLERANCE


def _straight(
    values: Float[np.ndarray, "h w c"], camera: Camera, view: View
) -> tuple[Float[np.ndarray, "h w c"], Camera]:
    try:
        return undistort(values, camera)
    except DataError as error:
        raise DataError(f"{view.image} cannot be made straight. {error}") from error
