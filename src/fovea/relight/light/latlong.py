"""Latitude-longitude maps of light, as .hdr files hold them.

A map is [height, width, channels]; row 0 looks up. Here, as in the files, up is +y, the centre
column looks to -z, and columns to the right turn towards +x:

    u = 0.5 + atan2(x, -z) / 2 pi        v = acos(y) / pi        both 0..1 from the upper left

Worlds with another up are turned by `fovea.relight.light.environment`. `mode="reference"` keeps the
published grids; they are marked below.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.light import cubemap as cube

Layout = Literal["centres", "reference", "bake_reference"]
Mode = Literal["corrected", "reference"]


def directions(
    height: int,
    width: int,
    *,
    layout: Layout = "centres",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{height} {width} 3"]:
    """The unit directions of all texels.

    Args:
        height: of the map.
        width: of the map.
        layout: `centres` for texel centres. `reference` is the published export, whose rows run
            from 1/H to 1 - 1/H of the way down instead of from 0.5/H. `bake_reference` is the
            published grid of occlusion, which starts at the texels' upper left corners and
            stretches the columns.
        dtype: of the result.
        device: of the result.
    """
    one = torch.float64
    if layout == "centres":
        down = (torch.arange(height, dtype=one) + 0.5) / height
        across = 2 * (torch.arange(width, dtype=one) + 0.5) / width - 1
    elif layout == "reference":
        down = torch.linspace(1 / height, 1 - 1 / height, height, dtype=one)
        across = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, dtype=one)
    else:
        down = torch.arange(height, dtype=one) / height
        across = torch.linspace(-1, 1 - 1 / width, width, dtype=one)
    theta, phi = torch.meshgrid(math.pi * down, math.pi * across, indexing="ij")
    grid = [theta.sin() * phi.sin(), theta.cos(), -theta.sin() * phi.cos()]
    return torch.stack(grid, dim=-1).to(device=device, dtype=dtype)


def solid_angles(
    height: int,
    width: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{height} {width}"]:
    """The exact solid angles of all texels, in steradians; they add up to 4 pi."""
    edges = torch.linspace(0, math.pi, height + 1, dtype=torch.float64).cos()
    rows = (edges[:-1] - edges[1:]) * 2 * math.pi / width
    return rows.unsqueeze(-1).expand(height, width).to(device=device, dtype=dtype)


def sample(
    image: Float[Tensor, "h w c"],
    directions: Float[Tensor, "*batch 3"],
    *,
    mode: Mode = "corrected",
) -> Float[Tensor, "*batch c"]:
    """Look directions up, linearly between texels; they need to be of unit length.

    Beyond a pole the map goes on in the opposite column. The reference goes on at the other pole.
    """
    height, width, channels = image.shape
    x, y, z = directions.reshape(-1, 3).unbind(-1)
    column = (torch.atan2(x, -z) / (2 * math.pi) + 0.5) * width - 0.5
    row = torch.acos(y.clamp(-1, 1)) / math.pi * height - 0.5
    left, top = column.detach().floor(), row.detach().floor()
    right_share, lower_share = (column - left).unsqueeze(-1), (row - top).unsqueeze(-1)
    texels = image.reshape(-1, channels)
    total: Tensor | float = 0.0
    for step_y, weight_y in ((0, 1 - lower_share), (1, lower_share)):
        for step_x, weight_x in ((0, 1 - right_share), (1, right_share)):
            at = _texel(top.long() + step_y, left.long() + step_x, height, width, mode)
            total = total + weight_y * weight_x * texels[at]
    assert isinstance(total, Tensor), "four products were added"
    return total.reshape(*directions.shape[:-1], channels)


def to_cubemap(
    image: Float[Tensor, "h w c"], res: int, *, mode: Mode = "corrected"
) -> Float[Tensor, "6 {res} {res} c"]:
    """The same light on a cubemap, y up.

    Texels hold the mean of the map over themselves, so that a small sun keeps its power. The
    reference takes the map's value at their centres.
    """
    if mode == "reference":
        around = cube.texel_directions(res, dtype=image.dtype, device=image.device)
        return sample(image, around, mode=mode)
    return sample_over_texels(image, res, torch.eye(3))


def sample_over_texels(
    image: Float[Tensor, "h w c"], res: int, native_from_world: Float[Tensor, "3 3"]
) -> Float[Tensor, "6 {res} {res} c"]:
    """The mean of a map over each texel of a cubemap that stands turned in it.

    Means are taken over so many points that two lie in each texel of the map at its equator.
    """
    fine = res * 2 ** max(0, math.ceil(math.log2(max(1, image.shape[1] / (2 * res)))))
    around = cube.texel_directions(fine, dtype=image.dtype, device=image.device)
    result = sample(image, around @ native_from_world.to(image).T)
    weights = cube.solid_angles(fine, dtype=image.dtype, device=image.device).unsqueeze(-1)
    result = torch.cat([result * weights, weights], dim=-1)
    while result.shape[1] > res:
        result = cube.halve(result)
    return result[..., :-1] / result[..., -1:]


def from_cubemap(
    cubemap: Float[Tensor, "6 res res c"], height: int, *, layout: Layout = "centres"
) -> Float[Tensor, "{height} width c"]:
    """The same light on a map twice as wide as high, y up."""
    texels, shares = _lookups(height, layout, cubemap.shape[1], cubemap.dtype, cubemap.device)
    return cube.blend(cubemap, texels, shares).reshape(height, 2 * height, -1)


@lru_cache(maxsize=2)
def _lookups(
    height: int, layout: Layout, res: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where a map's texels look on a cubemap; a fit asks for the same map at every step."""
    grid = directions(height, 2 * height, layout=layout, dtype=dtype, device=device)
    return cube.taps(grid.reshape(-1, 3), res)


def _texel(row: Tensor, column: Tensor, height: int, width: int, mode: Mode) -> Tensor:
    if mode == "reference":
        return row % height * width + column % width
    is_beyond = (row < 0) | (row >= height)
    row = torch.where(row < 0, -1 - row, torch.where(row >= height, 2 * height - 1 - row, row))
    column = torch.where(is_beyond, column + width // 2, column)
    return row * width + column % width
