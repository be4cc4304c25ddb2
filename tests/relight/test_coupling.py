"""What draws Gaussians into a surface, against plain equations."""

from dataclasses import replace

import pytest
import torch

from fovea.relight.coupling import carried, coupling_loss
from fovea.relight.settings.fit import LossConfig
from fovea.scene import harmonics
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

OFF = {"axes": 0.0, "spread": 0.0, "thickness": 0.0}


def only(**weights: float) -> LossConfig:
    return LossConfig(**(OFF | weights))


def discs(depths: list[float], opacities: list[float], width: float = 9.0) -> Gaussians:
    """Wide discs across the axis of a camera at the origin that looks along +z."""
    count = len(depths)
    means = torch.tensor([[0.0, 0.0, depth] for depth in depths])
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.tensor([[width, width, 0.01]]).repeat(count, 1),
        opacities=torch.tensor(opacities),
        harmonics=harmonics.from_colors(torch.ones(count, 3)),
    )


def ahead(size: int = 12) -> Camera:
    return Camera.from_fov(torch.eye(4), fov_x=0.6, height=size, width=size)


def loss(gaussians: Gaussians, camera: Camera, weights: LossConfig) -> torch.Tensor:
    raster = rasterize(gaussians, camera, features=carried(gaussians, camera), depth_gradient=True)
    return coupling_loss(raster.features, raster.alpha, raster.depth, gaussians, camera, weights)


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.9), (0.9, 0.9), (0.2, 0.4)])
def test_the_spread_of_two_layers_is_the_variance_of_their_depths_over_its_square(first, second):
    weights = torch.tensor([first, (1 - first) * second])
    depths = torch.tensor([2.0, 2.6])
    mean = (weights * depths).sum() / weights.sum()
    variance = (weights * (depths - mean).square()).sum()
    found = loss(discs([2.0, 2.6], [first, second]), ahead(), only(spread=1.0))
    # The discs fade a little towards the corners of the picture.
    assert found.item() == pytest.approx((variance / mean.square()).item(), rel=0.02)


def test_one_layer_has_no_spread_however_far_it_is():
    assert loss(discs([80.0], [0.9], 900.0), ahead(), only(spread=1.0)) < 1e-4


def test_discs_that_face_as_the_depth_does_are_not_turned():
    assert loss(discs([2.0, 2.0], [0.99, 0.99]), ahead(), only(axes=1.0)) < 2e-3


def test_an_axis_that_points_elsewhere_costs_one_less_its_cosine():
    camera = ahead()
    angle = torch.tensor(0.5)
    normal = torch.stack([angle.sin(), torch.zeros(()), -angle.cos()])
    blended = torch.cat([normal, torch.zeros(2)]).expand(12, 12, 5)
    depth, alpha = torch.full((12, 12), 2.0), torch.ones(12, 12)
    some = discs([2.0], [0.9])
    found = coupling_loss(blended, alpha, depth, some, camera, only(axes=1.0))
    # Two pixels around the rim have no normal of the depth.
    share = (8 / 12) ** 2
    assert found.item() == pytest.approx(share * (1 - angle.cos().item()), rel=1e-4)
    nothing = coupling_loss(blended, 0.4 * alpha, depth, some, camera, only(axes=1.0))
    assert nothing == 0


def test_the_shortest_axis_is_carried_and_turned_to_the_camera():
    quarter = 0.5**0.5
    some = replace(
        discs([2.0, 2.0, 2.0], [0.9] * 3),
        scales=torch.tensor([[9.0, 9, 0.1], [0.1, 9, 9], [9, 9, 0.1]]),
        # The second has its x axis turned to z by a quarter about y, the third lies on its back.
        quats=torch.tensor([[1.0, 0, 0, 0], [quarter, 0, -quarter, 0], [0, 1, 0, 0]]),
    )
    found = carried(some, ahead())[:, :3]
    torch.testing.assert_close(found, torch.tensor([[0.0, 0, -1]]).repeat(3, 1))


def test_thickness_is_the_mean_of_the_smallest_scales_over_their_depths():
    some = discs([2.0, 2.5, -3.0], [0.9, 0.9, 0.9])
    found = loss(some, ahead(), only(thickness=2.0))
    assert found.item() == pytest.approx(2 * (0.01 / 2.0 + 0.01 / 2.5) / 2)


def test_a_scene_of_another_size_costs_the_same():
    random = torch.Generator().manual_seed(1)
    some = discs([2.0, 2.4, 3.0], [0.6, 0.8, 0.9], 0.6)
    quats = torch.nn.functional.normalize(
        some.quats + 0.2 * torch.randn(3, 4, generator=random), dim=-1
    )
    some = replace(some, quats=quats)
    camera = Camera.look_at((0.3, 0.2, -0.5), (0, 0, 2.0), fov_x=0.6, height=12, width=12)
    weights = only(axes=1.0, spread=1.0, thickness=1.0)
    here = loss(some, camera, weights)
    pose = camera.world_to_camera.clone()
    pose[:3, 3] *= 7
    large = replace(some, means=7 * some.means, scales=7 * some.scales)
    there = loss(large, replace(camera, world_to_camera=pose), weights)
    assert here > 1e-3
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "reached"),
    [({"axes": 1.0}, "quats"), ({"spread": 1.0}, "means"), ({"thickness": 1.0}, "scales")],
)
def test_each_term_moves_the_geometry(weights, reached):
    some = discs([2.0, 2.5], [0.6, 0.9])
    tilted = torch.nn.functional.normalize(some.quats + torch.tensor([0, 0.1, 0.05, 0]), dim=-1)
    some = replace(
        some,
        means=some.means.clone().requires_grad_(),
        quats=tilted.requires_grad_(),
        scales=some.scales.clone().requires_grad_(),
    )
    loss(some, ahead(), only(**weights)).backward()
    moved = getattr(some, reached).grad
    assert torch.isfinite(moved).all()
    assert moved.abs().sum() > 0
    if reached == "means":
        # The front layer is drawn back and the hind one forward.
        assert moved[0, 2] < 0 < moved[1, 2]
