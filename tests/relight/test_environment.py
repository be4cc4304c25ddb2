import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.relight.light import cubemap, latlong
from fovea.relight.light.environment import Environment
from fovea.scene.radiance import write_radiance

UPS = ["z", "y", (0.3, -1.0, 0.2), (0.0, 0.0, -2.0)]


def spots(height: int = 32) -> torch.Tensor:
    """A dim map with a bright texel, so that sampling by power matters."""
    torch.manual_seed(0)
    radiance = torch.rand(height, 2 * height, 3) ** 4
    radiance[5, 7] = 300
    return radiance


def test_z_up_follows_the_sentence_of_the_datas_readme():
    # "row 0 is +z; the centre column is +x; columns to the right turn towards -y"
    radiance = torch.zeros(64, 128, 3)
    radiance[0, :, 0] = 1
    radiance[31:33, 63:65, 1] = 1
    radiance[31:33, 95:97, 2] = 1
    light = Environment(radiance, up="z")
    x, y, z = torch.eye(3)
    assert light.radiance_at(torch.stack([z, x, -y])).argmax(dim=1).tolist() == [0, 1, 2]
    assert light.radiance_at(torch.stack([-z, -x, y])).sum() == 0


def test_z_up_is_the_data_readmes_formula():
    height, width = 16, 32
    light = Environment(torch.rand(height, width, 3, dtype=torch.float64), up="z")
    x, y, z = directions = torch.nn.functional.normalize(torch.randn(3, 50).double(), dim=0)
    column = ((0.5 - torch.atan2(y, x) / (2 * math.pi)) * width).long()
    row = (torch.acos(z) / math.pi * height).long()
    pdf = Environment(light.radiance, up="z").importance().pdf(directions.T)
    shares = light.importance().shares[row, column]
    angles = latlong.solid_angles(height, width, dtype=torch.float64)[row, column]
    torch.testing.assert_close(pdf, shares / angles)


def test_y_up_is_the_maps_own_axes():
    grid, light = latlong.directions(32, 64, dtype=torch.float64), spots().double()
    torch.testing.assert_close(Environment(light, up="y").radiance_at(grid), light)


def test_z_as_a_direction_is_the_z_preset():
    a, b = (Environment(spots(), up=up).native_from_world for up in ("z", (0.0, 0.0, 3.0)))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("up", UPS)
def test_the_poles_look_along_up_and_axes_stay_orthonormal(up):
    axes = Environment(spots(), up=up, yaw_deg=40).native_from_world
    torch.testing.assert_close(axes @ axes.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(axes).item() == pytest.approx(1)
    above = {"z": (0.0, 0, 1), "y": (0.0, 1, 0)}.get(up, up) if isinstance(up, str) else up
    native = axes @ torch.nn.functional.normalize(torch.tensor(above, dtype=torch.float64), dim=0)
    torch.testing.assert_close(native, torch.tensor([0.0, 1, 0], dtype=torch.float64))


@pytest.mark.parametrize(("up", "ends"), [("z", (0.0, 1.0, 0.0)), ("y", (0.0, 0.0, -1.0))])
def test_yaw_turns_the_light_counterclockwise_seen_from_above(up, ends):
    light = Environment(spots(64), up=up)
    start = torch.tensor([[1.0, 0, 0]])
    turned = light.rotated(60).rotated(30).radiance_at(torch.tensor([ends]))
    torch.testing.assert_close(turned, light.radiance_at(start), rtol=1e-3, atol=1e-4)


def test_exposure_doubles_the_light_a_stop():
    light = Environment(spots(), exposure=2)
    down = torch.tensor([0.0, 0, -1])
    torch.testing.assert_close(light.radiance_at(down), 4 * Environment(spots()).radiance_at(down))
    torch.testing.assert_close(
        light.to_world_cubemap(8), 4 * Environment(spots()).to_world_cubemap(8)
    )


@pytest.mark.parametrize("up", UPS)
def test_the_world_cubemap_shows_what_comes_from_each_direction(up):
    smooth = latlong.directions(32, 64) * 0.5 + 0.5
    light = Environment(smooth, up=up, yaw_deg=25)
    around = cubemap.texel_directions(16)
    torch.testing.assert_close(
        light.to_world_cubemap(16), light.radiance_at(around), rtol=0, atol=0.01
    )


@pytest.mark.parametrize("up", UPS)
def test_the_density_of_drawn_directions_integrates_to_one(up):
    sampler = Environment(spots(), up=up, yaw_deg=70).importance()
    grid = latlong.directions(256, 512, dtype=torch.float64)
    world = grid @ sampler.native_from_world
    total = (sampler.pdf(world) * latlong.solid_angles(256, 512, dtype=torch.float64)).sum()
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_drawn_directions_come_with_their_density_and_estimate_the_whole_light():
    light = Environment(spots(), up="z", yaw_deg=10)
    sampler = light.importance()
    side = 128
    grid = (torch.arange(side) + 0.5) / side
    directions, pdf = sampler.sample(torch.cartesian_prod(grid, grid))
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(side * side))
    torch.testing.assert_close(pdf, sampler.pdf(directions), rtol=1e-4, atol=0)
    fine = latlong.directions(256, 512)
    truth = (light.radiance_at(fine) * latlong.solid_angles(256, 512).unsqueeze(-1)).sum((0, 1))
    estimate = (light.radiance_at(directions) / pdf.unsqueeze(-1)).mean(dim=0)
    # 16 384 stratified directions; the map's bright spot alone carries a third of the light.
    torch.testing.assert_close(estimate, truth, rtol=0.01, atol=0)


def test_black_is_sampled_evenly_and_lit_texels_beside_black_ones_are_reached():
    black = Environment(torch.zeros(4, 8, 3)).importance()
    grid = latlong.directions(5, 10)
    torch.testing.assert_close(black.pdf(grid), torch.full((5, 10), 1 / (4 * math.pi)))
    one = torch.zeros(8, 16, 3)
    one[4, 4] = 1
    light = Environment(one, up="y")
    fine = latlong.directions(200, 400)
    is_lit = light.radiance_at(fine).sum(dim=-1) > 0
    assert bool((light.importance().pdf(fine)[is_lit] > 0).all())


def test_reading_takes_a_file(tmp_path: Path):
    write_radiance(tmp_path / "sky.exr", spots().numpy())
    light = Environment.read(tmp_path / "sky.exr", up="y", yaw_deg=5, exposure=1)
    assert np.array_equal(light.radiance.numpy(), spots().numpy())
    assert (light.up, light.yaw_deg, light.exposure) == ("y", 5, 1)


def test_maps_and_axes_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"found \(8, 8, 3\)"):
        Environment(torch.zeros(8, 8, 3))
    with pytest.raises(DataError, match="found 'x'"):
        Environment(spots(), up="x")
    with pytest.raises(DataError, match=r"found \(0.0, 0.0, 0.0\)"):
        Environment(spots(), up=(0.0, 0.0, 0.0))
