"""What a camera sees of a scene with materials, before any light: maps to be shaded.

Attributes are blended by the rasteriser and divided by alpha, so that a pixel at an outline has the
material of the thing and not a darker one. Maps are [height, width, channels].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.shading import reference
from fovea.relight.shading.pixels import Pixels
from fovea.relight.surface.rays import Tracer
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import Footprint, rasterize

MATERIALS = ("normal", "albedo", "roughness", "metallic")
LEAST_ALPHA = 1e-4
REACH = 0.1
"""How near the surface a point must be to be moved onto it, in diagonals of its box; depths of
glossy things and between two things are wrong by much."""
GRAZING = 0.02
"""Least cosine to the eye: what a pixel shows cannot face away from it."""


@dataclass(frozen=True)
class GBuffer(Pixels):
    """The maps of one view; normals face the eye.

    Attributes:
        alpha: coverage.
        depth: along the optical axis; 0 where nothing is.
    """

    alpha: Float[Tensor, "h w"]
    depth: Float[Tensor, "h w"]


def gbuffer(
    gaussians: Gaussians,
    camera: Camera,
    *,
    tracer: Tracer | None = None,
    footprint: Footprint = "exact",
) -> GBuffer:
    """Draw the maps. Gradients reach the materials, not the geometry.

    Args:
        gaussians: with the extras normal, albedo, roughness and metallic.
        camera: the view.
        tracer: of the surface; what lies near it takes its place and its normal, which are
            smoother than those of the Gaussians, and in front of which nothing else can hide.
        footprint: `reference` gives the maps that the published system shades when it renders:
            not divided by alpha, and with its padding of half empty pixels.
    """
    if footprint == "reference":
        return _published(gaussians, camera)
    extras = torch.cat([gaussians.extras[name] for name in MATERIALS], dim=1)
    raster = rasterize(
        gaussians,
        camera,
        features=extras.new_zeros((len(gaussians), 0)),
        passengers=extras,
    )
    alpha = raster.alpha.detach()
    blended = raster.passengers / alpha.unsqueeze(-1).clamp_min(LEAST_ALPHA)
    normals, albedo, roughness, metallic = blended.split([3, 3, 1, 1], dim=-1)
    rays = camera.directions(unit=False).to(blended)
    points = camera.position.to(rays) + rays * raster.depth.detach().unsqueeze(-1)
    view = -functional.normalize(rays, dim=-1)
    normals = normals.detach()
    if tracer is not None:
        points, normals = _on_surface(points, normals, view, alpha, tracer)
    return GBuffer(
        points=points,
        normals=facing(normals, view),
        view=view,
        albedo=albedo.clamp(0, 1),
        roughness=roughness.clamp(0, 1),
        metallic=metallic.clamp(0, 1),
        alpha=alpha,
        depth=raster.depth.detach(),
    )


def _on_surface(
    points: Tensor, normals: Tensor, view: Tensor, alpha: Tensor, tracer: Tracer
) -> tuple[Tensor, Tensor]:
    """Points moved along their rays onto the surface, with its normals, where it is near."""
    low, high = tracer.mesh.bounds
    reach = REACH * float(np.linalg.norm(high - low))
    drawn = (alpha > LEAST_ALPHA).reshape(-1)
    starts = (points + reach * view).reshape(-1, 3)[drawn]
    along = -view.reshape(-1, 3)[drawn]
    hits = tracer.hit(starts.cpu().numpy(), along.cpu().numpy(), far=2 * reach)
    found = torch.from_numpy(hits.found).to(points.device)
    distance = torch.from_numpy(np.where(hits.found, hits.distance, 0)).to(points)
    on_mesh = torch.from_numpy(hits.interpolate(tracer.mesh, tracer.mesh.normals)).to(points)
    own_points, own_normals = points.reshape(-1, 3).clone(), normals.reshape(-1, 3).clone()
    near = drawn.nonzero().squeeze(1)[found]
    own_points[near] = (starts + distance.unsqueeze(-1) * along)[found]
    own_normals[near] = on_mesh[found]
    return own_points.reshape(points.shape), own_normals.reshape(normals.shape)


def facing(
    normals: Float[Tensor, "*batch 3"], view: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Normals of length 1, bent towards the eye where they face away from it; 0 stays 0."""
    unit = functional.normalize(normals, dim=-1)
    cosine = (unit * view).sum(dim=-1, keepdim=True)
    bent = functional.normalize(unit + (GRAZING - cosine) * view, dim=-1)
    bent = torch.where(cosine < GRAZING, bent, unit)
    return torch.where((unit != 0).any(dim=-1, keepdim=True), bent, 0)


def _published(gaussians: Gaussians, camera: Camera) -> GBuffer:
    drawn = reference.draw(gaussians, camera)
    pixels = reference.surface(drawn, camera, is_training=False)
    return GBuffer(
        points=pixels.points,
        normals=pixels.normals,
        view=pixels.view,
        albedo=pixels.albedo,
        roughness=pixels.roughness,
        metallic=pixels.metallic,
        alpha=drawn.alpha.detach() * pixels.mask.squeeze(-1),
        depth=drawn.depth.detach(),
    )
