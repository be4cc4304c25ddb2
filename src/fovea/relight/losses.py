"""The terms of the losses: of the fit, and of the decomposition into materials and light.

Images are [height, width, channels]. A mean runs over everything that is there, pixels and channels
alike.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fovea.metrics.image import ssim
from fovea.relight.light import latlong
from fovea.relight.settings.fit import LossConfig


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


def masked_tv(
    prediction: Float[Tensor, "h w c"],
    guide: Float[Tensor, "h w g"],
    mask: Bool[Tensor, "h w"] | Float[Tensor, "h w"],
) -> Float[Tensor, ""]:
    """`edge_aware_tv` over neighbours that both lie in the mask; the mean runs over all pixels."""
    inside = mask.unsqueeze(-1).to(prediction)
    total = prediction.new_zeros(())
    for axis, weights in enumerate(edge_weights(guide)):
        length = prediction.shape[axis] - 1
        both = inside.narrow(axis, 1, length) * inside.narrow(axis, 0, length)
        total = total + ((_difference(prediction, axis, 1) * both).square() * weights).mean()
    return total


def eroded(mask: Bool[Tensor, "h w"], size: int = 7) -> Bool[Tensor, "h w"]:
    """The pixels whose whole neighbourhood lies in the mask; beyond the image counts as inside."""
    outside = (~mask).float().unsqueeze(0)
    return functional.max_pool2d(outside, size, stride=1, padding=size // 2).squeeze(0) == 0


def lambertian(
    roughness: Float[Tensor, "h w"], metallic: Float[Tensor, "h w"], mask: Bool[Tensor, "h w"]
) -> Float[Tensor, ""]:
    """Mean of 1 - roughness plus mean of metallic inside the mask: 0 for rough dielectrics."""
    inside = mask.to(roughness)
    return ((1 - roughness + metallic) * inside).sum() / inside.sum().clamp_min(1)


def map_tv(image: Float[Tensor, "h w c"]) -> Float[Tensor, ""]:
    """Mean squared difference of neighbouring rows plus that of columns, which do not wrap."""
    return sum(
        (_difference(image, axis, 1).square().mean() for axis in (0, 1)), image.new_zeros(())
    )


def light_tv(
    cubemap: Float[Tensor, "6 res res c"], *, mode: Literal["corrected", "reference"] = "corrected"
) -> Float[Tensor, ""]:
    """How rough a light is.

    The reference looks at a map of 512x1024 made from it for every step. `corrected` compares
    neighbours on each face, on the same scale: a difference counts per angle between neighbours.
    """
    if mode == "reference":
        return map_tv(latlong.from_cubemap(cubemap, 512, layout="reference"))
    steps = cubemap.shape[1] / 256
    return steps**2 * torch.stack([map_tv(face) for face in cubemap]).mean()


def stage_two(
    rendering: Float[Tensor, "h w 3"],
    photograph: Float[Tensor, "h w 3"],
    materials: Float[Tensor, "h w 5"],
    mask: Bool[Tensor, "h w"],
    light_roughness: Float[Tensor, ""],
    *,
    material_weight: float = 1.0,
    lambertian_weight: float = 0.001,
    light_weight: float = 0.01,
) -> Float[Tensor, ""]:
    """The whole loss of the second stage as published.

    Args:
        rendering: as it is shown.
        photograph: on black.
        materials: albedo, roughness as it is shaded, metallic.
        mask: where there is a surface.
        light_roughness: `light_tv` of the light.
        material_weight: weight of the materials' smoothness.
        lambertian_weight: weight of the pull to rough dielectrics.
        light_weight: weight of the light's smoothness.
    """
    return (
        functional.l1_loss(rendering, photograph)
        + material_weight * masked_tv(materials, photograph, mask)
        + lambertian_weight * lambertian(materials[..., 3], materials[..., 4], mask)
        + light_weight * light_roughness
    )
