"""Which splats each tile draws, front to back: the cpu twin's half without gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from fovea.scene.raster.compiled import kernels
from fovea.scene.raster.splats import TILE, Splats, View
from fovea.scene.raster.workers import share

RECORD = 8
"""Floats of a packed splat."""
PARTS = 8
"""Parts that splats are counted in; each keeps a histogram of the tiles."""


@dataclass(frozen=True)
class Lists:
    """The tiles' lists. `M` splats are seen, `I` pairs of a splat and a tile exist.

    Attributes:
        order: int32 [M], the seen Gaussians front to back.
        packed: float32 [M * RECORD], what blending reads of each of them.
        starts: int64 [tiles + 1], where each tile's list begins.
        ranks: int32 [I], the lists, as places in `order`.
        slots: int32 [I], the place of each pair in Gaussian order.
        slots_before: int64 [M + 1], where each splat's pairs begin in that order.
    """

    order: Any
    packed: Any
    starts: Any
    ranks: Any
    slots: Any
    slots_before: Any


def bin_splats(splats: Splats, view: View) -> Lists:
    """Sort the seen splats by depth and list them tile by tile."""
    bins = kernels("bin")
    means2d, conics, opacities, depths, radii = (
        array(values)
        for values in (
            splats.means2d,
            splats.conics,
            splats.opacities,
            splats.depths,
            splats.radii,
        )
    )
    height, width = view.height, view.width
    tiles_x, tiles_y = -(-width // TILE), -(-height // TILE)
    order = np.empty(len(radii), np.int32)
    order = order[: bins.order_by_depth(depths, radii, order)]
    total = len(order)

    packed, boxes = np.empty((total, RECORD), np.float32), np.empty((total, 4), np.int32)
    seen = order, means2d, conics, opacities, radii
    share(bins.pack, *seen, height, width, view.in_tiles, packed, boxes)

    rows_before = running_sum(boxes[:, 3] - boxes[:, 1])
    spans = np.empty((rows_before[-1], 2), np.int16)
    per_splat = np.empty(total, np.int32)
    per_tile = np.zeros((PARTS, tiles_x * tiles_y), np.int32)
    rows = packed, boxes, rows_before
    share(bins.count, *rows, height, width, spans, per_splat, per_tile, parts=PARTS)

    starts = np.empty(tiles_x * tiles_y + 1, np.int64)
    bins.offsets(per_tile, starts)
    slots_before = running_sum(per_splat)
    ranks, slots = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    where = boxes, rows_before, tiles_x, spans, slots_before, per_tile
    share(bins.scatter, *where, ranks, slots, parts=PARTS)
    return Lists(order, packed.reshape(-1), starts, ranks, slots, slots_before)


def running_sum(counts: Any) -> Any:
    """How much lies before each entry, and in all."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def array(values: Tensor) -> Any:
    """The numbers of a tensor, contiguous, for a kernel to read or fill."""
    return values.detach().contiguous().numpy()
