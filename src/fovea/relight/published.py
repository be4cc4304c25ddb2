"""What the published second stage learns, how a view is shaded with it, and how that is judged.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (CVPR 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fovea.relight import losses
from fovea.relight.frozen import MATERIALS, FrozenViews
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.settings.decompose import PublishedConfig
from fovea.relight.shading import reference
from fovea.relight.shading.split_sum import BlurredLight
from fovea.relight.shading.table import table
from fovea.relight.volumes.irradiance import IrradianceVolume

START_LOGIT = 1.0
"""Of all materials: 0.7311."""


@dataclass
class Learnt:
    """What the second stage learns, raw.

    Attributes:
        materials: logits by name, a row for each Gaussian.
        cubemap: linear radiance, y up whatever the world.
        nearby: light that comes from nearby.
    """

    materials: dict[str, Float[Tensor, "N _"]]
    cubemap: Float[Tensor, "6 res res 3"]
    nearby: IrradianceVolume

    @classmethod
    def start(cls, count: int, *, light_res: int, bound: float, random: torch.Generator) -> Learnt:
        """Bright, rough, half metallic things under grey noise."""
        size = (6, light_res, light_res, 3)
        return cls(
            {name: torch.full((count, width), START_LOGIT) for name, width in MATERIALS.items()},
            torch.rand(size, generator=random) * 0.5 + 0.25,
            IrradianceVolume.dark([-bound] * 3 + [bound] * 3),
        )

    def to(self, device: torch.device) -> Learnt:
        """The same on a device, ready to be learnt."""
        return Learnt(
            {name: raw.to(device).requires_grad_() for name, raw in self.materials.items()},
            self.cubemap.to(device).requires_grad_(),
            self.nearby.to(device),
        )

    def activated(self) -> dict[str, Float[Tensor, "N _"]]:
        """The materials in 0..1."""
        return {name: raw.sigmoid() for name, raw in self.materials.items()}


@dataclass(frozen=True)
class Seen:
    """A view under the learnt light: its picture, and albedo, shaded roughness and metallic."""

    picture: Float[Tensor, "h w 3"]
    materials: Float[Tensor, "h w 5"]
    mask: Bool[Tensor, "h w"]


@dataclass(frozen=True)
class Shading:
    """How a view is shaded and judged; constant during the loop."""

    published: PublishedConfig
    flags: reference.Flags
    prefilter: Prefilter
    table: Float[Tensor, "size size 2"]

    @classmethod
    def of(cls, published: PublishedConfig, light_res: int, device: torch.device) -> Shading:
        """As a config has it."""
        flags = reference.Flags(
            published.tone, published.gamma, published.metallic, published.indirect
        )
        return cls(published, flags, Prefilter(light_res, "reference"), table(device=device))

    def view(self, frozen: FrozenViews, number: int, learnt: Learnt) -> Seen:
        """Shade a view; gradients reach all that is learnt."""
        geometry = frozen[number]
        materials = frozen.draw(number, torch.cat(list(learnt.activated().values()), dim=1))
        pixels = geometry.surface(materials)
        visible, nearby = None, None
        if self.flags.indirect and geometry.visibility is not None:
            visible = geometry.visibility.unsqueeze(0)
            nearby = learnt.nearby.irradiance(pixels.points, pixels.normals)
        shaded = reference.shade_view(
            pixels,
            BlurredLight(*self.prefilter(learnt.cubemap)),
            self.table,
            self.flags,
            visibility=visible,
            irradiance=nearby,
        )
        return Seen(geometry.image(shaded), materials, geometry.mask)

    def loss(
        self, seen: Seen, photograph: Float[Tensor, "h w 3"], learnt: Learnt
    ) -> Float[Tensor, ""]:
        """The published loss of the second stage."""
        light_roughness = learnt.cubemap.new_zeros(())
        if self.published.env_tv:
            light_roughness = losses.light_tv(learnt.cubemap, mode="reference")
        return losses.stage_two(
            seen.picture,
            photograph,
            seen.materials,
            seen.mask,
            light_roughness,
            material_weight=self.published.brdf_tv,
            lambertian_weight=self.published.lambertian,
            light_weight=self.published.env_tv,
        )
