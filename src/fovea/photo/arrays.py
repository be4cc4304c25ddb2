"""What surrounds the network's layers, on NumPy arrays: crops, base Gaussians, composition.

The twin of `model.picture`, `model.pyramid`, `model.initializer` and `composer` for machines
without torch; the tests hold the two against each other. One picture at a time, all in float32.

Notation: `S` the picture's side, `P` a crop's, `g` tokens along a crop, `h = w = S/2` the grid.

Source: arXiv 2512.10685 and its public predictor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

STRIDE = 2
FARTHEST = 100.0
LEAST_DISPARITY, MOST_DISPARITY = np.float32(1e-4), np.float32(1e4)
POSITION_FACTOR, COLOR_FACTOR = np.float32(0.001), np.float32(0.1)
MOST_SCALE = np.float32(10)
FARTHEST_INVERSE = np.float32(1e-3)
LEAST_INVERSE = np.float32(1e-6)
DARKEST = np.float32(0.01)
LEAST_SCALE = np.float32(1e-18)
LEAST_OPACITY = np.float32(2.0**-24)
Array = np.ndarray


class Base(NamedTuple):
    """Gaussians before the network moves them, and what it is shown of them."""

    inverse_depth: Float32[np.ndarray, "2 h w"]
    colors: Float32[np.ndarray, "3 h w"]
    """sRGB, the same in both layers."""
    features: Float32[np.ndarray, "1 5 S S"]
    nearest_m: np.float32
    """The nearest depth, by which the scene was normalised."""


class NdcArrays(NamedTuple):
    """Gaussians in the network's space; the index is (layer * h + row) * w + column."""

    means: Float32[np.ndarray, "N 3"]
    scales: Float32[np.ndarray, "N 3"]
    quats: Float32[np.ndarray, "N 4"]
    colors: Float32[np.ndarray, "N 3"]
    opacities: Float32[np.ndarray, " N"]


def stretched(pixels: UInt8[np.ndarray, "H W 3"], *, size: int) -> Float32[np.ndarray, "1 3 S S"]:
    """A photograph as the network's picture in [0, 1]: bilinear, corners stay on corners."""
    rows = _between(pixels.shape[0], size)
    columns = _between(pixels.shape[1], size)
    picture = pixels.astype(np.float32) / np.float32(255)
    picture = _mixed(picture, rows, axis=0)
    return np.ascontiguousarray(_mixed(picture, columns, axis=1).transpose(2, 0, 1)[None])


def all_crops(
    image: Float32[np.ndarray, "1 3 S S"], *, crop_px: int, overlaps_px: tuple[int, int]
) -> Float32[np.ndarray, "crops 3 P P"]:
    """Crops of the picture at full, half and quarter size, row by row; the last is all of it."""
    half = _means(image[..., :, :], 0)
    quarter = _means(image[..., :, :], 1)
    crops: list[Array] = []
    for picture, overlap in zip((image, half, quarter), (*overlaps_px, 0), strict=True):
        starts = range(0, picture.shape[-1] - crop_px + 1, crop_px - overlap)
        crops += [picture[0, :, y : y + crop_px, x : x + crop_px] for y in starts for x in starts]
    return np.stack(crops)


def merged(
    tokens: Float32[np.ndarray, "crops T D"], *, trim: int
) -> Float32[np.ndarray, "1 D G G"]:
    """Tokens of neighbouring crops as one map; inner sides give up `trim` tokens."""
    grid = round((tokens.shape[1] - 1) ** 0.5)
    side = round(len(tokens) ** 0.5)
    maps = tokens[:, 1:].reshape(side, side, grid, grid, -1)

    def kept(place: int) -> slice:
        last = grid if place == side - 1 else grid - trim
        return slice(trim if place else 0, last)

    rows = [
        np.concatenate([maps[y, x][kept(y), kept(x)] for x in range(side)], axis=1)
        for y in range(side)
    ]
    return np.ascontiguousarray(np.concatenate(rows).transpose(2, 0, 1)[None])


def depth_from_disparity(
    disparity: Float32[np.ndarray, "1 2 S S"], disparity_factor: float
) -> Float32[np.ndarray, "2 S S"]:
    """Depth in metres; `disparity_factor` is focal length / width, both of the photograph."""
    return np.float32(disparity_factor) / disparity[0].clip(LEAST_DISPARITY, MOST_DISPARITY)


def initialized(
    image: Float32[np.ndarray, "1 3 S S"], depth_m: Float32[np.ndarray, "2 S S"]
) -> Base:
    """Base Gaussians from the picture and the depth of its two layers."""
    nearer = np.float32(1) / (depth_m.min() + np.float32(1e-6))
    disparity = 1 / np.minimum(depth_m * nearer, np.float32(FARTHEST))
    cells = _cells(disparity)
    colors = _cells(image[0]).mean(axis=(2, 4), dtype=np.float32)
    features = np.concatenate([image[0], disparity]) * np.float32(2) - np.float32(1)
    return Base(cells.max(axis=(2, 4)), colors, features[None], np.float32(1) / nearer)


def composed(base: Base, delta: Float32[np.ndarray, "1 14 2 h w"]) -> NdcArrays:
    """Base Gaussians moved by the network's deltas."""
    position, scale, quat, color, opacity = np.split(delta[0], (3, 6, 10, 13))
    moved = _inverse_softplus(base.inverse_depth) + POSITION_FACTOR * position[2]
    z = 1 / (np.logaddexp(np.float32(0), moved) + FARTHEST_INVERSE)
    grid = base.inverse_depth.shape[-1]
    centres = (np.arange(grid, dtype=np.float32) * 2 + 1) / np.float32(grid) - 1
    x = centres + POSITION_FACTOR * position[0]
    y = centres[:, None] + POSITION_FACTOR * position[1]
    means = np.stack([z * x, z * y, z]) * base.nearest_m
    factor = MOST_SCALE * _sigmoid(scale * (MOST_SCALE / (MOST_SCALE - 1)) - np.log(MOST_SCALE - 1))
    scales = z / np.float32(grid / 2) * factor * base.nearest_m
    quats = quat.copy()
    quats[0] += 1
    srgb = base.colors.clip(DARKEST, 1 - DARKEST)[:, None]
    colors = _linear(_sigmoid(np.log(srgb / (1 - srgb)) + COLOR_FACTOR * color))
    opacities = _sigmoid(opacity).clip(LEAST_OPACITY, 1 - LEAST_OPACITY)
    return NdcArrays(
        _by_gaussian(means),
        np.maximum(_by_gaussian(scales), LEAST_SCALE),
        _by_gaussian(quats),
        _by_gaussian(colors),
        _by_gaussian(opacities)[:, 0],
    )


def _between(count: int, size: int) -> tuple[Array, Array, Array]:
    # Before, after, and how far from the first to the second each of `size` samples lies. The
    # position is computed in float32, as the network's own resize does.
    step = np.float32((count - 1) / (size - 1))
    at = np.arange(size, dtype=np.float32) * step
    before = np.minimum(at.astype(np.int64), count - 1)
    return before, np.minimum(before + 1, count - 1), at - before.astype(np.float32)


def _mixed(values: Array, between: tuple[Array, Array, Array], *, axis: int) -> Array:
    before, after, part = between
    shape = [1] * values.ndim
    shape[axis] = -1
    part = part.reshape(shape)
    return values.take(before, axis) * (1 - part) + values.take(after, axis) * part


def _means(image: Array, level: int) -> Array:
    # Bilinear samples at half and quarter size: of 2 x 2, and of the central 2 x 2 of 4 x 4.
    step, first = (2, 0) if level == 0 else (4, 1)
    corners = [
        image[..., first + dy :: step, first + dx :: step] for dy in range(2) for dx in range(2)
    ]
    return sum(corners[1:], corners[0]) / np.float32(4)


def _cells(maps: Array) -> Array:
    channels, side, _ = maps.shape
    return maps.reshape(channels, side // STRIDE, STRIDE, side // STRIDE, STRIDE)


def _inverse_softplus(values: Array) -> Array:
    values = np.maximum(values, LEAST_INVERSE)
    return values + np.log(-np.expm1(-values))


def _sigmoid(values: Array) -> Array:
    # Half a hyperbolic tangent: nothing overflows on either side.
    return np.float32(0.5) * np.tanh(np.float32(0.5) * values) + np.float32(0.5)


def _linear(srgb: Array) -> Array:
    curve = ((srgb + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(srgb <= np.float32(0.04045), srgb / np.float32(12.92), curve)


def _by_gaussian(values: Array) -> Array:
    return np.ascontiguousarray(values.reshape(len(values), -1).T)
