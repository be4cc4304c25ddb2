"""The surface: GGX with height-correlated Smith shadowing over a Lambertian base.

Directions are unit and point away from the surface, `[..., 3]`: `normals`, `view` to the eye,
`light_dirs` to the light. `alpha = roughness^2` everywhere. `n_dot_l` and its like are cosines.
F0, the reflectance at normal incidence, is 0.04 for dielectrics and the albedo for metals.

Source: Walter et al., "Microfacet Models for Refraction" (2007); Heitz, "Understanding the
Masking-Shadowing Function" (2014); Dupuy and Benyoub, "Sampling Visible GGX Normals with Spherical
Caps" (2023).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.shading.table import lookup, table

__all__ = [
    "DIELECTRIC_F0",
    "d_ggx",
    "evaluate",
    "frame",
    "fresnel_schlick",
    "ggx_samples",
    "hammersley",
    "lookup",
    "pdf_ggx",
    "sample_cosine",
    "sample_ggx",
    "smith_visibility",
    "specular_f0",
    "table",
]

DIELECTRIC_F0 = 0.04
LEAST_ALPHA = 1e-4
"""A mirror's lobe has no density; this is where roughness stops."""


def d_ggx(
    n_dot_h: Float[Tensor, "*batch"], alpha: Float[Tensor, "*batch"] | float
) -> Float[Tensor, "*batch"]:
    """The density of microfacets, a2 / (pi ((n.h)^2 (a2 - 1) + 1)^2)."""
    a2 = alpha * alpha
    return a2 / (math.pi * (n_dot_h.square() * (a2 - 1) + 1).square())


def smith_visibility(
    n_dot_l: Float[Tensor, "*batch"],
    n_dot_v: Float[Tensor, "*batch"],
    alpha: Float[Tensor, "*batch"] | float,
) -> Float[Tensor, "*batch"]:
    """Height-correlated Smith shadowing and masking, divided by 4 n.l n.v."""
    a2 = alpha * alpha
    towards_light = n_dot_l * (n_dot_v.square() * (1 - a2) + a2).sqrt()
    towards_eye = n_dot_v * (n_dot_l.square() * (1 - a2) + a2).sqrt()
    return 0.5 / (towards_light + towards_eye).clamp_min(1e-12)


def fresnel_schlick(
    f0: Float[Tensor, "*batch c"], v_dot_h: Float[Tensor, "*batch 1"]
) -> Float[Tensor, "*batch c"]:
    """F0 + (1 - F0) (1 - v.h)^5."""
    return f0 + (1 - f0) * (1 - v_dot_h).clamp(0, 1) ** 5


def specular_f0(
    albedo: Float[Tensor, "*batch 3"], metallic: Float[Tensor, "*batch 1"] | float
) -> Float[Tensor, "*batch 3"]:
    """The reflectance at normal incidence: 0.04 for a dielectric, the albedo for a metal."""
    return DIELECTRIC_F0 * (1 - metallic) + albedo * metallic


def evaluate(
    normals: Float[Tensor, "*#batch 3"],
    view: Float[Tensor, "*#batch 3"],
    light_dirs: Float[Tensor, "*#batch 3"],
    albedo: Float[Tensor, "*#batch 3"],
    roughness: Float[Tensor, "*#batch 1"],
    metallic: Float[Tensor, "*#batch 1"],
) -> Float[Tensor, "*batch 3"]:
    """The BRDF times n.l: what share of the light of one direction goes to the eye, per steradian.

    f = (1 - m) albedo / pi + D Vis F. Zero below the horizon of either direction. Batches
    broadcast, so that many `light_dirs` meet one pixel. Differentiable in everything.
    """
    n_dot_l, n_dot_v = _dot(normals, light_dirs), _dot(normals, view)
    is_seen = (n_dot_l > 0) & (n_dot_v > 0)
    specular = _specular(normals, view, light_dirs, specular_f0(albedo, metallic), roughness)
    response = albedo * (1 - metallic) / math.pi + specular
    return torch.where(is_seen, response * n_dot_l, 0)


def sample_ggx(
    normals: Float[Tensor, "*#batch 3"],
    view: Float[Tensor, "*#batch 3"],
    roughness: Float[Tensor, "*#batch 1"],
    uniforms: Float[Tensor, "*#batch 2"],
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch"]]:
    """Directions to the light in proportion to the facets that the eye sees, and their densities.

    Densities are per steradian over the whole sphere; a share of the directions lies below the
    horizon, where the BRDF is zero. Uniform numbers in 0..1 are mapped without folds, so that
    stratified ones stay stratified.
    """
    shape = torch.broadcast_shapes(normals.shape, view.shape, (*uniforms.shape[:-1], 3))
    normals, view = normals.expand(shape), view.expand(shape)
    tangents, bitangents = frame(normals)
    alpha = _alpha(roughness)
    eye = torch.cat([_dot(tangents, view), _dot(bitangents, view), _dot(normals, view)], dim=-1)
    eye = torch.cat([eye[..., :2], eye[..., 2:].clamp_min(1e-4)], dim=-1)
    scale = torch.cat([alpha, alpha, torch.ones_like(alpha)], dim=-1)
    stretched = functional.normalize(eye * scale, dim=-1)
    phi = 2 * math.pi * uniforms[..., :1]
    top = stretched[..., 2:]
    z = (1 - uniforms[..., 1:]) * (1 + top) - top
    sine = (1 - z.square()).clamp_min(0).sqrt()
    cap = torch.cat([(sine * phi.cos()), (sine * phi.sin()), z], dim=-1)
    half = functional.normalize((cap + stretched) * scale, dim=-1)
    half = half[..., :1] * tangents + half[..., 1:2] * bitangents + half[..., 2:] * normals
    light_dirs = functional.normalize(2 * _dot(view, half) * half - view, dim=-1)
    return light_dirs, pdf_ggx(normals, view, light_dirs, roughness)


def pdf_ggx(
    normals: Float[Tensor, "*#batch 3"],
    view: Float[Tensor, "*#batch 3"],
    light_dirs: Float[Tensor, "*#batch 3"],
    roughness: Float[Tensor, "*#batch 1"],
) -> Float[Tensor, "*batch"]:
    """The density with which `sample_ggx` draws these directions, per steradian."""
    alpha = _alpha(roughness)
    half = functional.normalize(view + light_dirs, dim=-1)
    n_dot_v = _dot(normals, view).clamp_min(1e-4)
    a2 = alpha.square()
    # G1 D (v.h) / (n.v) is the density of seen facets; a reflection spreads it by 4 (v.h).
    masking = 2 / (n_dot_v + (n_dot_v.square() * (1 - a2) + a2).sqrt())
    n_dot_h = _dot(normals, half)
    pdf = masking * d_ggx(n_dot_h, alpha) / 4
    return torch.where(n_dot_h > 0, pdf, 0).squeeze(-1)


def sample_cosine(
    normals: Float[Tensor, "*#batch 3"], uniforms: Float[Tensor, "*#batch 2"]
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch"]]:
    """Directions about a normal in proportion to their cosine, and their densities n.l / pi."""
    tangents, bitangents = frame(normals)
    phi, cosine = 2 * math.pi * uniforms[..., :1], (1 - uniforms[..., 1:]).sqrt()
    sine = uniforms[..., 1:].sqrt()
    light_dirs = sine * (phi.cos() * tangents + phi.sin() * bitangents) + cosine * normals
    return light_dirs, cosine.squeeze(-1).expand(light_dirs.shape[:-1]) / math.pi


def hammersley(
    count: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Float[Tensor, "{count} 2"]:
    """The point set (k / count, radical inverse of k in base 2): even, and always the same."""
    numbers = torch.arange(count, dtype=torch.long)
    inverse = torch.zeros(count, dtype=torch.float64)
    for bit in range(32):
        inverse += (numbers >> bit & 1) * 2.0 ** -(bit + 1)
    points = torch.stack([numbers.double() / count, inverse], dim=-1)
    return points.to(device=device, dtype=dtype)


def ggx_samples(
    normals: Float[Tensor, "*batch 3"],
    roughness: float,
    *,
    count: int = 256,
    jitter: Float[Tensor, "*batch"] | float = 0.0,
) -> Float[Tensor, "*batch {count} 3"]:
    """The published fixed directions about a normal: GGX half vectors of a Hammersley set.

    With roughness 1 they are spread by the cosine. They are used as directions as they are, without
    a reflection.

    Args:
        normals: unit; a zero normal gives directions that mean nothing.
        roughness: alpha is its square.
        count: directions a normal.
        jitter: turns the set about the normal, in turns.
    """
    points = hammersley(count, dtype=normals.dtype, device=normals.device)
    turns = torch.as_tensor(jitter, dtype=normals.dtype, device=normals.device).unsqueeze(-1)
    phi = (2 * math.pi * (points[:, 0] + turns)).unsqueeze(-1)
    a2 = roughness**4
    cosine = ((1 - points[:, 1]) / (1 + (a2 - 1) * points[:, 1])).sqrt().unsqueeze(-1)
    sine = (1 - cosine.square()).clamp_min(0).sqrt()
    tangents, bitangents = (axis.unsqueeze(-2) for axis in frame(normals))
    around = sine * (phi.cos() * tangents + phi.sin() * bitangents)
    return functional.normalize(around + cosine * normals.unsqueeze(-2), dim=-1)


def frame(
    normals: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3"]]:
    """A tangent and a bitangent: up x n with up = z, or x where the normal is nearly z."""
    is_steep = normals[..., 2:].abs() < 0.999
    up = torch.where(is_steep, normals.new_tensor([0.0, 0, 1]), normals.new_tensor([1.0, 0, 0]))
    tangents = functional.normalize(torch.linalg.cross(up, normals), dim=-1)
    return tangents, torch.linalg.cross(normals, tangents)


def _specular(
    normals: Tensor, view: Tensor, light_dirs: Tensor, f0: Tensor, roughness: Tensor
) -> Tensor:
    alpha = _alpha(roughness)
    half = functional.normalize(view + light_dirs, dim=-1)
    n_dot_l, n_dot_v = (_dot(normals, other).clamp(0, 1) for other in (light_dirs, view))
    facets = d_ggx(_dot(normals, half).clamp(0, 1), alpha)
    visibility = smith_visibility(n_dot_l, n_dot_v, alpha)
    return facets * visibility * fresnel_schlick(f0, _dot(view, half))


def _alpha(roughness: Tensor) -> Tensor:
    return roughness.square().clamp_min(LEAST_ALPHA)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=-1, keepdim=True)
