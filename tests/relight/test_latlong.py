import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light import cubemap, latlong

# Closed formulas in float64 agree to their last digits.
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/cubemap.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.mark.parametrize(
    ("layout", "name"),
    [("reference", "env_dirs_center_16x32"), ("bake_reference", "env_dirs_bake_16x32")],
)
def test_the_published_grids_are_the_references(golden, layout, name):
    grid = latlong.directions(16, 32, layout=layout, dtype=torch.float64)
    torch.testing.assert_close(grid, golden[name], **TIGHT)


def test_a_map_becomes_the_references_cubemap(golden):
    made = latlong.to_cubemap(golden["latlong"], 16, mode="reference")
    torch.testing.assert_close(made, golden["cube16_from_latlong"], **TIGHT)


def test_a_cubemap_becomes_the_references_map(golden):
    made = latlong.from_cubemap(golden["cube16_from_latlong"], 32, layout="reference")
    torch.testing.assert_close(made, golden["latlong32x64_from_cube"], **TIGHT)


def test_solid_angles_of_rows_are_the_references(golden):
    angles = latlong.solid_angles(16, 32, dtype=torch.float64)
    torch.testing.assert_close(angles, golden["solid_angle_bake_16x32"], **TIGHT)
    assert angles.sum().item() == pytest.approx(4 * math.pi)


def test_rows_go_down_from_plus_y_and_columns_right_from_minus_z_to_plus_x():
    grid = latlong.directions(90, 180)
    torch.testing.assert_close(grid[0, 5], torch.tensor([0.0, 1, 0]), rtol=0, atol=0.02)
    torch.testing.assert_close(grid[45, 90], torch.tensor([0.0, 0, -1]), rtol=0, atol=0.05)
    torch.testing.assert_close(grid[45, 135], torch.tensor([1.0, 0, 0]), rtol=0, atol=0.05)


@pytest.mark.parametrize("mode", ["corrected", "reference"])
def test_a_texel_is_found_in_its_own_direction(mode):
    values = torch.rand(8, 16, 3, dtype=torch.float64)
    grid = latlong.directions(8, 16, dtype=torch.float64)
    torch.testing.assert_close(latlong.sample(values, grid, mode=mode), values)


def test_at_a_pole_the_corrected_lookup_stays_there():
    half_bright = torch.zeros(8, 16, 1)
    half_bright[4:] = 1
    above = torch.tensor([0.0, 1, 0])
    assert latlong.sample(half_bright, above) == 0
    assert latlong.sample(half_bright, above, mode="reference") == 0.5


def test_a_pole_is_the_mean_of_opposite_columns_from_every_side():
    half_bright = torch.zeros(8, 16, 1, dtype=torch.float64)
    half_bright[:, :8] = 1
    beside = latlong.directions(10_000, 16, dtype=torch.float64)[0]
    seen = latlong.sample(half_bright, beside)
    torch.testing.assert_close(seen, torch.full_like(seen, 0.5), rtol=0, atol=1e-3)


def test_a_small_sun_keeps_its_power_on_a_coarse_cubemap():
    sun = torch.zeros(64, 128, 1, dtype=torch.float64)
    sun[20, 31] = 1e4
    power = (sun.squeeze(-1) * latlong.solid_angles(64, 128, dtype=torch.float64)).sum()
    angles = cubemap.solid_angles(8, dtype=torch.float64).unsqueeze(-1)
    kept = (latlong.to_cubemap(sun, 8) * angles).sum()
    # The sun is integrated at two points a texel each way.
    assert kept.item() == pytest.approx(power.item(), rel=0.03)
    lost = (latlong.to_cubemap(sun, 8, mode="reference") * angles).sum()
    assert abs(lost.item() / power.item() - 1) > 0.5
