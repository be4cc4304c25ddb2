"""A point light: its fall-off, its shadow, and the surface's answer.

`mode="reference"` keeps the published BRDF of the point-light films, whose half vector is the mean
of light and eye and so is shorter than 1; `reference_unit_half` is the same formula with that
mended. `corrected` shades as everything else here does. The published shadows compare a distance
with a z-depth; `radial_depth` mends that.

Source: Liang et al., "GS-IR" (CVPR 2024), its light demonstrations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.shading import brdf

Mode = Literal["corrected", "reference", "reference_unit_half"]


@dataclass(frozen=True)
class PointLight:
    """A small lamp that shines evenly to all sides.

    Attributes:
        position: in the world.
        intensity: radiant intensity; what arrives at distance d is intensity / d^2.
    """

    position: Float[Tensor, " 3"]
    intensity: float | Float[Tensor, " 3"] = 100.0


def shade_point(
    light: PointLight,
    *,
    points: Float[Tensor, "*batch 3"],
    normals: Float[Tensor, "*batch 3"],
    view: Float[Tensor, "*batch 3"],
    albedo: Float[Tensor, "*batch 3"],
    roughness: Float[Tensor, "*batch 1"],
    metallic: Float[Tensor, "*batch 1"] | None = None,
    shadow: Bool[Tensor, "*batch 1"] | Float[Tensor, "*batch 1"] | None = None,
    shadow_strength: float = 1.0,
    mode: Mode = "corrected",
) -> Float[Tensor, "*batch 3"]:
    """Linear radiance towards the eye.

    Args:
        light: the lamp.
        points: of the surface, in the world.
        normals: unit.
        view: unit, towards the eye.
        albedo: linear, 0..1.
        roughness: as it is shaded.
        metallic: None for dielectrics throughout.
        shadow: 1 where the lamp is hidden; None where it is seen from everywhere.
        shadow_strength: what share of the light a shadow takes; the reference's films leave 0.3
            or 0.2.
        mode: whose BRDF.
    """
    way = light.position.to(points) - points
    distance = way.norm(dim=-1, keepdim=True)
    light_dirs = way / distance
    arriving = torch.as_tensor(light.intensity).to(points) / distance.square()
    if mode == "corrected":
        metal = torch.zeros_like(roughness) if metallic is None else metallic
        response = brdf.evaluate(normals, view, light_dirs, albedo, roughness, metal)
    else:
        half = (light_dirs + view) / 2
        if mode == "reference_unit_half":
            half = functional.normalize(half, dim=-1)
        response = _published(normals, view, light_dirs, half, albedo, roughness, metallic)
    color = response * arriving
    return color if shadow is None else color * (1 - shadow_strength * shadow.to(color))


def radial_depth(
    z_depth: Float[Tensor, "6 res res"], directions: Float[Tensor, "6 res res 3"]
) -> Float[Tensor, "6 res res"]:
    """The distances of a cube of z-depths: times the length of each texel's ray."""
    return z_depth / directions.abs().amax(dim=-1)


def in_shadow(
    distance: Float[Tensor, "*batch"], nearest: Float[Tensor, "*batch"], *, bias: float
) -> Bool[Tensor, "*batch"]:
    """Whether something stands between lamp and surface.

    Args:
        distance: of the surface from the lamp.
        nearest: of what the lamp sees in that direction; 0 where it sees nothing.
        bias: by how much the surface may lie behind it, in world units.
    """
    return (nearest > 0) & (distance - bias > nearest)


def _published(
    normals: Tensor,
    view: Tensor,
    light_dirs: Tensor,
    half: Tensor,
    albedo: Tensor,
    roughness: Tensor,
    metallic: Tensor | None,
) -> Tensor:
    n_dot_l, n_dot_v = (_cosine(normals, other) for other in (light_dirs, view))
    facets = brdf.d_ggx(_cosine(normals, half), roughness.square())
    k = (roughness + 1).square() / 8
    masking = _schlick_ggx(n_dot_l, k) * _schlick_ggx(n_dot_v, k)
    if metallic is None:
        f0 = torch.full_like(albedo, brdf.DIELECTRIC_F0)
    else:
        f0 = brdf.specular_f0(albedo, metallic)
    fresnel = brdf.fresnel_schlick(f0, _cosine(half, view))
    specular = facets * masking * fresnel / (4 * n_dot_v * n_dot_l + 1e-4)
    diffuse = 1 - fresnel if metallic is None else (1 - fresnel) * (1 - metallic)
    return (diffuse * albedo / math.pi + specular) * n_dot_l


def _schlick_ggx(cosine: Tensor, k: Tensor) -> Tensor:
    return cosine / (cosine * (1 - k) + k)


def _cosine(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=-1, keepdim=True).clamp_min(0)
