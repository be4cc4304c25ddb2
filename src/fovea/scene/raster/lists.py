"""Which splats each tile draws, front to back: the cpu twin's half without gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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
    """The tiles' lists. There are `N` Gaussians, and `I` pairs of one that is seen and a tile.

    Attributes:
        packed: float32 [N * RECORD], what blending reads of each Gaussian that is seen.
        starts: int64 [tiles + 1], where each tile's list begins.
        members: int32 [I], the lists: Gaussians, front to back.
        slots: int32 [I], the place of each pair in Gaussian order.
        slots_before: int64 [N + 1], where each Gaussian's pairs begin in that order.
    """

    packed: Any
    starts: Any
    members: Any
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
    total = len(radii)
    order = np.empty(total, np.int32)
    order = order[: bins.order_by_depth(depths, radii, order)]

    packed, boxes = np.empty((total, RECORD), np.float32), np.empty((total, 4), np.int32)
    shapes = means2d, conics, opacities, radii
    share(bins.pack, *shapes, height, width, view.in_tiles, packed, boxes)

    rows_before = running_sum(boxes[:, 3] - boxes[:, 1])
    spans = np.empty((rows_before[-1], 2), np.int16)
    per_splat = np.empty(total, np.int32)
    share(bins.spans, packed, boxes, rows_before, height, width, spans, per_splat)
    slots_before = running_sum(per_splat)
    boxes[:, 2] = slots_before[:-1]

    # One part may count in any order: that of memory is the quickest.
    parts = 1 if torch.get_num_threads() == 1 else PARTS
    counted = np.arange(total, dtype=np.int32) if parts == 1 else order
    per_tile = np.zeros((parts, tiles_x * tiles_y), np.int32)
    share(bins.count, counted, boxes, tiles_x, spans, per_tile, parts=parts)
    starts = np.empty(tiles_x * tiles_y + 1, np.int64)
    bins.offsets(per_tile, starts)
    members, slots = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    where = order, boxes, tiles_x, spans, per_tile
    share(bins.scatter, *where, members, slots, parts=parts)
    return Lists(packed.reshape(-1), starts, members, slots, slots_before)


def running_sum(counts: Any) -> Any:
    """How much lies before each entry, and in all."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def array(values: Tensor) -> Any:
    """The numbers of a tensor, contiguous, for a kernel to read or fill."""
    return values.detach().contiguous().numpy()
