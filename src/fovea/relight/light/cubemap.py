"""Cubemaps: where their texels look, how large those are, and how a direction is looked up.

A cubemap is [6, res, res, channels]. With gx, gy = 2 (i + 0.5) / res - 1 for column and row, a
texel looks along

    0: +x ( 1, -gy, -gx)   2: +y (gx,  1,  gy)   4: +z ( gx, -gy,  1)
    1: -x (-1, -gy,  gx)   3: -y (gx, -1, -gy)   5: -z (-gx, -gy, -1)

which is the layout of graphics hardware. Gradients reach the cubemap, the level between two mips
and the directions, though not across the choice of a texel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

# Rows are the axes of a face in the world: of columns, of rows, and outwards.
FACES = (
    ((0, 0, -1), (0, -1, 0), (1, 0, 0)),
    ((0, 0, 1), (0, -1, 0), (-1, 0, 0)),
    ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
)


def texel_directions(
    res: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Float[Tensor, "6 {res} {res} 3"]:
    """The unit directions of all texel centres."""
    points = _on_the_cube(2 * (torch.arange(res, dtype=torch.float64) + 0.5) / res - 1)
    return functional.normalize(points, dim=-1).to(device=device, dtype=dtype)


def solid_angles(
    res: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Float[Tensor, "6 {res} {res}"]:
    """The exact solid angles of all texels, in steradians; they add up to 4 pi."""
    edges = torch.linspace(-1, 1, res + 1, dtype=torch.float64)
    y, x = torch.meshgrid(edges, edges, indexing="ij")
    corner = torch.atan2(x * y, (x * x + y * y + 1).sqrt())
    face = corner[1:, 1:] - corner[1:, :-1] - corner[:-1, 1:] + corner[:-1, :-1]
    return face.expand(6, res, res).to(device=device, dtype=dtype)


def nearest_texel(directions: Float[Tensor, "n 3"], res: int) -> Int[Tensor, " n"]:
    """The numbers of the texels that directions meet, counted as in a flattened cubemap."""
    face, x, y = _to_face(directions)
    column, row = (((at + 1) / 2 * res).floor().long().clamp(0, res - 1) for at in (x, y))
    return (face * res + row) * res + column


def halve(cubemap: Float[Tensor, "6 res res c"]) -> Float[Tensor, "6 half half c"]:
    """The mean of each 2x2 block of texels."""
    faces, res, _, channels = cubemap.shape
    return cubemap.reshape(faces, res // 2, 2, res // 2, 2, channels).mean(dim=(2, 4))


def mip_chain(
    base: Float[Tensor, "6 res res c"], smallest: int = 16
) -> list[Float[Tensor, "6 _ _ c"]]:
    """The cubemap and its halves down to `smallest` texels a side."""
    mips = [base]
    while mips[-1].shape[1] > smallest:
        mips.append(halve(mips[-1]))
    return mips


def sample(
    cubemap: Float[Tensor, "6 res res c"],
    directions: Float[Tensor, "*batch 3"],
    filter: Literal["linear", "nearest"] = "linear",
) -> Float[Tensor, "*batch c"]:
    """Look directions up; they need not be of unit length. Zero and non-finite ones give 0.

    A linear lookup goes on across the edges of a face. Where three faces meet, the fourth texel is
    missing and counts as the mean of the other three.
    """
    flat, res = directions.reshape(-1, 3), cubemap.shape[1]
    if filter == "nearest":
        flat, is_usable = _usable(flat)
        indices, weights = nearest_texel(flat, res).unsqueeze(-1), is_usable.unsqueeze(-1)
    else:
        indices, weights = taps(flat, res)
    values = blend(cubemap, indices, weights)
    return values.reshape(*directions.shape[:-1], cubemap.shape[-1])


def taps(
    directions: Float[Tensor, "n 3"], res: int
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """The texels, as `nearest_texel` counts them, and their shares in a linear lookup."""
    level = torch.zeros(len(directions), dtype=torch.long, device=directions.device)
    return _linear_taps(directions, _atlas((res,), directions.device), level)


def blend(
    cubemap: Float[Tensor, "6 res res c"], texels: Int[Tensor, "n k"], shares: Shaped[Tensor, "n k"]
) -> Float[Tensor, "n c"]:
    """Weighted sums of texels; `sample` for lookups that are kept."""
    return _gather(cubemap.reshape(-1, cubemap.shape[-1]), texels, shares)


def sample_mips(
    mips: Sequence[Float[Tensor, "6 _ _ c"]],
    directions: Float[Tensor, "*batch 3"],
    level: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch c"]:
    """Look directions up between two mips: level 0 is the first, n - 1 the last, clamped.

    Each mip is sampled linearly with its own edges, then the two are blended.
    """
    channels, flat = mips[0].shape[-1], directions.reshape(-1, 3)
    level = level.reshape(-1).clamp(0, len(mips) - 1)
    # A level that is not a number gives one, rather than a texel out of bounds.
    finer = level.detach().floor().long().clamp(0, len(mips) - 1)
    coarser = (finer + 1).clamp(max=len(mips) - 1)
    share = (level - finer).unsqueeze(-1)
    atlas = _atlas(tuple(mip.shape[1] for mip in mips), flat.device)
    fine_at, fine = _linear_taps(flat, atlas, finer)
    coarse_at, coarse = _linear_taps(flat, atlas, coarser)
    values = _gather(
        torch.cat([mip.reshape(-1, channels) for mip in mips]),
        torch.cat([fine_at, coarse_at], dim=1),
        torch.cat([fine * (1 - share), coarse * share], dim=1),
    )
    return values.reshape(*directions.shape[:-1], channels)


@dataclass(frozen=True)
class _Atlas:
    """The texels of several cubemaps in one row, and what lies one texel beyond each face.

    Attributes:
        res: of each cubemap.
        first: where the framed faces of each begin in `texel`.
        texel: for each cubemap [6, res + 2, res + 2] flattened: the texel that stands there, or -1
            at a corner of the cube.
    """

    res: Int[Tensor, " mips"]
    first: Int[Tensor, " mips"]
    texel: Int[Tensor, " framed"]


@cache
def _atlas(sizes: tuple[int, ...], device: torch.device) -> _Atlas:
    frames, texels, framed = [], 0, [0]
    for res in sizes:
        frame = _framed(res)
        frames.append(torch.where(frame >= 0, frame + texels, -1).reshape(-1))
        texels += 6 * res * res
        framed.append(framed[-1] + frame.numel())
    return _Atlas(
        torch.tensor(sizes, device=device),
        torch.tensor(framed[:-1], device=device),
        torch.cat(frames).to(device),
    )


def _framed(res: int) -> Int[Tensor, "6 res+2 res+2"]:
    """The numbers of a cubemap's texels, each face framed by those that touch it."""
    numbers = torch.full((6, res + 2, res + 2), -1, dtype=torch.long)
    numbers[:, 1:-1, 1:-1] = torch.arange(6 * res * res).reshape(6, res, res)
    # A point on an edge, moved off the face by half a texel, lies in the texel that touches it.
    centres = 2 * (torch.arange(res, dtype=torch.float64) + 0.5) / res - 1
    inwards = 1 - 1 / res
    for face in range(6):
        for side, end in ((0, -1.0), (-1, 1.0)):
            edge = torch.full_like(centres, end)
            numbers[face, 1:-1, side] = _texel_at(face, edge, centres, inwards, res)
            numbers[face, side, 1:-1] = _texel_at(face, centres, edge, inwards, res)
    return numbers


def _texel_at(face: int, gx: Tensor, gy: Tensor, outwards: float, res: int) -> Tensor:
    axes = torch.tensor(FACES[face], dtype=torch.float64)
    return nearest_texel(torch.stack([gx, gy, torch.full_like(gx, outwards)], dim=-1) @ axes, res)


def _on_the_cube(at: Float[Tensor, " res"]) -> Float[Tensor, "6 res res 3"]:
    gy, gx = torch.meshgrid(at, at, indexing="ij")
    in_face = torch.stack([gx, gy, torch.ones_like(gx)], dim=-1)
    return torch.einsum("yxk,fkd->fyxd", in_face, torch.tensor(FACES, dtype=at.dtype))


def _to_face(
    directions: Float[Tensor, "n 3"],
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The face that a direction meets, and where on it in -1..1."""
    x, y, z = directions.unbind(-1)
    size_x, size_y, size_z = x.abs(), y.abs(), z.abs()
    is_z = size_z > torch.maximum(size_x, size_y)
    is_y = ~is_z & (size_y > size_x)
    out = torch.where(is_z, z, torch.where(is_y, y, x))
    sign = torch.where(out < 0, -1.0, 1.0).to(out)
    gx = torch.where(is_z, x * sign, torch.where(is_y, x, -z * sign)) / out.abs()
    gy = torch.where(is_y & ~is_z, z * sign, -y) / out.abs()
    face = torch.where(is_z, 4, torch.where(is_y, 2, 0)) + (out < 0).long()
    return face, gx, gy


def _usable(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Directions that can be looked up, and which of them were so before."""
    is_usable = directions.isfinite().all(dim=-1) & (directions != 0).any(dim=-1)
    stand_in = directions.new_tensor([1.0, 0.0, 0.0])
    return torch.where(is_usable.unsqueeze(-1), directions, stand_in), is_usable


def _linear_taps(directions: Tensor, atlas: _Atlas, level: Tensor) -> tuple[Tensor, Tensor]:
    """Four texels and their weights for each direction."""
    directions, is_usable = _usable(directions)
    face, gx, gy = _to_face(directions)
    res, first = atlas.res[level], atlas.first[level]
    x, y = (gx + 1) / 2 * res - 0.5, (gy + 1) / 2 * res - 0.5
    left, top = x.detach().floor(), y.detach().floor()
    x, y = x - left, y - top
    stride = res + 2
    # The frame shifts columns and rows by one.
    at = first + (face * stride + top.long() + 1) * stride + left.long() + 1
    corners = torch.stack([at, at + 1, at + stride, at + stride + 1], dim=-1)
    weights = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=-1)
    texels = atlas.texel[corners]
    is_missing = texels < 0
    shared = (weights * is_missing).sum(dim=-1, keepdim=True) / 3
    weights = torch.where(is_missing, 0, weights + shared) * is_usable.unsqueeze(-1)
    return texels.clamp(min=0), weights


def _gather(texels: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    # With its gradient four times faster than embedding_bag.
    taps = texels.index_select(0, indices.reshape(-1)).reshape(*indices.shape, texels.shape[-1])
    return (taps * weights.to(texels).unsqueeze(-1)).sum(dim=1)
