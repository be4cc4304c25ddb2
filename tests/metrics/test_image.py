"""PSNR, SSIM and LPIPS against reference answers, scikit-image and their own properties."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fovea.errors import BackendError, DataError
from fovea.metrics.image import LPIPS, psnr, ssim, ssim_map


def images(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image, target = torch.rand(2, height, width, 3, generator=generator, dtype=torch.float64)
    return image, target


@pytest.fixture
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering" / "losses.npz")
    names = ("image", "gt", "ssim_map")
    return {name: torch.from_numpy(arrays[name]).permute(1, 2, 0) for name in names}


@pytest.fixture
def golden_losses(goldens: Path) -> dict:
    return json.loads((goldens / "inverse-rendering" / "scalars.json").read_text())["losses"]


def test_ssim_equals_the_reference_at_every_pixel(golden: dict, golden_losses: dict) -> None:
    found = ssim_map(golden["image"], golden["gt"])
    assert torch.allclose(found, golden["ssim_map"], rtol=0, atol=1e-9)
    assert found.mean().item() == pytest.approx(golden_losses["ssim"], abs=1e-9)


def test_psnr_equals_the_reference_in_both_conventions(golden: dict, golden_losses: dict) -> None:
    pair = golden["image"], golden["gt"]
    assert psnr(*pair).item() == pytest.approx(golden_losses["psnr_from_total_mse"], rel=1e-12)
    per_channel = psnr(*pair, convention="per_channel").item()
    assert per_channel == pytest.approx(golden_losses["psnr_reported"], rel=1e-12)


@pytest.mark.parametrize(("height", "width"), [(24, 31), (40, 17)])
def test_ssim_equals_scikit_image_where_the_border_does_not_reach(height: int, width: int) -> None:
    image, target = images(height, width)
    _, theirs = structural_similarity(
        image.numpy(),
        target.numpy(),
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inside = (slice(5, -5), slice(5, -5))
    assert np.abs(ssim_map(image, target).numpy()[inside] - theirs[inside]).max() < 1e-12


def test_psnr_equals_scikit_image() -> None:
    image, target = images(13, 9)
    theirs = peak_signal_noise_ratio(target.numpy(), image.numpy(), data_range=1.0)
    assert psnr(image, target).item() == pytest.approx(theirs, rel=1e-12)


def test_both_gradients_of_ssim_are_those_of_differences() -> None:
    image, target = images(7, 8)
    pair = (image[..., :2].requires_grad_(), target[..., :2].requires_grad_())
    assert torch.autograd.gradcheck(ssim_map, pair)


def test_a_gradient_is_the_same_when_only_one_side_wants_it() -> None:
    image, target = images(12, 12)
    both = torch.autograd.grad(
        ssim(image.requires_grad_(), target.requires_grad_()), (image, target)
    )
    alone = torch.autograd.grad(ssim(image, target.detach()), image)[0]
    other = torch.autograd.grad(ssim(image.detach(), target), target)[0]
    assert torch.equal(both[0], alone)
    assert torch.equal(both[1], other)


def test_half_the_precision_costs_little() -> None:
    image, target = images(64, 48)
    single = ssim(image.float(), target.float()).item()
    assert single == pytest.approx(ssim(image, target).item(), abs=2e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_ssim_is_symmetric_at_most_one_and_one_for_equal_images(
    height: int, width: int, seed: int
) -> None:
    image, target = images(height, width, seed)
    assert ssim(image, target).item() == pytest.approx(ssim(target, image).item(), abs=1e-12)
    assert ssim_map(image, target).max().item() <= 1 + 1e-12
    assert ssim(image, image).item() == pytest.approx(1, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.001, 0.5), st.integers(0, 2**31))
def test_psnr_of_a_constant_error_is_its_square_in_decibels(error: float, seed: int) -> None:
    image, _ = images(5, 6, seed)
    expected = -20 * np.log10(error)
    assert psnr(image + error, image).item() == pytest.approx(expected, rel=1e-9)


def test_equal_images_have_infinite_psnr() -> None:
    image, _ = images(4, 4)
    assert psnr(image, image).item() == float("inf")


def test_channels_first_by_mistake_is_named() -> None:
    with pytest.raises(DataError, match="Move the channels last"):
        ssim(torch.rand(6, 6), torch.rand(6, 6))


def test_lpips_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(BackendError, match="pip install lpips"):
        LPIPS()


def test_lpips_says_where_weights_go_that_cannot_be_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=refuse))
    with pytest.raises(BackendError, match=r"vgg weights.*no route to host.*checkpoints"):
        LPIPS()


class MeanDifference(torch.nn.Module):
    """Stands in for the network: the interface of the package `lpips`, and a distance to check."""

    def __init__(self, net: str, verbose: bool) -> None:
        super().__init__()

    def forward(self, image: torch.Tensor, target: torch.Tensor, normalize: bool) -> torch.Tensor:
        assert image.shape[1] == 3
        scale = 2 if normalize else 1
        return scale * (image - target).abs().mean(dim=(1, 2, 3), keepdim=True)


@pytest.mark.parametrize(("rescale", "factor"), [(True, 2), (False, 1)])
def test_lpips_hands_over_images_as_the_network_wants_them(
    monkeypatch: pytest.MonkeyPatch, rescale: bool, factor: int
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=MeanDifference))
    metric = LPIPS(rescale=rescale)
    image, target = images(5, 4)
    metric.update(torch.stack([image, target]), torch.stack([target, target]))
    expected = factor * (image - target).abs().mean().item() / 2
    assert metric.compute() == pytest.approx(expected, rel=1e-5)
    assert (metric.name, metric.direction, metric.unit) == ("lpips", "min", "")
