"""What is said of images together: a set of metrics by name, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from fovea.metrics.image import LPIPS, PSNR, SSIM
from fovea.metrics.metric import MeanMetric


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
