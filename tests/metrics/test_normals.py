"""Normal errors against reference answers and by their properties."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.metrics.normals import NormalError, decode_normals, normal_error_deg


@pytest.fixture
def pictures(goldens: Path) -> tuple[torch.Tensor, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering" / "metrics.npz")
    names = ("normal_pred_rgb8", "normal_gt_rgba8")
    predicted, target = (torch.from_numpy(arrays[name]).double() / 255 for name in names)
    return predicted, target


@pytest.fixture
def golden_errors(goldens: Path) -> dict:
    return json.loads((goldens / "inverse-rendering" / "scalars.json").read_text())["metrics"]


def test_the_error_with_background_equals_the_reference(
    pictures: tuple[torch.Tensor, torch.Tensor], golden_errors: dict
) -> None:
    predicted, target = pictures
    error = normal_error_deg(decode_normals(predicted), decode_normals(target)).item()
    assert error == pytest.approx(golden_errors["normal_mae_deg_reference"], rel=1e-9)


def test_the_error_of_the_surface_equals_the_reference(
    pictures: tuple[torch.Tensor, torch.Tensor], golden_errors: dict
) -> None:
    predicted, target = pictures
    mask = target[..., 3] > 0
    error = normal_error_deg(decode_normals(predicted), decode_normals(target), mask).item()
    assert error == pytest.approx(golden_errors["normal_mae_deg_foreground_only"], rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 179.99), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_turn_by_an_angle_is_that_error_at_any_length(
    angle: float, length: float, other_length: float
) -> None:
    radians = np.deg2rad(angle)
    normal = length * torch.tensor([[[0.0, 0.0, 1.0]]], dtype=torch.float64)
    turned = torch.tensor([[[np.sin(radians), 0.0, np.cos(radians)]]], dtype=torch.float64)
    assert normal_error_deg(normal, other_length * turned).item() == pytest.approx(angle, abs=1e-5)


def test_opposite_and_missing_normals() -> None:
    up = torch.tensor([[[0.0, 0.0, 1.0]]])
    assert normal_error_deg(up, -up).item() == pytest.approx(180)
    assert normal_error_deg(up, 0 * up).item() == pytest.approx(90)


def test_eight_bit_background_is_exactly_the_background() -> None:
    pixel = torch.tensor([[[128.0, 128.0, 255.0]]]) / 255
    assert torch.equal(decode_normals(pixel), torch.tensor([[[0.0, 0.0, 1.0]]]))


def test_transparent_pixels_hold_the_background() -> None:
    pixel = torch.tensor([[[0.9, 0.1, 0.3, 0.0]]])
    assert torch.equal(decode_normals(pixel), torch.tensor([[[0.0, 0.0, 1.0]]]))


def test_each_view_weighs_the_same_however_little_it_shows() -> None:
    normals = torch.tensor([[0.0, 0, 1]]).expand(2, 2, 2, 3).clone()
    target = normals.clone()
    target[0] = torch.tensor([1.0, 0, 0])
    mask = torch.ones(2, 2, 2, dtype=torch.bool)
    mask[0, 0] = False
    metric = NormalError()
    metric.update(normals, target, mask=mask)
    assert metric.compute() == pytest.approx(45)


def test_an_empty_mask_is_refused() -> None:
    normals = torch.rand(2, 2, 3)
    with pytest.raises(DataError, match="no pixel set"):
        normal_error_deg(normals, normals, torch.zeros(2, 2, dtype=torch.bool))
