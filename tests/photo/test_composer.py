"""Base values and deltas become Gaussians, also where logits and logarithms end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fovea.photo.composer import (
    compose,
    inverse_softplus,
    predicted_color,
    predicted_depth,
    predicted_opacity,
    scale_factor,
)
from fovea.photo.model.initializer import depth_from_disparity, initialize


@pytest.fixture(scope="module")
def scalars(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "sharp" / "scalars.json").read_text())


def test_inverse_softplus_agrees_up_to_the_references_rounding(scalars: dict[str, Any]) -> None:
    x, y = (np.array(scalars["inverse_softplus"][key]) for key in "xy")
    ours = inverse_softplus(torch.tensor(x, dtype=torch.float32)).numpy()
    # The reference subtracts numbers near 1: it is off by float32's step over x there.
    assert (np.abs(ours - y) <= 1e-5 + 1.2e-7 / np.maximum(x, 1e-6)).all()


def test_a_delta_scales_as_in_the_reference(scalars: dict[str, Any]) -> None:
    table = scalars["scale_factor"]
    ours = scale_factor(torch.tensor(table["delta"]))
    np.testing.assert_allclose(ours, table["factor"], rtol=1e-5)


def test_colors_move_as_in_the_reference(scalars: dict[str, Any]) -> None:
    table = scalars["colour"]
    base, delta = (torch.tensor(table[key]) for key in ("base_srgb", "delta"))
    expected = np.array(table["linear"])
    ours = predicted_color(base[:, None], delta[None]).numpy()
    np.testing.assert_allclose(
        ours if ours.shape == expected.shape else ours.T, expected, atol=1e-6
    )


def test_depth_follows_the_delta_as_in_the_reference(scalars: dict[str, Any]) -> None:
    table = scalars["depth"]
    base = torch.tensor(table["base_inverse_depth"])
    delta = torch.tensor(table["scaled_delta"]) / 0.001
    expected = np.array(next(value for key, value in table.items() if key not in KNOWN))
    ours = predicted_depth(base[:, None], delta[None]).numpy()
    np.testing.assert_allclose(
        ours if ours.shape == expected.shape else ours.T, expected, rtol=1e-4
    )


KNOWN = ("base_inverse_depth", "scaled_delta")


def made(delta: Tensor, disparity: float = 0.5) -> Any:
    """Gaussians of a grey picture of 8 px on a plane."""
    image = torch.full((1, 3, 8, 8), 0.5)
    maps = torch.full((1, 2, 8, 8), disparity)
    depth_m = depth_from_disparity(maps, torch.tensor([1.2]))
    return compose(initialize(image, depth_m), delta, disparity=maps, depth_m=depth_m)


def test_without_deltas_gaussians_lie_on_the_plane_they_began_on() -> None:
    ndc = made(torch.zeros(1, 14, 2, 4, 4))
    # The composer adds 0.001 to an inverse depth of 1.
    torch.testing.assert_close(ndc.means[..., 2], torch.full((1, 32), 2.4 / 1.001))
    torch.testing.assert_close(ndc.opacities, torch.full((1, 32), 0.5))
    torch.testing.assert_close(ndc.colors, torch.full((1, 32, 3), 0.21404), atol=1e-4, rtol=0)
    torch.testing.assert_close(ndc.quats, torch.tensor([1.0, 0, 0, 0]).expand(1, 32, 4))
    torch.testing.assert_close(ndc.scales, torch.full((1, 32, 3), 4 / 8 * 2.4 / 1.001))


def test_gaussians_run_over_layers_then_rows_then_columns() -> None:
    delta = torch.zeros(1, 14, 2, 4, 4)
    delta[0, 13, 1, 2, 3] = 4.0
    assert int(made(delta).opacities[0].argmax()) == (1 * 4 + 2) * 4 + 3


@given(st.floats(-1e4, 1e4))
def test_no_delta_makes_a_value_that_a_file_cannot_hold(value: float) -> None:
    ndc = made(torch.full((1, 14, 2, 4, 4), value))
    for each in (ndc.means, ndc.quats, ndc.colors):
        assert bool(each.isfinite().all())
    assert bool(torch.logit(ndc.opacities).isfinite().all())
    assert bool(torch.log(ndc.scales).isfinite().all())
    assert 0 < float(ndc.means[..., 2].max()) <= 1000 * 2.4 * (1 + 1e-5)


def test_opacities_stay_strictly_between_none_and_all() -> None:
    ends = predicted_opacity(torch.tensor([-200.0, 0.0, 200.0]))
    assert 0 < ends[0] < 1e-6
    assert ends[1] == 0.5
    assert 1 - 1e-6 < ends[2] < 1


def test_the_nearest_depth_is_sought_in_both_layers() -> None:
    depth_m = torch.full((1, 2, 8, 8), 6.0)
    depth_m[0, 1, 3, 3] = 2.0
    base = initialize(torch.zeros(1, 3, 8, 8), depth_m)
    torch.testing.assert_close(base.global_scale, torch.tensor([2.0]))
    assert float(base.inverse_depth[0, 0, 1].max()) == pytest.approx(1, rel=1e-5)


def test_far_depths_end_at_a_hundred_times_the_nearest() -> None:
    depth_m = torch.ones(1, 2, 8, 8)
    depth_m[0, 0, :, 4:] = 1e6
    base = initialize(torch.zeros(1, 3, 8, 8), depth_m)
    assert float(base.inverse_depth.min()) == pytest.approx(0.01)
