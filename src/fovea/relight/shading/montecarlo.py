"""Light added up over sampled directions, with what stands in its way.

Three samplers share the directions of a point: by the light's power, by the cosine, and by the lobe
of the surface. Each draws on its own even grid with jitter, and the balance heuristic weighs them:
a direction counts as if one sampler had the sum of their densities. Nothing is differentiated
through the choice of directions. `B` points, `S` directions each.

Source: Veach and Guibas, "Optimally Combining Sampling Techniques for Monte Carlo Rendering"
    (1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.light.environment import DirectionSampler
from fovea.relight.shading import brdf
from fovea.relight.surface.rays import Tracer

LightAt = Callable[[Tensor], Tensor]
"""Radiance from unit directions of the world, [..., 3] -> [..., 3]."""

LIFT = 0.5
"""How far off the surface rays start, in edges of its triangles."""
LEAST_DENSITY = 1e-4


class Counts(NamedTuple):
    """How many directions each sampler draws for a point."""

    light: int
    cosine: int
    lobe: int

    @classmethod
    def of(cls, total: int) -> Counts:
        """Half of them towards the light, a quarter each by the cosine and the lobe."""
        light, cosine = max(1, total // 2), max(1, total // 4)
        return cls(light, cosine, max(1, total - light - cosine))


class Surroundings(Protocol):
    """What may stand between a point and the light."""

    def seen(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"]
    ) -> tuple[Float[Tensor, "R 1"], Float[Tensor, "R 3"]]:
        """Whether the light is seen, 0 or 1, and the radiance that comes from elsewhere."""
        ...


class MeshSurroundings:
    """A surface whose vertices give off light of their own, the same in all directions.

    Args:
        tracer: of the surface.
        radiance: of its vertices, linear; None where what is hit is black.
    """

    def __init__(self, tracer: Tracer, radiance: Float[np.ndarray, "V 3"] | None = None) -> None:
        self.tracer = tracer
        self.radiance = radiance
        self.lift = LIFT * tracer.mesh.edge

    def seen(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"]
    ) -> tuple[Float[Tensor, "R 1"], Float[Tensor, "R 3"]]:
        """Whether the light is seen, and what the surface gives where it is not."""
        starts, along = (values.detach().cpu().numpy() for values in (origins, directions))
        if self.radiance is None:
            hidden = torch.from_numpy(self.tracer.occluded(starts, along, near=self.lift))
            return 1 - hidden.to(origins).unsqueeze(-1), torch.zeros_like(origins)
        hits = self.tracer.hit(starts, along, near=self.lift)
        given = torch.from_numpy(hits.interpolate(self.tracer.mesh, self.radiance))
        open_sky = torch.from_numpy(~hits.found).to(origins).unsqueeze(-1)
        return open_sky, given.to(origins)


class Arriving(NamedTuple):
    """Directions of points, what comes from there, and one over the density of the directions."""

    directions: Float[Tensor, "B S 3"]
    open_sky: Float[Tensor, "B S 1"]
    elsewhere: Float[Tensor, "B S 3"]
    weights: Float[Tensor, "B S 1"]


@torch.no_grad()
def draw(
    points: Float[Tensor, "B 3"],
    normals: Float[Tensor, "B 3"],
    view: Float[Tensor, "B 3"],
    roughness: Float[Tensor, "B 1"],
    *,
    sampler: DirectionSampler,
    counts: Counts,
    surroundings: Surroundings | None,
    random: torch.Generator,
) -> Arriving:
    """Draw directions and look along them. Those below the horizon weigh nothing."""
    n, v, r = normals.unsqueeze(1), view.unsqueeze(1), roughness.unsqueeze(1)
    drawn: list[Tensor] = []
    if counts.light:
        drawn.append(sampler.sample(stratified(len(points), counts.light, random, like=points))[0])
    if counts.cosine:
        uniforms = stratified(len(points), counts.cosine, random, like=points)
        drawn.append(cosine_directions(normals, uniforms))
    if counts.lobe:
        uniforms = stratified(len(points), counts.lobe, random, like=points)
        drawn.append(brdf.sample_ggx(n, v, r, uniforms)[0])
    directions = functional.normalize(torch.cat(drawn, dim=1), dim=-1)
    n_dot_l = (directions * n).sum(dim=-1)
    density = torch.zeros_like(n_dot_l)
    if counts.light:
        density += counts.light * sampler.pdf(directions)
    if counts.cosine:
        density += counts.cosine * n_dot_l.clamp_min(0) / math.pi
    if counts.lobe:
        density += counts.lobe * brdf.pdf_ggx(n, v, directions, r)
    is_up = n_dot_l > 0
    weights = torch.where(is_up, 1 / density.clamp_min(LEAST_DENSITY), 0).unsqueeze(-1)
    open_sky, elsewhere = torch.ones_like(weights), torch.zeros_like(directions)
    if surroundings is not None:
        origins = points.unsqueeze(1).expand_as(directions)[is_up]
        open_sky[is_up], elsewhere[is_up] = surroundings.seen(origins, directions[is_up])
    return Arriving(directions, open_sky, elsewhere, weights)


def reflected(
    arriving: Arriving,
    light_at: LightAt,
    *,
    normals: Float[Tensor, "B 3"],
    view: Float[Tensor, "B 3"],
    albedo: Float[Tensor, "B 3"],
    roughness: Float[Tensor, "B 1"],
    metallic: Float[Tensor, "B 1"],
) -> Float[Tensor, "B 3"]:
    """The radiance that goes to the eye; differentiable in the materials and the light."""
    coming = light_at(arriving.directions) * arriving.open_sky + arriving.elsewhere
    response = brdf.evaluate(
        normals.unsqueeze(1),
        view.unsqueeze(1),
        arriving.directions,
        albedo.unsqueeze(1),
        roughness.unsqueeze(1),
        metallic.unsqueeze(1),
    )
    return (response * coming * arriving.weights).sum(dim=1)


def irradiance(
    arriving: Arriving, light_at: LightAt, normals: Float[Tensor, "B 3"]
) -> Float[Tensor, "B 3"]:
    """What falls on the points, radiance times cosine over the hemisphere."""
    coming = light_at(arriving.directions) * arriving.open_sky + arriving.elsewhere
    cosine = (arriving.directions * normals.unsqueeze(1)).sum(dim=-1, keepdim=True).clamp_min(0)
    return (coming * cosine * arriving.weights).sum(dim=1)


def stratified(
    points: int, count: int, random: torch.Generator, *, like: Tensor
) -> Float[Tensor, "{points} {count} 2"]:
    """Uniform numbers in 0..1, one in each cell of a grid that is about square.

    All cells have one size: a last row that is not full is as much lower as it has fewer.
    """
    columns = math.isqrt(count)
    number = torch.arange(count)
    before = number - number % columns
    in_row = (count - before).clamp_max(columns)
    across, up = torch.rand(points, count, 2, generator=random).unbind(-1)
    across, up = (number - before + across) / in_row, (before + up * in_row) / count
    uniforms = torch.stack([across, up], dim=-1)
    return uniforms.clamp(0, 1 - 1e-6).to(like)


def cosine_directions(
    normals: Float[Tensor, "B 3"], uniforms: Float[Tensor, "B S 2"]
) -> Float[Tensor, "B S 3"]:
    """Directions about the normals with density cosine over pi."""
    tangents, bitangents = (axis.unsqueeze(1) for axis in brdf.frame(normals))
    radius, phi = uniforms[..., :1].sqrt(), 2 * math.pi * uniforms[..., 1:]
    up = (1 - uniforms[..., :1]).sqrt() * normals.unsqueeze(1)
    return radius * phi.cos() * tangents + radius * phi.sin() * bitangents + up
