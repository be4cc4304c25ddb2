"""The sRGB curve against reference answers and as a pair of inverses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.scene.color import linear_to_srgb, srgb_to_linear


def test_it_equals_the_reference(goldens: Path) -> None:
    golden = np.load(goldens / "inverse-rendering" / "tonemap.npz")
    assert np.abs(linear_to_srgb(golden["x"]) - golden["linear_to_srgb"]).max() < 1e-14


@given(st.floats(-1, 16))
def test_encoding_and_decoding_undo_each_other(value: float) -> None:
    # 3e-9: what the standard's line and curve miss each other by, on the linear side.
    there_and_back = srgb_to_linear(linear_to_srgb(np.array([value])))
    assert there_and_back[0] == pytest.approx(value, rel=1e-14, abs=3e-9)
    back_and_there = linear_to_srgb(srgb_to_linear(np.array([value])))
    assert back_and_there[0] == pytest.approx(value, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_step_of_a_file_survives_in_single_precision(bits: int) -> None:
    steps = np.arange(2**bits)
    srgb = (steps / (2**bits - 1)).astype(np.float32)
    back = linear_to_srgb(srgb_to_linear(srgb))
    assert back.dtype == np.float32
    assert np.array_equal(np.round(back.astype(np.float64) * (2**bits - 1)), steps)


def test_tensors_and_arrays_give_the_same() -> None:
    values = np.linspace(-0.5, 3, 1001)
    for convert in (linear_to_srgb, srgb_to_linear):
        assert np.allclose(convert(torch.from_numpy(values)).numpy(), convert(values), rtol=1e-15)


@pytest.mark.parametrize("convert", [linear_to_srgb, srgb_to_linear])
def test_the_gradient_is_finite_everywhere(convert) -> None:
    values = torch.tensor([-1.0, 0.0, 1e-9, 0.002, 0.0031308, 0.04, 0.5, 5.0], requires_grad=True)
    convert(values).sum().backward()
    assert torch.isfinite(values.grad).all()
    assert (values.grad > 0).all()
