"""Where Gaussians begin: two layers on a grid over the picture, at the depth of each cell.

No weights. `S` is the picture's side, `h = w = S/2` the grid's. Depth is divided by the nearest one
of the picture, so that it begins at 1 and ends at 100; `global_scale` undoes that at the end.
All in float32, whatever the network computes in: the nearest depth scales the whole scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

STRIDE = 2
LAYERS = 2
FARTHEST = 100.0
LEAST_DISPARITY, MOST_DISPARITY = 1e-4, 1e4


@dataclass(frozen=True)
class BaseGaussians:
    """Gaussians before the network moves them, and what it is shown of them."""

    x_ndc: Float[Tensor, "B 1 2 h w"]
    y_ndc: Float[Tensor, "B 1 2 h w"]
    inverse_depth: Float[Tensor, "B 1 2 h w"]
    """In 0.01..1; the nearest surface in each cell."""
    scale: Float[Tensor, "B 1 2 h w"]
    colors: Float[Tensor, "B 3 2 h w"]
    """sRGB, the mean of each cell, the same in both layers."""
    features: Float[Tensor, "B 5 S S"]
    """Picture and normalised disparities, in [-1, 1]."""
    global_scale: Float[Tensor, " B"]


def depth_from_disparity(
    disparity: Float[Tensor, "B 2 S S"], disparity_factor: Float[Tensor, " B"]
) -> Float[Tensor, "B 2 S S"]:
    """Depth in metres; `disparity_factor` is focal length / width, both of the photograph."""
    factor = disparity_factor.float().reshape(-1, 1, 1, 1)
    return factor / disparity.float().clamp(LEAST_DISPARITY, MOST_DISPARITY)


def initialize(image: Float[Tensor, "B 3 S S"], depth_m: Float[Tensor, "B 2 S S"]) -> BaseGaussians:
    """Base Gaussians from a picture in [0, 1] and the depth of its two layers."""
    image, depth_m = image.float(), depth_m.float()
    nearer = 1 / (depth_m.amin(dim=(1, 2, 3)) + 1e-6)
    normalized = (depth_m * nearer.reshape(-1, 1, 1, 1)).clamp_max(FARTHEST)
    disparity = 1 / normalized
    inverse = functional.max_pool2d(disparity, STRIDE)[:, None]
    x, y = _cell_centres(inverse, side=image.shape[-1])
    colors = functional.avg_pool2d(image, STRIDE)[:, :, None].expand(-1, -1, LAYERS, -1, -1)
    features = 2 * torch.cat([image, disparity], dim=1) - 1
    scale = 2 * STRIDE / image.shape[-1] / inverse
    return BaseGaussians(x, y, inverse, scale, colors, features, 1 / nearer)


def _cell_centres(like: Float[Tensor, "B 1 2 h w"], *, side: int) -> tuple[Tensor, Tensor]:
    # (-1, -1) is the corner above on the left; a cell is STRIDE pixels wide.
    steps = torch.arange(like.shape[-1], device=like.device, dtype=torch.float32)
    ndc = 2 * (STRIDE / 2 + STRIDE * steps) / side - 1
    return ndc.expand_as(like), ndc[:, None].expand_as(like)
