"""What every metric must keep, whichever number it says."""

import math

import pytest
import torch

from fovea.errors import DataError
from fovea.metrics.image import PSNR, SSIM
from fovea.metrics.metric import Metric
from fovea.metrics.normals import NormalError

METRICS = {
    "psnr": PSNR,
    "psnr_per_channel": lambda: PSNR("per_channel"),
    "ssim": SSIM,
    "normal_error": NormalError,
}


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]()


def pairs(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    target = torch.rand(count, 14, 16, 3, generator=generator, dtype=torch.float64)
    noise = torch.rand(count, 14, 16, 3, generator=generator, dtype=torch.float64) - 0.5
    return (target + 0.2 * noise).clamp(0, 1), target


def test_it_has_the_parts_of_a_metric(metric: Metric) -> None:
    assert isinstance(metric, Metric)
    assert metric.direction in ("min", "max")
    assert metric.name.isidentifier()
    assert metric.unit in ("", "dB", "deg")


def test_a_batch_scores_the_mean_of_its_singles(metric: Metric) -> None:
    images, targets = pairs()
    metric.update(images, targets)
    batched = metric.compute()
    singles = []
    for image, target in zip(images, targets, strict=True):
        metric.reset()
        metric.update(image, target)
        singles.append(metric.compute())
    assert batched == pytest.approx(sum(singles) / len(singles), rel=1e-12)


def test_updates_add_up_in_any_order(metric: Metric) -> None:
    images, targets = pairs()
    metric.update(images, targets)
    together = metric.compute()
    metric.reset()
    for index in (2, 0, 1):
        metric.update(images[index], targets[index])
    assert metric.compute() == pytest.approx(together, rel=1e-12)


def test_reset_forgets(metric: Metric) -> None:
    images, targets = pairs()
    metric.update(images[0], targets[0])
    first = metric.compute()
    metric.update(images[1], targets[1])
    metric.reset()
    metric.update(images[0], targets[0])
    assert metric.compute() == first


def test_compute_is_one_float_and_changes_nothing(metric: Metric) -> None:
    metric.update(*pairs())
    assert type(metric.compute()) is float
    assert metric.compute() == metric.compute()


def test_less_noise_is_better_by_its_own_direction(metric: Metric) -> None:
    images, targets = pairs()
    metric.update(images, targets)
    noisy = metric.compute()
    metric.reset()
    metric.update(targets + 0.1 * (images - targets), targets)
    better = metric.compute()
    assert better > noisy if metric.direction == "max" else better < noisy
    assert math.isfinite(better)


def test_it_keeps_no_graph(metric: Metric) -> None:
    image, target = pairs(1)
    metric.update(image.requires_grad_(), target)
    assert image.grad_fn is None
    assert type(metric.compute()) is float


def test_a_pair_of_two_sizes_is_refused_with_both_shapes(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"\(4, 5, 3\) and \(5, 4, 3\)"):
        metric.update(torch.rand(4, 5, 3), torch.rand(5, 4, 3))


def test_nothing_seen_is_said(metric: Metric) -> None:
    with pytest.raises(DataError, match="before it saw an image"):
        metric.compute()
