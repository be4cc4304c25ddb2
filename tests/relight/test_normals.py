from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.normals import depth_to_normals, median_3x3
from fovea.scene.camera import Camera

SCENES = ("plane_exact_model", "plane_halfpix", "sphere", "random_holes")


@pytest.fixture(scope="module")
def known(goldens: Path) -> dict[str, np.ndarray]:
    return dict(np.load(goldens / "inverse-rendering/depth_normal.npz"))


@pytest.fixture(scope="module")
def camera(known) -> Camera:
    height, width = int(known["H"]), int(known["W"])
    intrinsics = [
        [float(known["fx"]), 0.0, width / 2],
        [0.0, float(known["fy"]), height / 2],
        [0.0, 0.0, 1.0],
    ]
    return Camera(known["world_to_cam"], intrinsics, height=height, width=width)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("normal", {"pixel_centre": 0.0}),
        ("normal_nomedian", {"median": False, "pixel_centre": 0.0}),
        ("normal_nomedian_halfpixel", {"median": False}),
    ],
)
def test_normals_of_a_depth_map_are_the_references(known, camera, scene, name, options):
    if f"{name}_{scene}" not in known:
        pytest.skip(f"the reference answers hold no {name}_{scene}")
    found = depth_to_normals(torch.from_numpy(known[f"depth_{scene}"]), camera, **options)
    np.testing.assert_allclose(
        found.normals.permute(2, 0, 1), known[f"{name}_{scene}"], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("scene", SCENES)
def test_the_median_takes_zeros_beyond_the_border(known, scene):
    found = median_3x3(torch.from_numpy(known[f"depth_{scene}"]))
    np.testing.assert_array_equal(found, known[f"median_{scene}"])


def test_a_wall_before_the_camera_has_normals_with_zero_components_and_they_count():
    wall = Camera(
        np.eye(4), [[20.0, 0.0, 8.0], [0.0, 20.0, 6.0], [0.0, 0.0, 1.0]], height=12, width=16
    )
    normals, valid = depth_to_normals(torch.full((12, 16), 2.0), wall, median=False)
    assert valid.sum() == (12 - 4) * (16 - 4)
    expected = torch.tensor([0.0, 0.0, -1.0]).expand(int(valid.sum()), 3)
    torch.testing.assert_close(normals[valid], expected, atol=1e-6, rtol=0)


def test_normals_move_the_depth_where_asked():
    depth = (
        2 + 0.1 * torch.rand(9, 9, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    view = Camera.from_fov(np.eye(4), fov_x=1.0, height=9, width=9)
    depth_to_normals(depth, view).normals.sum().backward()
    assert depth.grad is not None
    assert depth.grad.abs().sum() > 0
