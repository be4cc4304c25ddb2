from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.shading import reference
from fovea.relight.shading.reference import DrawnMaps, Flags
from fovea.relight.shading.split_sum import BlurredLight, shade
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians

HEIGHT, WIDTH = 12, 16


@pytest.fixture(scope="module")
def rays(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/camera_rays.npz")
    return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}


def golden_camera(rays: dict[str, torch.Tensor]) -> Camera:
    fov_x = 2 * torch.atan(rays["tan_fovx"]).item()
    height, width = int(rays["H"]), int(rays["W"])
    return Camera.from_fov(rays["world_to_cam"], fov_x=fov_x, height=height, width=width)


def camera() -> Camera:
    return Camera.look_at((0, -3, 0.5), (0, 0, 0), fov_x=0.8, height=HEIGHT, width=WIDTH)


def maps(height: int = HEIGHT, width: int = WIDTH) -> DrawnMaps:
    torch.manual_seed(0)
    alpha = torch.rand(height, width, dtype=torch.float64) * 0.8 + 0.1
    normals = torch.randn(height, width, 3).double() * alpha.unsqueeze(-1)
    rest = torch.rand(height, width, 5).double() * alpha.unsqueeze(-1)
    albedo, roughness, metallic = rest.split([3, 1, 1], dim=-1)
    return DrawnMaps(normals, albedo, roughness, metallic, alpha, 3 + alpha)


def even_light(level: float = 0.8) -> BlurredLight:
    even = torch.full((6, 16, 16, 3), level, dtype=torch.float64)
    return BlurredLight(even, [even, even, even])


def table() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(8, 8, 2, dtype=torch.float64) / 2


def test_points_and_view_directions_are_the_references(rays):
    drawn = replace(maps(*rays["z_depth"].shape), depth=rays["z_depth"])
    found = reference.surface(drawn, golden_camera(rays), is_training=True)
    torch.testing.assert_close(found.view, rays["view_dirs"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        found.points, rays["points_reference_clamp1p5"], rtol=1e-9, atol=1e-12
    )


def test_one_set_of_rays_serves_every_view_when_asked_for(rays):
    drawn, own = maps(*rays["z_depth"].shape), golden_camera(rays)
    first = Camera.look_at(
        (0, 5, 1), (0, 0, 0), fov_x=own.fov_x, height=own.height, width=own.width
    )
    same = reference.surface(drawn, own, is_training=True, first_camera=first)
    torch.testing.assert_close(same.view, rays["view_dirs"], rtol=1e-9, atol=1e-12)


def test_a_normal_with_a_zero_component_is_masked_out():
    drawn = maps()
    drawn.normals[2, 3, 1] = 0
    assert not reference.surface(drawn, camera(), is_training=True).mask[2, 3]
    picture = reference.shade_view(
        reference.surface(drawn, camera(), is_training=True), even_light(), table(), Flags()
    )
    assert picture[2, 3].sum() == 0
    assert (picture.sum(dim=-1) == 0).sum() == 1


def test_training_lifts_roughness_and_keeps_normals():
    found = reference.surface(maps(), camera(), is_training=True)
    torch.testing.assert_close(found.roughness, 0.96 * maps().roughness + 0.04)
    unit = torch.nn.functional.normalize(maps().normals, dim=-1)
    torch.testing.assert_close(found.normals, unit)


def test_evaluation_pads_normals_and_takes_the_background_for_rough():
    drawn = maps()
    drawn.alpha[0, 0], drawn.alpha[0, 1] = 0.001, 0.999
    found = reference.surface(drawn, camera(), is_training=False)
    alpha = drawn.alpha.unsqueeze(-1)
    torch.testing.assert_close(found.roughness, drawn.roughness + 1 - alpha)
    assert found.normals[0, 0].tolist() == [0, 0, 1]
    unit = torch.nn.functional.normalize(drawn.normals, dim=-1)
    torch.testing.assert_close(found.normals[0, 1], unit[0, 1])
    faded = drawn.normals * alpha + (1 - alpha) * torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(found.normals[1:], torch.nn.functional.normalize(faded, dim=-1)[1:])


def test_without_indirect_light_the_volumes_are_not_used():
    pixels = reference.surface(maps(), camera(), is_training=True)
    dark = torch.zeros(HEIGHT, WIDTH, 1, dtype=torch.float64)
    pictures = [
        reference.shade_view(
            pixels, even_light(), table(), Flags(indirect=on), visibility=dark, irradiance=dark
        )
        for on in (False, True)
    ]
    assert pictures[0].sum() > pictures[1].sum()


def test_the_picture_is_the_split_sum_of_the_surface():
    pixels = reference.surface(maps(), camera(), is_training=True)
    flags = Flags(tone=True, gamma=True, metallic=True)
    expected = shade(
        even_light(),
        table(),
        mask=pixels.mask,
        tone=True,
        gamma=True,
        normals=pixels.normals,
        view=pixels.view,
        albedo=pixels.albedo,
        roughness=pixels.roughness,
        metallic=pixels.metallic,
    )
    assert torch.equal(reference.shade_view(pixels, even_light(), table(), flags), expected)


def test_a_drawn_scene_gives_gradients_to_materials_and_none_to_geometry():
    torch.manual_seed(0)
    count, double = 30, {"dtype": torch.float64}
    materials = {
        "albedo": torch.rand(count, 3, requires_grad=True, **double),
        "roughness": torch.rand(count, 1, requires_grad=True, **double),
        "metallic": torch.rand(count, 1, requires_grad=True, **double),
    }
    normals = torch.randn(count, 3, requires_grad=True, **double)
    means = (torch.rand(count, 3, **double) - 0.5).requires_grad_()
    gaussians = Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, **double), dim=-1),
        scales=torch.full((count, 3), 0.2, **double),
        opacities=torch.full((count,), 0.7, **double),
        harmonics=torch.zeros(count, 1, 3, **double),
        extras={"normal": normals, **materials},
    )
    pixels = reference.surface(reference.draw(gaussians, camera()), camera(), is_training=True)
    flags = Flags(gamma=True, metallic=True)
    reference.shade_view(pixels, even_light(0.5), table(), flags).sum().backward()
    assert all(values.grad.abs().sum() > 0 for values in materials.values())
    assert all(values.grad is None or not values.grad.any() for values in (means, normals))
