"""What every metric must keep, whichever number it says."""

import math

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.metrics.detection import FIELDS, DetectionMetric
from fovea.metrics.image import PSNR, SSIM
from fovea.metrics.metric import Metric
from fovea.metrics.normals import NormalError

MEANS = {
    "psnr": PSNR,
    "psnr_per_channel": lambda: PSNR("per_channel"),
    "ssim": SSIM,
    "normal_error": NormalError,
}
"""Those that score images one by one and say their mean."""
METRICS = {**MEANS, "detection": lambda: DetectionMetric(("car", "pedestrian"))}

of_images = pytest.mark.parametrize("metric", MEANS, indirect=True)


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]()


def items(metric: Metric, noise: float = 0.2) -> list[tuple[object, object]]:
    """Three items to score, each with its target."""
    if isinstance(metric, DetectionMetric):
        return [boxes(seed, noise) for seed in range(3)]
    images, targets = pairs()
    return list(zip(targets + noise / 0.2 * (images - targets), targets, strict=True))


def boxes(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.zeros(4, np.dtype({"names": FIELDS, "formats": ["f4"] * 5 + ["u4", "f4"]}))
    truth["t"], truth["class_id"] = 1_000_000, rng.integers(0, 2, 4)
    for side in ("x", "y", "w", "h"):
        truth[side] = rng.uniform(20, 90, 4)
    found = truth.copy()
    found["class_confidence"] = rng.random(4)
    for side in ("x", "y", "w", "h"):
        found[side] += 60 * noise * rng.uniform(-1, 1, 4)
    return found, truth


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


@of_images
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
    pairs = items(metric)
    for index in range(3):
        metric.update(*pairs[index])
    together = metric.compute()
    metric.reset()
    for index in (2, 0, 1):
        metric.update(*pairs[index])
    assert metric.compute() == pytest.approx(together, rel=1e-12)


def test_reset_forgets(metric: Metric) -> None:
    one, other, _ = items(metric)
    metric.update(*one)
    first = metric.compute()
    metric.update(*other)
    metric.reset()
    metric.update(*one)
    assert metric.compute() == first


def test_compute_is_one_float_and_changes_nothing(metric: Metric) -> None:
    for pair in items(metric):
        metric.update(*pair)
    assert type(metric.compute()) is float
    assert metric.compute() == metric.compute()


def test_less_noise_is_better_by_its_own_direction(metric: Metric) -> None:
    for pair in items(metric):
        metric.update(*pair)
    noisy = metric.compute()
    metric.reset()
    for pair in items(metric, noise=0.02):
        metric.update(*pair)
    better = metric.compute()
    assert better > noisy if metric.direction == "max" else better < noisy
    assert math.isfinite(better)


@of_images
def test_it_keeps_no_graph(metric: Metric) -> None:
    image, target = pairs(1)
    metric.update(image.requires_grad_(), target)
    assert image.grad_fn is None
    assert type(metric.compute()) is float


@of_images
def test_a_pair_of_two_sizes_is_refused_with_both_shapes(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"\(4, 5, 3\) and \(5, 4, 3\)"):
        metric.update(torch.rand(4, 5, 3), torch.rand(5, 4, 3))


def test_nothing_seen_is_said(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"before it saw an? (image|frame)"):
        metric.compute()
