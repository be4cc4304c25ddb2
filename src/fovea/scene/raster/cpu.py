"""The cpu twin: the same equations as `plain`, compiled, float32, with gradients written out.

Source: the algorithm is 3D Gaussian Splatting's; see docs/rasterizer.md for what makes it fast here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from fovea.scene.gaussians import Gaussians
from fovea.scene.raster import plain
from fovea.scene.raster.compiled import kernels, padded, passes
from fovea.scene.raster.splats import TILE, Splats, View
from fovea.scene.raster.workers import share

RECORD = 8
"""Floats of a packed splat."""
MOMENTS = 6
"""Floats of a gradient record before its features."""
BINNING_PARTS = 8
"""Parts that splats are counted in; each keeps a histogram of the tiles."""

project = plain.project
colors = plain.colors


@dataclass(frozen=True)
class Lists:
    """Which splats each tile draws, front to back. `M` splats are seen, `I` (splat, tile) pairs exist.

    Attributes:
        order: the seen Gaussians, front to back.
        packed: what blending reads of each of them.
        starts: where each tile's list begins; one more entry than tiles.
        ranks: the lists, as places in `order`.
        slots: the place of each pair in Gaussian order.
        slots_before: where each splat's pairs begin in that order; one more entry than splats.
    """

    order: Any
    packed: Any
    starts: Any
    ranks: Any
    slots: Any
    slots_before: Any


def blend(
    splats: Splats,
    features: Float[Tensor, "N C"],
    attached: Float[Tensor, " C"],
    view: View,
) -> tuple[Float[Tensor, "H W C"], Float[Tensor, "H W"]]:
    """Blend feature channels front to back; as `plain.blend`."""
    lists = bin_splats(splats, view)
    return _Blend.apply(
        splats.means2d, splats.conics, splats.opacities, features, attached, lists, view
    )


def bin_splats(splats: Splats, view: View) -> Lists:
    """Sort the seen splats by depth and list them tile by tile."""
    bins = kernels("bin")
    means2d, conics, opacities, depths = (
        _array(values)
        for values in (splats.means2d, splats.conics, splats.opacities, splats.depths)
    )
    radii = _array(splats.radii)
    order = np.empty(len(radii), np.int32)
    order = order[: bins.order_by_depth(depths, radii, order)]
    total = len(order)
    packed = np.empty((total, RECORD), np.float32)
    boxes = np.empty((total, 4), np.int32)
    size = view.height, view.width
    share(bins.pack, order, means2d, conics, opacities, radii, *size, view.in_tiles, packed, boxes)
    tiles_x, tiles_y = -(-view.width // TILE), -(-view.height // TILE)
    rows_before = _before(boxes[:, 3] - boxes[:, 1])
    spans = np.empty((rows_before[-1], 2), np.int16)
    per_splat = np.empty(total, np.int32)
    per_tile = np.zeros((BINNING_PARTS, tiles_x * tiles_y), np.int32)
    share(
        bins.count,
        packed,
        boxes,
        rows_before,
        *size,
        spans,
        per_splat,
        per_tile,
        parts=BINNING_PARTS,
    )
    starts = np.empty(tiles_x * tiles_y + 1, np.int64)
    bins.offsets(per_tile, starts)
    slots_before = _before(per_splat)
    ranks, slots = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    share(
        bins.scatter,
        boxes,
        rows_before,
        tiles_x,
        spans,
        slots_before,
        per_tile,
        ranks,
        slots,
        parts=BINNING_PARTS,
    )
    return Lists(order, packed.reshape(-1), starts, ranks, slots, slots_before)


class _Blend(torch.autograd.Function):
    """Blending and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        features: Tensor,
        attached: Tensor,
        lists: Lists,
        view: View,
    ) -> tuple[Tensor, Tensor]:
        channels = features.shape[1]
        pitch = padded(channels)
        rows = _pad(features, pitch)[lists.order]
        image = torch.empty((view.height, view.width, pitch))
        left = torch.empty((view.height, view.width))
        last = torch.empty((view.height, view.width))
        for first, count in passes(pitch):
            share(
                kernels("blend", count).forward,
                view.height,
                view.width,
                lists.starts,
                lists.ranks,
                lists.packed,
                rows.reshape(-1),
                pitch,
                first,
                _flat(image),
                _flat(left),
                _flat(last),
            )
        ctx.save_for_backward(conics, opacities, attached, left, last)
        ctx.lists, ctx.view, ctx.rows, ctx.channels = lists, view, rows, channels
        ctx.mark_non_differentiable(last)
        return image[..., :channels], left

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_image: Tensor, v_left: Tensor) -> tuple[Tensor | None, ...]:
        conics, opacities, attached, left, last = ctx.saved_tensors
        lists: Lists = ctx.lists
        view: View = ctx.view
        total, pitch = len(conics), ctx.rows.shape[1]
        v_means2d, v_conics = torch.zeros((total, 2)), torch.zeros((total, 3))
        v_opacities, v_features = torch.zeros(total), torch.zeros((total, pitch))
        v_pixels = _pad(v_image.reshape(-1, ctx.channels), pitch).reshape(-1)
        v_left = v_left.contiguous()
        attach = _pad(attached[None], pitch)[0]
        for first, count in passes(pitch):
            blend_kernels = kernels("blend", count)
            records = np.empty(len(lists.ranks) * (MOMENTS + count), np.float32)
            share(
                blend_kernels.backward,
                view.height,
                view.width,
                lists.starts,
                lists.ranks,
                lists.slots,
                lists.packed,
                ctx.rows.reshape(-1),
                attach,
                pitch,
                first,
                _flat(left),
                _flat(last),
                v_pixels,
                _flat(v_left),
                records,
            )
            share(
                blend_kernels.gather,
                lists.order,
                lists.slots_before,
                records,
                _array(conics),
                _array(opacities),
                pitch,
                first,
                _flat(v_means2d),
                _flat(v_conics),
                _flat(v_opacities),
                _flat(v_features),
            )
            v_left = torch.zeros_like(v_left)
        return v_means2d, v_conics, v_opacities, v_features[:, : ctx.channels], None, None, None


def _before(counts: Any) -> Any:
    """Running sum that starts at 0: how much lies before each entry, and in all."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def _array(values: Tensor) -> Any:
    return values.detach().contiguous().numpy()


def _flat(values: Tensor) -> Any:
    return values.detach().reshape(-1).numpy()


def _pad(rows: Tensor, pitch: int) -> Any:
    """Rows of float32 with channels of zeros behind."""
    rows = rows.detach()
    if rows.shape[1] != pitch:
        rows = torch.nn.functional.pad(rows, (0, pitch - rows.shape[1]))
    return rows.contiguous().numpy()
