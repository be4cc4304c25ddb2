"""How good a scene is: its renderings against photographs that it may or may not have seen."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.metrics.image import PSNR, SSIM
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import Footprint, rasterize

BACKGROUNDS = {"black": 0.0, "white": 1.0}


def backdrop(name: str, device: torch.device | str = "cpu") -> Float[Tensor, " 3"]:
    """The colour behind the scene, `black` or `white`."""
    return torch.full((3,), BACKGROUNDS[name], device=device)


@torch.no_grad()
def render(
    gaussians: Gaussians,
    camera: Camera,
    background: Float[Tensor, " 3"],
    *,
    footprint: Footprint = "exact",
) -> Float[Tensor, "h w 3"]:
    """The scene as the camera sees it, sRGB in 0..1."""
    raster = rasterize(
        gaussians, camera, background=background.to(gaussians.means), footprint=footprint
    )
    return raster.features.clamp(0, 1)


@torch.no_grad()
def score(
    gaussians: Gaussians,
    photographs: Iterable[Photograph],
    *,
    background: Float[Tensor, " 3"],
    footprint: Footprint = "exact",
) -> dict[str, float]:
    """Mean PSNR and SSIM over photographs; nothing where there are none."""
    metrics = (PSNR(), SSIM())
    count = 0
    for photograph in photographs:
        image = render(gaussians, photograph.camera, background, footprint=footprint)
        for metric in metrics:
            metric.update(image, photograph.over(background))
        count += 1
    return {metric.name: metric.compute() for metric in metrics} if count else {}
