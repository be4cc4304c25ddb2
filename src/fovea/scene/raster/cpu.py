# pyright: reportIncompatibleMethodOverride=false
# torch leaves too many of its own types unknown for strict.
"""The cpu twin: the same equations as `plain`, compiled, float32, with gradients written out.

Each function wraps a kernel and its way back for autograd. Sources and what makes them fast:
docs/rasterizer.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from fovea.scene.gaussians import Gaussians
from fovea.scene.raster import plain
from fovea.scene.raster.compiled import kernels, padded, passes
from fovea.scene.raster.lists import Lists, array, bin_splats
from fovea.scene.raster.splats import Splats, View
from fovea.scene.raster.workers import share

MOMENTS = 6
"""Floats of a gradient record before its features."""


def project(gaussians: Gaussians, view: View) -> Splats:
    """Place the Gaussians on the image; by `plain` where the camera asks for a gradient."""
    if _moves(view):
        return plain.project(gaussians, view)
    means2d, conics, depths, radii = _Project.apply(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, view
    )
    return Splats(means2d, conics, depths, gaussians.opacities, radii)


def colors(gaussians: Gaussians, view: View, splats: Splats) -> Float[Tensor, "N 3"]:
    """The colours of the harmonics seen from the camera; unseen Gaussians stay black."""
    if _moves(view):
        return plain.colors(gaussians, view, splats)
    return _Colors.apply(gaussians.means, gaussians.harmonics, splats.radii, view)


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


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, view: View
    ) -> tuple[Tensor, ...]:
        total = len(means)
        means2d, conics = torch.empty((total, 2)), torch.empty((total, 3))
        depths, radii = torch.empty(total), torch.empty(total, dtype=torch.int32)
        shape = array(means), array(quats), array(scales)
        camera = _pinhole(view)
        share(
            kernels("project").forward,
            *shape,
            array(opacities),
            *camera,
            view.height,
            view.width,
            view.in_tiles,
            *(values.numpy() for values in (means2d, conics, depths, radii)),
        )
        ctx.save_for_backward(means, quats, scales, conics, radii)
        ctx.camera = camera
        ctx.mark_non_differentiable(radii)
        return means2d, conics, depths, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        means, quats, scales, conics, radii = ctx.saved_tensors
        filled = [torch.empty_like(values) for values in (means, quats, scales)]
        share(
            kernels("project").backward,
            *(array(values) for values in (means, quats, scales)),
            *ctx.camera,
            array(conics),
            array(radii),
            *(array(gradient) for gradient in grad_outputs[:3]),
            *(values.numpy() for values in filled),
        )
        return *filled, None, None


class _Colors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means: Tensor, harmonics: Tensor, radii: Tensor, view: View) -> Tensor:
        matrix = array(view.world_to_camera).astype(np.float64)
        position = -matrix[:3, :3].T @ matrix[:3, 3]
        seen = torch.empty_like(means)
        inputs = array(means), array(harmonics), position, array(radii)
        share(kernels("harmonics").forward, *inputs, seen.numpy())
        ctx.save_for_backward(means, harmonics, radii, seen)
        ctx.position = position
        return seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (v_seen,) = grad_outputs
        means, harmonics, radii, seen = ctx.saved_tensors
        v_means = torch.empty_like(means, memory_format=torch.contiguous_format)
        v_harmonics = torch.empty_like(harmonics, memory_format=torch.contiguous_format)
        inputs = array(means), array(harmonics), ctx.position, array(radii), array(seen)
        filled = v_means.numpy(), v_harmonics.numpy()
        share(kernels("harmonics").backward, *inputs, array(v_seen), *filled)
        return v_means, v_harmonics, None, None


class _Blend(torch.autograd.Function):
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
        rows = _pad(features, pitch).reshape(-1)
        image = torch.empty((view.height, view.width, pitch))
        left, last = torch.empty((2, view.height, view.width))
        drawn = _flat(image), _flat(left), _flat(last)
        for first, count in passes(pitch):
            share(
                kernels("blend", count).forward,
                *(view.height, view.width, lists.starts, lists.members),
                *(lists.packed, rows, pitch, first),
                *drawn,
            )
        ctx.save_for_backward(conics, opacities, attached, left, last)
        ctx.lists, ctx.view, ctx.rows, ctx.channels = lists, view, rows, channels
        return image[..., :channels], left

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        v_image, v_left = grad_outputs
        conics, opacities, attached, left, last = ctx.saved_tensors
        lists: Lists = ctx.lists
        view: View = ctx.view
        total, pitch = len(conics), padded(ctx.channels)
        sums = [torch.zeros(total, width) for width in (2, 3, 1, pitch)]
        attach = _flat(_pad(attached[None], pitch))
        v_pixels = _flat(_pad(v_image.reshape(-1, ctx.channels), pitch))
        v_behind = _flat(v_left)
        for first, count in passes(pitch):
            loops = kernels("blend", count)
            records = np.empty(len(lists.members) * (MOMENTS + count), np.float32)
            share(
                loops.backward,
                *(view.height, view.width, lists.starts, lists.members, lists.slots),
                *(lists.packed, ctx.rows, attach, pitch, first),
                *(_flat(left), _flat(last), v_pixels, v_behind, records),
            )
            share(
                loops.gather,
                *(lists.slots_before, records, array(conics), array(opacities)),
                *(pitch, first, *(_flat(values) for values in sums)),
            )
            v_behind = np.zeros_like(v_behind)  # the background is behind once
        v_means2d, v_conics, v_opacities, v_features = sums
        v_features = v_features[:, : ctx.channels]
        return v_means2d, v_conics, v_opacities[:, 0], v_features, None, None, None


def _moves(view: View) -> bool:
    asks = view.world_to_camera.requires_grad or view.intrinsics.requires_grad
    return torch.is_grad_enabled() and asks


def _pinhole(view: View) -> tuple[Any, Any, Any]:
    """The camera as the kernels take it: rows of world to camera, lens, bounds of the Jacobian."""
    camera = array(view.world_to_camera)[:3].astype(np.float64)
    lens = [*view.focal_and_centre, view.near, view.blur, view.divide_epsilon]
    return camera, np.array(lens), np.array(view.jacobian_bounds)


def _flat(values: Any) -> Any:
    return array(torch.as_tensor(values)).reshape(-1)


def _pad(rows: Tensor, channels: int) -> Any:
    """Rows with zeros behind, up to so many channels."""
    missing = channels - rows.shape[1]
    return array(torch.nn.functional.pad(rows.detach(), (0, missing)) if missing else rows)
