"""The network in pieces gives what the plain way through gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sharp_golden import Golden, filled_state
from torch import Tensor

from fovea.photo.composer import Ndc
from fovea.photo.model.network import SharpNetwork, predict_ndc
from fovea.photo.model.picture import resize_to_network
from fovea.photo.precision.block import ReducedBlock
from fovea.photo.precision.int8 import Int8Linear, quantized
from fovea.photo.staged import Staged
from fovea.photo.strips import in_strips, normed
from fovea.photo.weights import load_network

COMPARED = ("means", "scales", "quats", "colors", "opacities", "disparity", "depth_m")
FACTOR = 260 / 320


def network_of(goldens: Path, size: str, folder: Path) -> SharpNetwork:
    path = folder / f"{size}.pt"
    torch.save(filled_state(goldens / "sharp", size), path)
    return load_network(path)


def picture_of(goldens: Path, network: SharpNetwork) -> Tensor:
    pixels = Golden(goldens / "sharp", "tiny").picture
    return resize_to_network(pixels, size=network.architecture.network_size)


@pytest.fixture(scope="module")
def tiny(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> SharpNetwork:
    return network_of(goldens, "tiny", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def picture(goldens: Path, tiny: SharpNetwork) -> Tensor:
    return picture_of(goldens, tiny)


@pytest.fixture(scope="module")
def plain(tiny: SharpNetwork, picture: Tensor) -> Ndc:
    return predict_ndc(tiny, picture, FACTOR)


def off(found: Tensor, wanted: Tensor) -> float:
    """Mean difference in units of the standard deviation."""
    return float((found - wanted).abs().mean() / wanted.std())


@pytest.mark.parametrize(("crops", "tile"), [(1, 16), (4, 40), (35, 256)])
def test_groups_of_crops_and_strips_of_maps_change_nothing_but_rounding(
    tiny: SharpNetwork, picture: Tensor, plain: Ndc, crops: int, tile: int
) -> None:
    found = Staged(tiny, crops=crops, tile=tile).ndc(picture, FACTOR)
    torch.testing.assert_close(found.disparity, plain.disparity, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(found.global_scale, plain.global_scale, rtol=1e-5, atol=0)
    for name in COMPARED:
        assert off(getattr(found, name), getattr(plain, name)) < 1e-5, name


@pytest.mark.slow
def test_the_public_geometry_with_overlapping_crops_is_the_same_in_pieces(
    goldens: Path, tmp_path: Path
) -> None:
    thin = network_of(goldens, "thin", tmp_path)
    picture = picture_of(goldens, thin)
    wanted = predict_ndc(thin, picture, FACTOR)
    found = Staged(thin, crops=4, tile=200).ndc(picture, FACTOR)
    for name in COMPARED:
        assert off(getattr(found, name), getattr(wanted, name)) < 1e-5, name


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 0.02), ("int8", 0.03)])
def test_reduced_numbers_stay_near_float32(
    tiny: SharpNetwork, picture: Tensor, plain: Ndc, precision: str, most: float
) -> None:
    found = Staged(tiny, precision).ndc(picture, FACTOR)  # pyright: ignore[reportArgumentType]
    for name in ("colors", "opacities", "disparity"):
        assert off(getattr(found, name), getattr(plain, name)) < most, name


def test_results_are_float32_whatever_computes(tiny: SharpNetwork, picture: Tensor) -> None:
    found = Staged(tiny, "int8").ndc(picture, FACTOR)
    assert {getattr(found, name).dtype for name in (*COMPARED, "global_scale")} == {torch.float32}


def test_the_same_picture_gives_the_same_bits(tiny: SharpNetwork, picture: Tensor) -> None:
    first, second = (Staged(tiny, "int8").ndc(picture, FACTOR) for _ in range(2))
    assert all(torch.equal(getattr(first, n), getattr(second, n)) for n in COMPARED)


def test_whoever_watches_sees_the_work_grow_to_its_end(tiny: SharpNetwork, picture: Tensor) -> None:
    told: list[tuple[int, int]] = []
    Staged(tiny).ndc(picture, FACTOR, lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    assert len(told) >= 10


def test_a_watcher_may_stop_the_work(tiny: SharpNetwork, picture: Tensor) -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Staged(tiny).ndc(picture, FACTOR, stop)


def test_running_in_reduced_numbers_leaves_the_weights_alone(
    tiny: SharpNetwork, picture: Tensor, plain: Ndc
) -> None:
    Staged(tiny, "bfloat16").ndc(picture, FACTOR)
    assert torch.equal(predict_ndc(tiny, picture, FACTOR).means, plain.means)


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
@pytest.mark.parametrize("factor", [1, 2])
def test_strips_put_together_are_the_whole_map(rows: int, factor: int) -> None:
    layers = [torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 2, 3, padding=1)]
    if factor == 2:
        layers.append(torch.nn.ConvTranspose2d(2, 2, 2, stride=2))
    function = torch.nn.Sequential(*layers)
    x = torch.rand(1, 3, 11, 6)
    with torch.inference_mode():
        found = in_strips(function, x, rows=rows, halo=2)
        torch.testing.assert_close(found, function(x), rtol=0, atol=1e-6)


def test_too_small_a_halo_would_be_seen() -> None:
    function = torch.nn.Conv2d(1, 1, 3, padding=1)
    x = torch.rand(1, 1, 8, 4)
    with torch.inference_mode():
        found = in_strips(function, x, rows=4, halo=0)
        assert not torch.allclose(found, function(x))


def test_a_group_norm_from_strips_is_that_of_the_whole_map() -> None:
    norm = torch.nn.GroupNorm(2, 6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = 5 + 3 * torch.randn(1, 6, 20, 7)
    factor, summand = normed(x, norm, rows=6)
    torch.testing.assert_close(x * factor + summand, norm(x), rtol=1e-5, atol=1e-5)


def test_int8_keeps_each_token_to_a_254th_of_its_largest_value() -> None:
    rows = torch.randn(5, 64) * torch.tensor([1e-3, 1, 50, 0, 1])[:, None]
    integers, scale = quantized(rows)
    assert integers.dtype == torch.int8
    assert (((integers * scale) - rows).abs() <= rows.abs().amax(1, keepdim=True) / 253).all()


def test_an_int8_layer_is_near_the_layer_it_was_made_of() -> None:
    layer = torch.nn.Linear(64, 32)
    tokens = torch.randn(3, 17, 64)
    with torch.inference_mode():
        wanted = layer(tokens)
        found = Int8Linear(layer)(tokens).float()
    assert off(found, wanted) < 0.02


def test_a_token_of_large_values_costs_the_others_no_digits() -> None:
    layer = torch.nn.Linear(64, 32)
    tokens = torch.randn(1, 4, 64)
    with torch.inference_mode():
        before = Int8Linear(layer)(tokens)
        tokens[0, 0] *= 1000
        after = Int8Linear(layer)(tokens)
    assert torch.equal(before[0, 1:], after[0, 1:])


def test_a_reduced_block_is_near_its_own(tiny: SharpNetwork) -> None:
    block = tiny.encoder.patch_encoder.blocks[0]
    tokens = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 17, 64))).float()
    with torch.inference_mode():
        wanted = block(tokens)
        for precision in ("bfloat16", "int8"):
            found = ReducedBlock(block, precision)(tokens.clone())  # pyright: ignore
            assert off(found, wanted) < 0.03, precision
