"""Shading by the split sum: blurred light looked up once, times a table of the BRDF.

Source: Liang et al., "GS-IR" (CVPR 2024), after Karis (2013). Diffuse light is irradiance over pi,
so that an albedo multiplies it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fovea.relight.light import cubemap as cube
from fovea.relight.light.prefilter import level_of
from fovea.relight.shading.brdf import DIELECTRIC_F0, specular_f0
from fovea.relight.shading.table import lookup
from fovea.relight.shading.tonemap import display


@dataclass(frozen=True)
class BlurredLight:
    """What `Prefilter` makes of a cubemap.

    Attributes:
        diffuse: irradiance over pi by normal, [6, 16, 16, 3].
        specular: the light that a lobe of growing roughness gathers, sharpest first.
    """

    diffuse: Float[Tensor, "6 _ _ 3"]
    specular: Sequence[Float[Tensor, "6 _ _ 3"]]


@dataclass(frozen=True)
class Shaded:
    """The parts of a shaded pixel, linear radiance.

    Attributes:
        color: diffuse and specular.
        diffuse: the diffuse part, with the albedo.
        specular: the specular part.
        diffuse_light: what reaches the surface, over pi, after visibility and indirect light.
    """

    color: Float[Tensor, "*batch 3"]
    diffuse: Float[Tensor, "*batch 3"]
    specular: Float[Tensor, "*batch 3"]
    diffuse_light: Float[Tensor, "*batch 3"]


def remap_roughness(roughness: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """From the stored 0..1 to 0.04..1, which is what is shaded.

    The reference remaps in training and forgets it in rendering, relighting and reports.
    """
    return 0.96 * roughness + 0.04


def shade_linear(
    light: BlurredLight,
    table: Float[Tensor, "size size 2"],
    *,
    normals: Float[Tensor, "*batch 3"],
    view: Float[Tensor, "*batch 3"],
    albedo: Float[Tensor, "*batch 3"],
    roughness: Float[Tensor, "*batch 1"],
    metallic: Float[Tensor, "*batch 1"] | None = None,
    visibility: Float[Tensor, "*batch 1"] | None = None,
    irradiance: Float[Tensor, "*batch 1"] | None = None,
    energy_conserving: bool = False,
) -> Shaded:
    """Light pixels, before any tone curve.

    Args:
        light: blurred, in world axes.
        table: of the BRDF, `table()`.
        normals: unit or zero; a zero normal receives no diffuse light.
        view: unit, towards the eye.
        albedo: linear, 0..1.
        roughness: as it is shaded, after `remap_roughness`.
        metallic: None for dielectrics throughout.
        visibility: the share of the sky that is open; None where all is.
        irradiance: what comes from the rest; None for nothing.
        energy_conserving: metals have no diffuse part. The reference gives them one.
    """
    n_dot_v = (normals * view).sum(dim=-1, keepdim=True).clamp_min(0)
    mirrored = 2 * n_dot_v * normals - view
    diffuse_light = cube.sample(light.diffuse, normals)
    if visibility is not None:
        hidden = 0.0 if irradiance is None else irradiance
        diffuse_light = diffuse_light * visibility + (1 - visibility) * hidden
    diffuse = diffuse_light * albedo
    if metallic is None:
        f0 = torch.full_like(albedo, DIELECTRIC_F0)
    else:
        f0 = specular_f0(albedo, metallic)
        diffuse = diffuse * (1 - metallic) if energy_conserving else diffuse
    level = level_of(roughness.squeeze(-1), len(light.specular))
    scale, bias = lookup(table, n_dot_v.squeeze(-1), roughness.squeeze(-1)).split(1, dim=-1)
    specular = cube.sample_mips(light.specular, mirrored, level) * (f0 * scale + bias)
    return Shaded(diffuse + specular, diffuse, specular, diffuse_light)


def shade(
    light: BlurredLight,
    table: Float[Tensor, "size size 2"],
    *,
    mask: Bool[Tensor, "*batch 1"] | None = None,
    tone: bool = False,
    gamma: bool = False,
    normals: Float[Tensor, "*batch 3"],
    view: Float[Tensor, "*batch 3"],
    albedo: Float[Tensor, "*batch 3"],
    roughness: Float[Tensor, "*batch 1"],
    metallic: Float[Tensor, "*batch 1"] | None = None,
    visibility: Float[Tensor, "*batch 1"] | None = None,
    irradiance: Float[Tensor, "*batch 1"] | None = None,
) -> Float[Tensor, "*batch 3"]:
    """Pixels as the reference shows them: `shade_linear`, a tone curve, black outside the mask."""
    shaded = shade_linear(
        light,
        table,
        normals=normals,
        view=view,
        albedo=albedo,
        roughness=roughness,
        metallic=metallic,
        visibility=visibility,
        irradiance=irradiance,
    )
    shown = display(shaded.color, tone=tone, gamma=gamma)
    return shown if mask is None else torch.where(mask, shown, 0)
