"""A map in strips: the same numbers in a part of the memory.

A function of convolutions sees a few rows around each of its own. Cut a map into strips of rows,
give each strip that many more rows above and below, drop what they made, and the results put
together are those of the whole map. The map's own border stays a border: the first strip gets
nothing above it, and its zero padding is the map's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def in_strips(
    function: Callable[..., Tensor],
    *maps: Float[Tensor, "B _ h w"],
    rows: int,
    halo: int,
) -> Float[Tensor, "B C H W"]:
    """What `function(*maps)` gives, computed `rows` rows at a time.

    Args:
        function: of maps of equal height; its result is as high, or higher by a whole factor.
        maps: its arguments.
        rows: of the maps, in a strip.
        halo: rows that the function sees above and below each of its own, at least.
    """
    height = maps[0].shape[-2]
    if height <= rows:
        return function(*maps)
    made: Tensor | None = None
    for first, end in strips(height, rows):
        top, bottom = max(first - halo, 0), min(end + halo, height)
        strip = function(*(whole[..., top:bottom, :] for whole in maps))
        factor = strip.shape[-2] // (bottom - top)
        made = made if made is not None else _empty(strip, height * factor)
        kept = strip[..., (first - top) * factor : (end - top) * factor, :]
        made[..., first * factor : end * factor, :] = kept
    assert made is not None, "a map has at least one row"
    return made


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """First row and end of each strip."""
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def normed(
    x: Float[Tensor, "B D h w"],
    norm: torch.nn.GroupNorm,
    *,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """Factor and summand of a group norm, [B, D, 1, 1] each: the norm is x * factor + summand.

    Statistics are of the whole map, added up strip by strip in float64: a million values a group
    are too many for sums in float32.
    """
    groups = norm.num_groups
    sums: Sequence[Tensor] = [
        torch.zeros(x.shape[:2], dtype=torch.float64, device=x.device) for _ in range(2)
    ]
    for first, end in strips(x.shape[-2], rows):
        part = x[..., first:end, :].float()
        variance, mean = torch.var_mean(part, dim=(2, 3), correction=0)
        count, variance, mean = part[0, 0].numel(), variance.double(), mean.double()
        sums[0].add_(mean, alpha=count)
        sums[1].add_(variance + mean**2, alpha=count)
    mean, square = (
        (total / x[0, 0].numel()).unflatten(1, (groups, -1)).mean(2, keepdim=True) for total in sums
    )
    spread = (square - mean**2 + norm.eps).rsqrt().expand(-1, -1, x.shape[1] // groups).flatten(1)
    factor = spread * norm.weight.double()
    centre = mean.expand(-1, -1, x.shape[1] // groups).flatten(1)
    summand = norm.bias.double() - centre * factor
    return factor.float()[..., None, None], summand.float()[..., None, None]


def _empty(like: Tensor, height: int) -> Tensor:
    shape = (*like.shape[:2], height, like.shape[3])
    order = (
        torch.channels_last
        if like.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=order)
