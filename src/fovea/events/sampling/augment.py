"""Augmentation: a sample turned left for right, rotated and zoomed, the same at all its steps.

What is drawn (`Augmentation`) is apart from what is done with it (`augmented`). The image side is
one `PixelMap`: for each pixel of the result the pixel it is taken from.

Notation: `x0, y0` the top-left corner of the zoom's window, in pixels; factors are 1 or more, and
say how much larger (in) or smaller (out) things become. Images are resized with PyTorch's
`nearest-exact`.

Source: the numbers and the order of the draws are those of Gehrig and Scaramuzza, "Recurrent Vision
Transformers for Object Detection with Event Cameras" (2023), and of Wu et al., "LEOD" (2024).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from fovea.events.labels import H, Labels, W, X, Y
from fovea.events.sampling.window import Sample
from fovea.events.settings.sampling import AugmentConfig, VariationConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Augmentation:
    """What was drawn for one sample, or for one pass of a stream."""

    hflip: bool = False
    tflip: bool = False
    angle_rad: float = 0.0
    """Counter-clockwise as one looks at the image."""
    zoom: Literal["none", "in", "out"] = "none"
    factor: float = 1.0
    x0: int = 0
    y0: int = 0


NOTHING = Augmentation()


def drawn(
    settings: VariationConfig, generator: torch.Generator, *, height: int, width: int
) -> Augmentation:
    """Draw an augmentation; where a zoom inwards goes is left to `towards_box`.

    The order is that of the paper's code: h-flip, t-flip, rotation with its sign and angle, whether
    to zoom, in or out (always drawn), the factor and the place of a zoom outwards.

    Args:
        settings: probabilities and ranges.
        generator: of torch; a generator of equal seed gives what the paper's code draws.
        height: of the network's input, without padding.
        width: likewise.
    """
    hflip, tflip = (
        _happens(settings.prob_hflip, generator),
        _happens(settings.prob_tflip, generator),
    )
    angle_rad = (
        _angle_rad(settings, generator) if _happens(settings.prob_rotate, generator) else 0.0
    )
    is_zoomed = _happens(settings.prob_zoom, generator)
    found = Augmentation(hflip, tflip, angle_rad)
    weights = _zoom_weights(settings)
    if not weights.any():
        return found
    is_out = bool(torch.multinomial(weights, 1, replacement=True, generator=generator))
    if not is_zoomed:
        return found
    if not is_out:
        return replace(found, zoom="in")
    factor = _uniform(1, settings.max_zoom_out, generator)
    return replace(
        found,
        zoom="out",
        factor=factor,
        x0=int(_uniform(0, width - int(width / factor), generator)),
        y0=int(_uniform(0, height - int(height / factor), generator)),
    )


def augmented(
    sample: Sample,
    augmentation: Augmentation,
    settings: VariationConfig,
    generator: torch.Generator,
    *,
    into: UInt8[np.ndarray, "length channels height width"] | None = None,
) -> Sample:
    """The sample under an augmentation; its time flip is left to how the window was read.

    A set of boxes that becomes empty is None.

    Args:
        sample: as read.
        augmentation: as drawn.
        settings: of zooms inwards.
        generator: for zooms inwards, which depend on the boxes.
        into: where the histograms go; new memory when left out.
    """
    into = np.empty(sample.histograms.shape, np.uint8) if into is None else into
    height, width = sample.histograms.shape[-2:]
    changes: list[LabelChange] = []
    pixels = PixelMap.identity(height, width)
    if augmentation.hflip:
        changes.append(Labels.flipped)
        pixels = pixels.then(PixelMap.flip(height, width))
    if augmentation.angle_rad:
        angle_rad = augmentation.angle_rad
        changes.append(lambda labels: rotated(labels, angle_rad))
        pixels = pixels.then(PixelMap.rotation(height, width, angle_rad))
    if augmentation.zoom == "in" and isinstance(settings, AugmentConfig):
        towards = [_changed(labels, changes) for labels in sample.labels]
        augmentation = towards_box(towards, augmentation, settings, generator, path=sample.path)
    if augmentation.zoom != "none":
        zoom_boxes, zoom_pixels = ZOOMS[augmentation.zoom]
        factor, x0, y0 = augmentation.factor, augmentation.x0, augmentation.y0
        changes.append(lambda labels: zoom_boxes(labels, factor=factor, x0=x0, y0=y0))
        pixels = pixels.then(zoom_pixels(height, width, factor=factor, x0=x0, y0=y0))
    if changes:
        pixels.apply(sample.histograms, into)
    else:
        into[:] = sample.histograms
    return replace(
        sample,
        histograms=into,
        labels=[_changed(labels, changes) for labels in sample.labels],
        hidden=[_changed(labels, changes) for labels in sample.hidden],
    )


# Where a zoom inwards goes


def towards_box(
    steps: list[Labels | None],
    augmentation: Augmentation,
    settings: AugmentConfig,
    generator: torch.Generator,
    *,
    path: str = "",
) -> Augmentation:
    """Aim a zoom inwards at a box of the latest step that has any; without boxes nothing is zoomed.

    With `skip_last_box`, the last of several boxes is never chosen: the paper's code draws from one
    box too few.
    """
    latest = next(
        (labels for labels in reversed(steps) if labels is not None and len(labels)), None
    )
    if latest is None:
        _log.warning(
            "%s: a window without boxes cannot be zoomed into, so it is left as it is", path
        )
        return replace(augmentation, zoom="none")
    factor = _uniform(1, settings.max_zoom_in, generator)
    choices = max(len(latest) - 1, 1) if settings.skip_last_box else len(latest)
    box = 0 if len(latest) == 1 else int(torch.randint(choices, (1,), generator=generator))
    x0, y0 = window_around(
        latest.rows[box, X : H + 1], latest.height, latest.width, factor, generator
    )
    return replace(augmentation, factor=factor, x0=x0, y0=y0)


def window_around(
    box: Float32[np.ndarray, " 4"],
    height: int,
    width: int,
    factor: float,
    generator: torch.Generator,
) -> tuple[int, int]:
    """A window's corner (x0, y0), drawn such that the window contains the box, or lies in it.

    Args:
        box: [x, y, w, h].
        height: of the frame.
        width: of the frame.
        factor: the frame's sides by the window's.
        generator: of torch.
    """
    x, y, w, h = (float(value) for value in box)
    x0 = _start_around(x, x + w, int(width / factor), width, generator)
    return x0, _start_around(y, y + h, int(height / factor), height, generator)


def _start_around(
    low: float, high: float, window: int, side: int, generator: torch.Generator
) -> int:
    reach = max(window, high - low)
    first = max(high - reach, 0)
    last = max(min(low + reach, side - 1) - window, first)
    return int(_uniform(first, last, generator))


# Boxes

LabelChange = Callable[[Labels], Labels]


def zoomed_in(labels: Labels, *, factor: float, x0: int, y0: int) -> Labels:
    """The boxes in a window of the frame, enlarged to the frame's size."""
    sides = np.array([labels.width, labels.height] * 2, np.float32)
    corner = np.array([x0, y0] * 2, np.float32)
    # The paper's code keeps one pixel off the window's far side, and the window off the frame's.
    most = np.minimum(corner + sides / np.float32(factor), sides - 1) - 1
    inside = np.clip(labels.xyxy, corner, most)
    corners = (inside - corner) * np.float32(factor)
    return _without_flat(labels, np.minimum(corners, sides - 1))


def zoomed_out(labels: Labels, *, factor: float, x0: int, y0: int) -> Labels:
    """The boxes in the frame made smaller and laid at (x0, y0)."""
    sides = np.array([labels.width, labels.height], np.float32) / np.float32(factor)
    corners = labels.xyxy / np.float32(factor)
    corners[:, 2:] = np.minimum(corners[:, 2:], sides - 1)
    return _without_flat(labels, corners + np.array([x0, y0] * 2, np.float32))


def rotated(labels: Labels, angle_rad: float) -> Labels:
    """The upright hulls of the boxes turned about the frame's centre."""
    centre = np.array([labels.width // 2, labels.height // 2], np.float32)
    left, top, right, bottom = labels.xyxy.T
    xs, ys = np.stack([left, right, right, left]), np.stack([top, top, bottom, bottom])
    xs, ys = xs - centre[0], ys - centre[1]
    cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
    xs, ys = xs * cos + ys * sin + centre[0], ys * cos - xs * sin + centre[1]
    hulls = np.stack([xs.min(axis=0), ys.min(axis=0), xs.max(axis=0), ys.max(axis=0)], axis=1)
    most = np.array([labels.width - 1, labels.height - 1] * 2, np.float32)
    return _without_flat(labels, np.clip(hulls, 0, most))


def _without_flat(labels: Labels, corners: Float32[np.ndarray, "n 4"]) -> Labels:
    rows = labels.rows.copy()
    rows[:, X : Y + 1] = corners[:, :2]
    rows[:, W : H + 1] = corners[:, 2:] - corners[:, :2]
    return labels.with_rows(rows[(rows[:, W] > 0) & (rows[:, H] > 0)])


def _changed(labels: Labels | None, changes: list[LabelChange]) -> Labels | None:
    if labels is None:
        return None
    for change in changes:
        labels = change(labels)
    return labels if len(labels) else None


# Pixels


@dataclass(frozen=True)
class PixelMap:
    """From which pixel of an image each pixel of the result is taken."""

    index: Int64[np.ndarray, "height width"]
    """The pixel's number, row by row; -1 for a pixel that is zero."""

    @classmethod
    def identity(cls, height: int, width: int) -> PixelMap:
        """Every pixel stays."""
        return cls(np.arange(height * width).reshape(height, width))

    @classmethod
    def flip(cls, height: int, width: int) -> PixelMap:
        """Left for right."""
        return cls(cls.identity(height, width).index[:, ::-1])

    @classmethod
    def zoom_in(cls, height: int, width: int, *, factor: float, x0: int, y0: int) -> PixelMap:
        """A window of the image, enlarged to its size."""
        rows = y0 + nearest_exact(int(height / factor), height)
        columns = x0 + nearest_exact(int(width / factor), width)
        return cls(rows[:, None] * width + columns)

    @classmethod
    def zoom_out(cls, height: int, width: int, *, factor: float, x0: int, y0: int) -> PixelMap:
        """The image made smaller and laid at (x0, y0) on zeros."""
        small_height, small_width = int(height / factor), int(width / factor)
        rows, columns = nearest_exact(height, small_height), nearest_exact(width, small_width)
        index = np.full((height, width), -1)
        index[y0 : y0 + small_height, x0 : x0 + small_width] = rows[:, None] * width + columns
        return cls(index)

    @classmethod
    def rotation(cls, height: int, width: int, angle_rad: float) -> PixelMap:
        """Turned counter-clockwise about the centre, with zeros from outside."""
        ys, xs = np.mgrid[:height, :width] + 0.5
        xs, ys = xs - width / 2, ys - height / 2
        cos, sin = np.cos(angle_rad), np.sin(angle_rad)
        columns = np.floor(xs * cos - ys * sin + width / 2).astype(np.int64)
        rows = np.floor(xs * sin + ys * cos + height / 2).astype(np.int64)
        is_inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return cls(np.where(is_inside, rows * width + columns, -1))

    def then(self, after: PixelMap) -> PixelMap:
        """This map and another one after it."""
        composed = self.index.reshape(-1)[after.index]
        return PixelMap(np.where(after.index < 0, -1, composed))

    def apply(
        self,
        histograms: UInt8[np.ndarray, "length channels height width"],
        into: UInt8[np.ndarray, "length channels height width"],
    ) -> None:
        """Map images."""
        index, is_outside = self.index.reshape(-1), (self.index < 0).any()
        is_inside = (self.index >= 0).astype(np.uint8)
        for image, found in zip(histograms, into, strict=True):
            planes = image.reshape(len(image), -1)
            np.take(planes, index, axis=1, mode="clip", out=found.reshape(len(found), -1))
            if is_outside:
                found *= is_inside


def nearest_exact(size: int, new_size: int) -> Int64[np.ndarray, " new_size"]:
    """From which pixel each pixel of a resized line is taken, by PyTorch's nearest-exact."""
    scale = np.float32(size) / np.float32(new_size)
    centres = (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * scale
    return np.minimum(np.floor(centres).astype(np.int64), size - 1)


ZOOMS = {"in": (zoomed_in, PixelMap.zoom_in), "out": (zoomed_out, PixelMap.zoom_out)}
"""For each direction what happens to boxes and to pixels."""


# Draws


def _happens(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=generator) < probability)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return (high - low) * torch.rand(1, generator=generator).item() + low


def _angle_rad(settings: VariationConfig, generator: torch.Generator) -> float:
    sign = 1 if _happens(0.5, generator) else -1
    angle_deg = _uniform(settings.min_rotate_deg, settings.max_rotate_deg, generator)
    return float(np.deg2rad(sign * angle_deg))


def _zoom_weights(settings: VariationConfig) -> torch.Tensor:
    """Of zooming in and out; what is not a random window is only zoomed out."""
    if isinstance(settings, AugmentConfig):
        return torch.tensor([settings.weight_zoom_in, settings.weight_zoom_out])
    return torch.tensor([0.0, 1.0])
