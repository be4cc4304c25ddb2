"""The terms of the fit's loss.

Images are [height, width, channels]. A mean runs over everything that is there, pixels and channels
alike.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fovea.metrics.image import ssim
from fovea.relight.stages import LossConfig


def photometric(
    rendering: Float[Tensor, "h w 3"], photograph: Float[Tensor, "h w 3"], *, ssim_share: float
) -> Float[Tensor, ""]:
    """(1 - share) * L1 + share * (1 - SSIM)."""
    l1 = functional.l1_loss(rendering, photograph)
    if ssim_share == 0:
        return l1
    return (1 - ssim_share) * l1 + ssim_share * (1 - ssim(rendering, photograph))


def normal_l1(
    normals: Float[Tensor, "h w 3"],
    depth_normals: Float[Tensor, "h w 3"],
    valid: Bool[Tensor, "h w"],
) -> Float[Tensor, ""]:
    """Mean absolute difference where the depth map has a normal; 0 where it has none at all."""
    weights = valid.unsqueeze(-1).to(normals)
    total = ((normals - depth_normals).abs() * weights).sum()
    return total / (3 * weights.sum()).clamp_min(1)


def all_components_differ_from_zero(normals: Float[Tensor, "h w 3"]) -> Bool[Tensor, "h w"]:
    """The reference's test of a depth normal; it drops those that lie in a coordinate plane."""
    return (normals != 0).all(dim=-1)


def edge_aware_tv(
    prediction: Float[Tensor, "h w c"],
    guide: Float[Tensor, "h w g"],
    *,
    pool: int = 1,
    steps: int = 1,
) -> Float[Tensor, ""]:
    """Squared differences of neighbours, weighted by exp(-mean |difference of the guide|).

    Args:
        prediction: what should be smooth.
        guide: where this is not smooth, the prediction need not be.
        pool: both are averaged over blocks of this many px first.
        steps: neighbours up to this many px away are compared.

    Source: Liang et al., "GS-IR" (CVPR 2024), the smoothness of normals and materials.
    """
    if pool > 1:
        prediction, guide = _pooled(prediction, pool), _pooled(guide, pool)
    total = prediction.new_zeros(())
    for step in range(1, steps + 1):
        for axis in (0, 1):
            weights = torch.exp(-_difference(guide, axis, step).abs().mean(dim=-1, keepdim=True))
            total = total + (_difference(prediction, axis, step).square() * weights).mean()
    return total


def edge_weights(guide: Float[Tensor, "h w g"]) -> tuple[Tensor, Tensor]:
    """The weights of `edge_aware_tv` along y and along x; constant for a photograph."""
    down, right = (_difference(guide, axis, 1).abs().mean(dim=-1, keepdim=True) for axis in (0, 1))
    return torch.exp(-down), torch.exp(-right)


def _difference(values: Tensor, axis: int, step: int) -> Tensor:
    length = values.shape[axis] - step
    return values.narrow(axis, step, length) - values.narrow(axis, 0, length)


def _pooled(values: Tensor, size: int) -> Tensor:
    planes = values.permute(2, 0, 1).unsqueeze(0)
    return functional.avg_pool2d(planes, size).squeeze(0).permute(1, 2, 0)


def stage_one(
    rendering: Float[Tensor, "h w 3"],
    photograph: Float[Tensor, "h w 3"],
    normals: Float[Tensor, "h w 3"],
    depth_normals: Float[Tensor, "h w 3"],
    valid: Bool[Tensor, "h w"],
    weights: LossConfig,
) -> Float[Tensor, ""]:
    """The whole loss of the first stage: colour, and normals that fit the depth and are smooth."""
    return (
        photometric(rendering, photograph, ssim_share=weights.ssim)
        + weights.normal * normal_l1(normals, depth_normals, valid)
        + weights.normal_tv * edge_aware_tv(normals, photograph)
    )
