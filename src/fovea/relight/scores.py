"""How good a scene is: its renderings against photographs that it may or may not have seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.metrics.image import LPIPS, PSNR, SSIM
from fovea.metrics.metric import MeanMetric
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


def image_metrics(lpips: Literal["none", "vgg", "alex"] = "none") -> dict[str, MeanMetric]:
    """What papers report of images, in both of their conventions.

    `psnr` takes one mean over pixels and channels, `psnr_channel` the mean of the channels' PSNRs,
    `ssim` zero outside the image. Where a network is named, `lpips` is fed values in -1..1 as it
    was trained, `lpips_unscaled` values in 0..1 as the code of 3D Gaussian splatting does.
    """
    metrics: dict[str, MeanMetric] = {
        "psnr": PSNR(),
        "psnr_channel": PSNR("per_channel"),
        "ssim": SSIM(),
    }
    if lpips != "none":
        metrics["lpips"] = LPIPS(lpips)
        metrics["lpips_unscaled"] = LPIPS(lpips, rescale=False)
    return metrics


def image_scores(
    metrics: Mapping[str, MeanMetric],
    image: Float[Tensor, "h w 3"],
    target: Float[Tensor, "h w 3"],
) -> dict[str, float]:
    """What each metric says of one image alone; values in 0..1."""
    found: dict[str, float] = {}
    for name, metric in metrics.items():
        metric.reset()
        metric.update(image, target)
        found[name] = metric.compute()
    return found


def mean_of(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score over those that have it."""
    columns: dict[str, list[float]] = {}
    for each in scores:
        for name, value in each.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}
