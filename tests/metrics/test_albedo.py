"""Base colours against reference answers and by the properties of each convention."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.metrics.albedo import CONVENTIONS, AlbedoConvention, AlbedoPairs, albedo_ratio
from fovea.metrics.image import PSNR
from fovea.scene.color import linear_to_srgb


@pytest.fixture
def arrays(goldens: Path) -> dict[str, torch.Tensor]:
    found = np.load(goldens / "inverse-rendering" / "metrics.npz")
    return {name: torch.from_numpy(found[name]) for name in found if name.startswith("albedo")}


@pytest.fixture
def pairs(arrays: dict[str, torch.Tensor]) -> AlbedoPairs:
    pairs = AlbedoPairs()
    for view in zip(arrays["albedo_pred"], arrays["albedo_gt"], arrays["albedo_mask"], strict=True):
        pairs.add(*view)
    return pairs


def test_both_medians_equal_the_reference(arrays, pairs) -> None:
    for scaling, name in (("three", "lower_median"), ("three_midpoint", "midpoint_median")):
        wanted = arrays[f"albedo_ratio_{name}"]
        torch.testing.assert_close(pairs.ratio(scaling), wanted, rtol=1e-12, atol=0)


def test_scaled_colours_and_their_psnr_equal_the_reference(arrays, pairs, goldens) -> None:
    compared = list(pairs.compared(AlbedoConvention()))
    for (ours, _), wanted in zip(compared, arrays["albedo_scaled"], strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)
    metric = PSNR("per_channel")
    for ours, target in compared:
        metric.update(ours, target)
    golden = json.loads((goldens / "inverse-rendering" / "scalars.json").read_text())["metrics"]
    assert metric.compute() == pytest.approx(golden["albedo_psnr"], rel=1e-9)
    assert metric._scores == pytest.approx(golden["albedo_psnr_per_view"], rel=1e-9)


def test_medians_and_means_agree_with_numpy() -> None:
    random = torch.Generator().manual_seed(4)
    ours, target = (torch.rand(40, 3, generator=random, dtype=torch.float64) for _ in range(2))
    ratios = (target / ours).numpy()
    np.testing.assert_allclose(albedo_ratio(ours, target, "three_midpoint"), np.median(ratios, 0))
    np.testing.assert_allclose(albedo_ratio(ours, target, "three_mean"), ratios.mean(0))
    one = albedo_ratio(ours, target, "one").numpy()
    np.testing.assert_allclose(one, np.sort(ratios[:, 0])[19])


@pytest.mark.parametrize("scaling", ["three", "three_midpoint", "three_mean"])
def test_a_tint_is_scaled_away(scaling) -> None:
    target = torch.rand(5, 6, 3, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.1
    pairs = AlbedoPairs()
    pairs.add(target / torch.tensor([0.5, 0.8, 1.6]), target, torch.ones(5, 6))
    for convention in CONVENTIONS:
        if convention.scaling == scaling:
            ((ours, wanted),) = pairs.compared(convention)
            torch.testing.assert_close(ours, wanted, msg=convention.key)


def test_over_white_only_covered_pixels_differ_and_none_beyond_white() -> None:
    target, coverage = torch.full((2, 2, 3), 0.25), torch.tensor([[1.0, 0.5], [0.0, 0.0]])
    pairs = AlbedoPairs()
    pairs.add(torch.full((2, 2, 3), 4.0), target, coverage)
    ((ours, wanted),) = pairs.compared(AlbedoConvention("none", "srgb", "white"))
    assert torch.equal(ours, torch.ones(2, 2, 3))
    edge = 0.5 * linear_to_srgb(torch.tensor(0.25)) + 0.5
    torch.testing.assert_close(wanted[0, 1], edge.expand(3))
    assert torch.equal(wanted[1], torch.ones(2, 3))


def test_views_without_coverage_give_no_ratio() -> None:
    pairs = AlbedoPairs()
    pairs.add(torch.rand(2, 2, 3), torch.rand(2, 2, 3), torch.zeros(2, 2))
    with pytest.raises(DataError, match=r"found \(0, 3\)"):
        pairs.ratio("three")


def test_maps_of_two_sizes_are_refused_with_their_shapes() -> None:
    with pytest.raises(DataError, match=r"\(2, 2, 3\), \(2, 3, 3\) and \(2, 2\)"):
        AlbedoPairs().add(torch.rand(2, 2, 3), torch.rand(2, 3, 3), torch.ones(2, 2))
