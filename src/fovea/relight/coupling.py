"""What makes the Gaussians lie in a surface: depth and normals that move the geometry.

Colours alone do not: a glossy ball is photographed just as well by Gaussians deep inside it, seen
through a veil. Three terms say otherwise. The shortest axis of each Gaussian points where the depth
map does; the depths of what a pixel sees are close together; and Gaussians are thin.

Source: Huang et al., "2D Gaussian Splatting" (2024), normal consistency; the spread of depths is
    the variance along a ray, which any rasteriser can blend, in place of their pairwise distortion.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.normals import depth_to_normals
from fovea.relight.settings.fit import LossConfig
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians, rotations

CHANNELS = 5
SOLID = 0.5
"""Alpha above which a pixel shows a surface."""
NEAREST = 0.2
"""Depth of the rasteriser's near plane."""


def carried(gaussians: Gaussians, camera: Camera) -> Float[Tensor, "N 5"]:
    """What is blended beside the colours: the shortest axis, turned to the camera, and two moments.

    The moments are of the z-depth, counted from the mean depth of all Gaussians so that their
    difference keeps its digits.
    """
    axes = rotations(gaussians.quats)
    shortest = gaussians.scales.argmin(dim=1)
    normals = axes[torch.arange(len(gaussians), device=shortest.device), :, shortest]
    towards = camera.position.to(gaussians.means) - gaussians.means
    normals = torch.where((normals * towards).sum(dim=-1, keepdim=True) < 0, -normals, normals)
    world_to_camera = camera.world_to_camera.to(gaussians.means)
    depths = gaussians.means @ world_to_camera[2, :3]
    depths = (depths - depths.detach().mean()).unsqueeze(-1)
    return torch.cat([normals, depths, depths.square()], dim=1)


def coupling_loss(
    blended: Float[Tensor, "h w 5"],
    alpha: Float[Tensor, "h w"],
    depth: Float[Tensor, "h w"],
    gaussians: Gaussians,
    camera: Camera,
    weights: LossConfig,
) -> Float[Tensor, ""]:
    """The sum of the three terms, weighted; lengths count in units of their depth.

    The scene's radius would not do as a unit: it is that of the cameras' ring, and a place seen
    from a short walk is many times as deep.
    """
    normals, first, second = blended.split([3, 1, 1], dim=-1)
    seen, valid = depth_to_normals(depth, camera, median=False)
    on_surface = valid & (alpha.detach() > SOLID)
    disagreement = ((1 - (normals * seen).sum(dim=-1)) * on_surface).mean()
    variance = second - first.square() / alpha.unsqueeze(-1).clamp_min(1e-6)
    unit = depth.detach().clamp_min(NEAREST).unsqueeze(-1)
    spread = (variance.clamp_min(0) / unit.square()).mean()
    world_to_camera = camera.world_to_camera.to(gaussians.means)
    away = gaussians.means.detach() @ world_to_camera[2, :3] + world_to_camera[2, 3]
    is_before = away > NEAREST
    thin = gaussians.scales.min(dim=1).values / away.clamp_min(NEAREST)
    thickness = (thin * is_before).sum() / is_before.sum().clamp_min(1)
    return weights.axes * disagreement + weights.spread * spread + weights.thickness * thickness
