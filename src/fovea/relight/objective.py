"""One step of the fit: what is drawn of a view, and how wrong that is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.relight import losses
from fovea.relight.coupling import CHANNELS, carried, coupling_loss
from fovea.relight.normals import depth_to_normals
from fovea.relight.plan import Plan
from fovea.relight.settings.fit import FitConfig
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import Raster, rasterize


@dataclass(frozen=True)
class Drawn:
    """A view of the Gaussians, with all that the losses of this step look at.

    Attributes:
        gaussians: that were drawn.
        camera: of the photograph.
        target: the photograph before the background.
        raster: its first three features are the colours.
        normals: blended, where they are learnt.
        coupled: what `carried` gives, blended, where it moves the geometry.
    """

    gaussians: Gaussians
    camera: Camera
    target: Float[Tensor, "h w 3"]
    raster: Raster
    normals: Float[Tensor, "h w 3"] | None
    coupled: Float[Tensor, "h w 5"] | None

    @property
    def colors(self) -> Float[Tensor, "h w 3"]:
        """The rendering."""
        return self.raster.features[..., :3]


@dataclass(frozen=True)
class Objective:
    """What the fit makes small; which of its terms count depends on the step."""

    config: FitConfig
    plan: Plan
    extent: float
    """The scene's radius."""

    def draw(
        self,
        gaussians: Gaussians,
        photograph: Photograph,
        background: Float[Tensor, " 3"],
        step: int,
    ) -> Drawn:
        """Render the view of a photograph."""
        is_reference = self.config.mode == "reference"
        with_normals = step > self.plan.normals_from
        is_coupled = step > self.plan.coupled_from and not is_reference
        moves_geometry = with_normals and self.config.normal_grad == "geometry"
        camera, learnt = photograph.camera, gaussians.extras["normal"]
        features = [gaussians.colors(camera.position)] if is_coupled or moves_geometry else []
        features += [learnt] if moves_geometry else []
        features += [carried(gaussians, camera)] if is_coupled else []
        blended = torch.cat(features, dim=1) if features else None
        behind = background.to(gaussians.means)
        if blended is not None:
            behind = torch.cat([behind, behind.new_zeros(blended.shape[1] - 3)])
        raster = rasterize(
            gaussians,
            camera,
            features=blended,
            passengers=learnt if with_normals and not moves_geometry else None,
            background=behind,
            footprint="reference" if is_reference else "exact",
            depth_gradient=moves_geometry or is_coupled,
        )
        raster.means2d.retain_grad()
        normals = raster.features[..., 3:6] if moves_geometry else raster.passengers
        return Drawn(
            gaussians,
            camera,
            photograph.over(background),
            raster,
            normals if with_normals else None,
            raster.features[..., -CHANNELS:] if is_coupled else None,
        )

    def loss(self, drawn: Drawn) -> Float[Tensor, ""]:
        """The weighted sum of the terms."""
        weights, gaussians, raster = self.config.loss, drawn.gaussians, drawn.raster
        total = losses.photometric(drawn.colors, drawn.target, ssim_share=weights.ssim)
        if drawn.normals is not None:
            total = total + self._of_normals(drawn, drawn.normals)
        if drawn.coupled is not None:
            total = total + coupling_loss(
                drawn.coupled,
                raster.alpha,
                raster.depth,
                gaussians,
                drawn.camera,
                self.plan.coupling,
            )
        if weights.opacity:
            total = total + weights.opacity * gaussians.opacities.mean()
        if weights.scale:
            total = total + weights.scale * gaussians.scales.mean() / self.extent
        return total

    def _of_normals(self, drawn: Drawn, normals: Tensor) -> Tensor:
        """That they agree with the normals of the depth map, and are smooth."""
        is_reference, weights = self.config.mode == "reference", self.config.loss
        if is_reference:
            normals = _without_border_gradient(normals)
        normals = functional.normalize(normals, dim=-1)
        depth = drawn.raster.depth
        depth = depth if self.config.normal_grad == "geometry" else depth.detach()
        seen, valid = depth_to_normals(
            depth, drawn.camera, pixel_centre=0.0 if is_reference else 0.5
        )
        if is_reference:
            valid = losses.all_components_differ_from_zero(seen)
        agreement = losses.normal_l1(normals, seen, valid)
        roughness = losses.edge_aware_tv(normals, drawn.target)
        return weights.normal * agreement + weights.normal_tv * roughness


def _without_border_gradient(normals: Tensor) -> Tensor:
    """The same map, whose one-pixel border passes no gradient, as in the published kernels."""
    inside = torch.zeros_like(normals[..., :1])
    inside[1:-1, 1:-1] = 1
    return normals * inside + normals.detach() * (1 - inside)
