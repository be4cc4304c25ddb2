"""A view's maps under a light: the one place where films, scores and exports are shaded.

The corrected way knows what stands in the light's way. Diffuse light is added up once for every
vertex of the surface, by Monte Carlo with shadows and one bounce after the other, and looked up by
the pixels. Glossy light is the split sum of the blurred environment, hidden where rays of its lobe
meet the surface, and replaced there by what they meet. `shading="monte-carlo"` adds everything up
for each pixel on its own: slower, noisier, without the split sum's guess. Without a surface nothing
is hidden; `mode="reference"` is the published way, which hides nothing either.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.gbuffer import GBuffer
from fovea.relight.light import cubemap as cube
from fovea.relight.light.environment import DirectionSampler, Environment
from fovea.relight.light.prefilter import Prefilter, level_of
from fovea.relight.shading import brdf, montecarlo, table
from fovea.relight.shading.montecarlo import Counts, LightAt, MeshSurroundings
from fovea.relight.shading.split_sum import BlurredLight, shade_linear
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.surface.smoothing import among_neighbours

Mode = Literal["corrected", "reference"]
Shading = Literal["split-sum", "monte-carlo"]

RES = 128
"""Of the cubemap that glossy light is looked up in."""
REFERENCE_RES = 256
BOUNCES = 2
LOBE_RAYS = 8
AT_ONCE = 8192
"""Points in memory at a time, times their directions."""
LEAST_COVERAGE = 1e-3


class Relighter:
    """A light on a scene.

    Args:
        environment: the light.
        tracer: rays against the surface; None where nothing casts shadows. Light is passed on by
            its vertices where they have an `albedo` (linear) and `metallic`, as relight.decompose
            gives them.
        samples: directions for each vertex, or for each pixel with `shading="monte-carlo"`.
        mode: `reference` shades as published.
        shading: how glossy light is found.
        seed: of the directions; the same seed gives the same picture.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        tracer: Tracer | None = None,
        samples: int = 64,
        mode: Mode = "corrected",
        shading: Shading = "split-sum",
        seed: int = 0,
    ) -> None:
        self.environment = environment
        self.tracer = tracer
        self.mode: Mode = mode
        self.shading: Shading = shading
        self.counts = Counts.of(samples)
        self._seed = seed

    @torch.no_grad()
    def shade(self, buffer: GBuffer) -> Float[Tensor, "h w 3"]:
        """The view's linear radiance, multiplied by alpha; black where nothing is."""
        alpha = buffer.alpha.unsqueeze(-1)
        if self.mode == "reference":
            return self._published(buffer) * alpha
        image = torch.zeros_like(buffer.points)
        covered = (buffer.alpha > LEAST_COVERAGE) & (buffer.normals != 0).any(dim=-1)
        pixels = covered.reshape(-1).nonzero().squeeze(1)
        random = torch.Generator().manual_seed(self._seed)
        flat = image.reshape(-1, 3)
        for some in pixels.split(AT_ONCE):
            flat[some] = self._shaded(_Pixels(buffer, some), random)
        return image * alpha

    def _shaded(self, pixels: _Pixels, random: torch.Generator) -> Tensor:
        if self.shading == "split-sum":
            diffuse = pixels.albedo * (1 - pixels.metallic) / math.pi * self._falling(pixels)
            return diffuse + self._glossy(pixels, random)
        arriving = montecarlo.draw(
            pixels.points,
            pixels.normals,
            pixels.view,
            pixels.roughness,
            sampler=self.sampler,
            counts=self.counts,
            surroundings=self.surroundings,
            random=random,
        )
        return montecarlo.reflected(
            arriving,
            self.environment.radiance_at,
            normals=pixels.normals,
            view=pixels.view,
            albedo=pixels.albedo,
            roughness=pixels.roughness,
            metallic=pixels.metallic,
        )

    def _published(self, buffer: GBuffer) -> Tensor:
        return shade_linear(
            self.blurred,
            self._table,
            normals=buffer.normals,
            view=buffer.view,
            albedo=buffer.albedo,
            roughness=buffer.roughness,
            metallic=buffer.metallic,
        ).color

    def _falling(self, pixels: _Pixels) -> Tensor:
        """The irradiance of pixels: that of the surface where they lie on it."""
        unhidden = cube.sample(self.blurred.diffuse, pixels.normals) * math.pi
        if self.tracer is None or self.surroundings is None:
            return unhidden
        reach = 2 * self.surroundings.lift
        starts = (pixels.points + reach * pixels.view).cpu().numpy()
        hits = self.tracer.hit(starts, (-pixels.view).cpu().numpy(), far=2 * reach)
        found = torch.from_numpy(hits.found).to(unhidden.device).unsqueeze(-1)
        at_vertices = hits.interpolate(self.tracer.mesh, self.irradiance.numpy())
        return torch.where(found, torch.from_numpy(at_vertices).to(unhidden), unhidden)

    def _glossy(self, pixels: _Pixels, random: torch.Generator) -> Tensor:
        n_dot_v = (pixels.normals * pixels.view).sum(dim=-1, keepdim=True).clamp_min(0)
        mirrored = 2 * n_dot_v * pixels.normals - pixels.view
        level = level_of(pixels.roughness.squeeze(-1), len(self.blurred.specular))
        coming = cube.sample_mips(self.blurred.specular, mirrored, level)
        if self.surroundings is not None:
            lobe = montecarlo.draw(
                pixels.points,
                pixels.normals,
                pixels.view,
                pixels.roughness,
                sampler=self.sampler,
                counts=Counts(0, 0, LOBE_RAYS),
                surroundings=self.surroundings,
                random=random,
            )
            above = (lobe.weights > 0).to(coming)
            total = above.sum(dim=1).clamp_min(1)
            coming = coming * (lobe.open_sky * above).sum(dim=1) / total
            coming = coming + (lobe.elsewhere * above).sum(dim=1) / total
        found = table.lookup(self._table, n_dot_v.squeeze(-1), pixels.roughness.squeeze(-1))
        scale, bias = found.split(1, dim=-1)
        return coming * (brdf.specular_f0(pixels.albedo, pixels.metallic) * scale + bias)

    @cached_property
    def sampler(self) -> DirectionSampler:
        """Draws directions by the light's power."""
        return self.environment.importance()

    @cached_property
    def blurred(self) -> BlurredLight:
        """The light as rough surfaces see it, in world axes."""
        res = REFERENCE_RES if self.mode == "reference" else RES
        cubemap = self.environment.to_world_cubemap(res, mode=self.mode)
        return BlurredLight(*Prefilter(res, self.mode)(cubemap))

    @cached_property
    def _table(self) -> Tensor:
        return table.table(device=self.environment.radiance.device)

    @cached_property
    def surroundings(self) -> MeshSurroundings | None:
        """The surface, giving off what it reflects of this light."""
        return None if self.tracer is None else MeshSurroundings(self.tracer, self._passed_on[0])

    @property
    def irradiance(self) -> Float[Tensor, "V 3"]:
        """What falls on the vertices of the surface, with what they pass on to each other."""
        return self._passed_on[1]

    @cached_property
    def _passed_on(self) -> tuple[np.ndarray | None, Tensor]:
        """The radiance of the vertices and the irradiance, after a few bounces."""
        assert self.tracer is not None, "asked for where there is a surface"
        mesh = self.tracer.mesh
        reflectance = diffuse_reflectance(mesh)
        given: np.ndarray | None = None
        falling = torch.zeros(mesh.vertices.shape)
        for _ in range(1 if reflectance is None else BOUNCES):
            falling = vertex_irradiance(
                mesh,
                MeshSurroundings(self.tracer, given),
                self.environment.radiance_at,
                self.sampler,
                counts=Counts(self.counts.light, self.counts.cosine + self.counts.lobe, 0),
                seed=self._seed,
            )
            if reflectance is not None:
                given = (falling.numpy() * reflectance / math.pi).astype(np.float32)
        return given, falling


class _Pixels:
    """Some pixels of a buffer, in rows."""

    def __init__(self, buffer: GBuffer, some: Tensor) -> None:
        self.points = buffer.points.reshape(-1, 3)[some]
        self.normals = buffer.normals.reshape(-1, 3)[some]
        self.view = buffer.view.reshape(-1, 3)[some]
        self.albedo = buffer.albedo.reshape(-1, 3)[some]
        self.roughness = buffer.roughness.reshape(-1, 1)[some]
        self.metallic = buffer.metallic.reshape(-1, 1)[some]


def diffuse_reflectance(mesh: Mesh) -> Float[np.ndarray, "V 3"] | None:
    """The share of light that vertices scatter, or None where the mesh has no materials."""
    if "albedo" not in mesh.extras:
        return None
    metallic = mesh.extras.get("metallic", np.zeros((len(mesh.vertices), 1), np.float32))
    return mesh.extras["albedo"] * (1 - metallic.reshape(-1, 1))


@torch.no_grad()
def vertex_irradiance(
    mesh: Mesh,
    surroundings: MeshSurroundings,
    light_at: LightAt,
    sampler: DirectionSampler,
    *,
    counts: Counts,
    seed: int = 0,
) -> Float[Tensor, "V 3"]:
    """What falls on each vertex of a mesh, by Monte Carlo."""
    random = torch.Generator().manual_seed(seed)
    points, normals = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.normals)
    falling = torch.zeros_like(points)
    for some in torch.arange(len(points)).split(AT_ONCE):
        here, up = points[some], normals[some]
        arriving = montecarlo.draw(
            here,
            up,
            up,
            torch.ones_like(here[:, :1]),
            sampler=sampler,
            counts=counts,
            surroundings=surroundings,
            random=random,
        )
        falling[some] = montecarlo.irradiance(arriving, light_at, up)
    return torch.from_numpy(among_neighbours(mesh.faces, mesh.normals, falling.numpy()))
