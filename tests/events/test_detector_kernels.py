"""The kernels of the detector against their plain twins, forward and backward."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fovea.events.model import memory
from fovea.events.model.attention import from_grid, from_windows, to_grid, to_windows
from fovea.events.model.histogram_conv import can_take, histogram_conv
from fovea.events.model.memory import Memory


def counts(shape: tuple[int, ...], share: float, seed: int = 0) -> torch.Tensor:
    make = np.random.default_rng(seed)
    values = make.integers(1, 256, shape) * (make.random(shape) < share)
    return torch.from_numpy(values.astype(np.uint8))


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
@pytest.mark.parametrize(
    ("shape", "size", "channels"),
    [
        ((2, 20, 48, 64), (64, 64), 16),
        ((9, 3, 37, 45), (64, 64), 5),
        ((1, 20, 32, 32), (32, 32), 48),
    ],
)
def test_the_first_convolution_is_conv2d_of_the_padded_counts(shape, size, channels, share) -> None:
    histograms = counts(shape, share)
    weight = torch.randn(channels, shape[1], 7, 7, requires_grad=True)
    found = histogram_conv(histograms, weight, size)
    whole = functional.pad(histograms.float(), (0, size[1] - shape[3], 0, size[0] - shape[2]))
    expected = functional.conv2d(whole, weight, stride=4, padding=3).permute(0, 2, 3, 1)
    near = 1e-5 * float(expected.detach().abs().max()) + 1e-12
    torch.testing.assert_close(found, expected, rtol=0, atol=near)
    upward = torch.randn(found.shape)
    (of_found,) = torch.autograd.grad(found, weight, upward)
    (of_expected,) = torch.autograd.grad(expected, weight, upward)
    near = 1e-5 * float(of_expected.abs().max()) + 1e-12
    torch.testing.assert_close(of_found, of_expected, rtol=0, atol=near)


def test_the_first_convolution_is_the_same_for_any_threads() -> None:
    histograms = counts((5, 20, 32, 64), 0.1)
    weight = torch.randn(16, 20, 7, 7, requires_grad=True)
    upward = torch.randn(5, 8, 16, 16)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            outputs = histogram_conv(histograms, weight, (32, 64))
            found.append((outputs, *torch.autograd.grad(outputs, weight, upward)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_only_counts_take_the_short_way() -> None:
    assert can_take(counts((1, 1, 8, 8), 0.1))
    assert not can_take(torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("has_state", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 3), (4, 2, 3, 5, 7), (3, 2, 12, 16, 16)])
def test_a_memory_by_kernels_remembers_as_the_plain_one(monkeypatch, shape, has_state) -> None:
    torch.manual_seed(0)
    _, batch, height, width, channels = shape
    module = Memory(channels)
    x = (3 * torch.randn(shape)).requires_grad_()
    state = [torch.randn(batch, channels, height, width, requires_grad=True) for _ in "hc"]
    upward = [torch.randn(shape), *(torch.randn(batch, channels, height, width) for _ in "hc")]
    inputs = [x, *module.parameters(), *(state if has_state else ())]

    def run(by_kernels: bool) -> list[torch.Tensor]:
        monkeypatch.setattr(memory, "can_remember", lambda _: by_kernels)
        outputs, (h, c) = module(x, tuple(state) if has_state else None)
        return [outputs, h, c, *torch.autograd.grad([outputs, h, c], inputs, upward)]

    for found, expected in zip(run(True), run(False), strict=True):
        near = 3e-6 * max(float(expected.detach().abs().max()), 1.0)
        torch.testing.assert_close(found, expected, rtol=0, atol=near)


def test_gates_far_from_zero_are_finite() -> None:
    module = Memory(2)
    x = torch.tensor([1e4, -1e4]).repeat(1, 1, 1, 1, 1).requires_grad_()
    outputs, _ = module(x, None)
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert x.grad.isfinite().all()


def test_a_depthwise_memory_looks_at_its_neighbours() -> None:
    module = Memory(2, depthwise=True)
    assert "conv3x3_dws.weight" in module.state_dict()
    h = torch.zeros(1, 2, 5, 5)
    h[..., 2, 2] = 1.0
    empty = torch.zeros(1, 1, 5, 5, 2)
    with_one, _ = module(empty, (h, torch.zeros_like(h)))
    without, _ = module(empty, (torch.zeros_like(h), torch.zeros_like(h)))
    touched = (with_one != without).any(dim=-1)[0, 0]
    assert touched[1:4, 1:4].all()
    assert not touched[0].any()


@settings(deadline=None, max_examples=25)
@given(*(st.integers(1, 4) for _ in range(4)), st.integers(1, 2))
def test_windows_and_grids_are_undone_and_hold_every_token_once(p, q, down, across, batch) -> None:
    height, width = p * down, q * across
    x = torch.arange(float(batch * height * width * 2)).reshape(batch, height, width, 2)
    for cut, joined in ((to_windows, from_windows), (to_grid, from_grid)):
        groups = cut(x, (p, q))
        assert groups.shape == (batch * down * across, p * q, 2)
        assert torch.equal(joined(groups, (p, q), (height, width)), x)


def test_windows_are_near_and_grids_are_far() -> None:
    x = torch.arange(24.0).reshape(1, 4, 6, 1)
    assert to_windows(x, (2, 3))[0, :, 0].tolist() == [0, 1, 2, 6, 7, 8]
    assert to_grid(x, (2, 3))[0, :, 0].tolist() == [0, 2, 4, 12, 14, 16]
