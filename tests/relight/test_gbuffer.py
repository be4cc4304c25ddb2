"""Maps of a view, against the plane or the ball that the Gaussians stand for."""

import math

import pytest
import torch
import trimesh
from torch.nn import functional

from fovea.relight.gbuffer import facing, gbuffer
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.scene import harmonics
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians

ALBEDO, ROUGHNESS, METALLIC = (0.6, 0.3, 0.1), 0.4, 0.7


def scene(means: torch.Tensor, normals: torch.Tensor, scales: tuple[float, ...]) -> Gaussians:
    """Discs of one material."""
    count = len(means)
    rows = {"albedo": ALBEDO, "roughness": (ROUGHNESS,), "metallic": (METALLIC,)}
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.tensor(scales).repeat(count, 1),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.ones(count, 3)),
        extras={"normal": normals}
        | {name: torch.tensor(values).repeat(count, 1) for name, values in rows.items()},
    )


@pytest.fixture(scope="module")
def floor() -> Gaussians:
    at = torch.linspace(-1, 1, 21)
    x, y = (values.reshape(-1) for values in torch.meshgrid(at, at, indexing="ij"))
    means = torch.stack([x, y, torch.zeros_like(x)], dim=-1)
    return scene(means, torch.tensor([[0.0, 0, 1]]).repeat(len(means), 1), (0.08, 0.08, 0.005))


def camera(position=(0.4, -0.8, 3.0), size: int = 32, fov: float = 1.0) -> Camera:
    return Camera.look_at(position, (0, 0, 0), fov_x=fov, height=size, width=size)


def ball_of(radius: float) -> Gaussians:
    made = trimesh.creation.icosphere(3)
    unit = functional.normalize(torch.tensor(made.vertices, dtype=torch.float32), dim=-1)
    # Normals that the surface has to put right.
    return scene(unit * radius, torch.tensor([[0.0, 0, 1]]).repeat(len(unit), 1), (0.06,) * 3)


def unit_ball() -> Tracer:
    made = trimesh.creation.icosphere(4)
    return Tracer(Mesh.from_triangles(made.vertices, made.faces))


def test_a_floor_is_seen_where_the_rays_meet_it_with_its_normal(floor):
    view = camera()
    buffer = gbuffer(floor, view)
    rays = view.directions(unit=False).float()
    distance = -view.position[2].float() / rays[..., 2]
    inside = buffer.alpha > 0.99
    assert inside.float().mean() > 0.2
    met = view.position.float() + distance.unsqueeze(-1) * rays
    # The depth is that of the discs' centres, which lie up to two radii from the ray.
    assert (buffer.points - met)[inside].norm(dim=-1).max() < 0.05
    torch.testing.assert_close(buffer.depth[inside], distance[inside], atol=0.05, rtol=0)
    up = torch.tensor([0.0, 0.0, 1.0]).expand(int(inside.sum()), 3)
    torch.testing.assert_close(buffer.normals[inside], up)
    to_eye = functional.normalize(view.position.float() - met, dim=-1)
    torch.testing.assert_close(buffer.view[inside], to_eye[inside], atol=1e-4, rtol=0)


def test_an_outline_has_the_material_of_the_thing_and_emptiness_none(floor):
    buffer = gbuffer(floor, camera())
    rim = (buffer.alpha > 0.05) & (buffer.alpha < 0.8)
    assert rim.sum() > 10
    for values, material in (
        (buffer.albedo, torch.tensor(ALBEDO)),
        (buffer.roughness, torch.tensor([ROUGHNESS])),
        (buffer.metallic, torch.tensor([METALLIC])),
    ):
        torch.testing.assert_close(values[rim], material.expand_as(values[rim]), atol=1e-4, rtol=0)
    empty = buffer.alpha == 0
    assert empty.any()
    for values in (buffer.albedo, buffer.normals, buffer.depth):
        assert not values[empty].any()


def test_the_published_maps_are_not_divided_by_alpha(floor):
    view = camera()
    ours, published = gbuffer(floor, view), gbuffer(floor, view, footprint="reference")
    rim = (ours.alpha > 0.1) & (ours.alpha < 0.8)
    faded = ours.albedo * ours.alpha.unsqueeze(-1)
    torch.testing.assert_close(published.albedo[rim], faded[rim], atol=0.03, rtol=0)
    assert (published.albedo[rim] < 0.9 * ours.albedo[rim]).all()


def test_what_lies_near_a_surface_takes_its_place_and_its_normal():
    view = camera((0.0, -4.0, 1.0), fov=0.7)
    buffer = gbuffer(ball_of(0.9), view, tracer=unit_ball())
    inside = buffer.alpha > 0.9
    assert inside.float().mean() > 0.2
    points = buffer.points[inside]
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(len(points)), atol=4e-3, rtol=0)
    # They stay on their rays.
    rays = functional.normalize(points - view.position.float(), dim=-1)
    torch.testing.assert_close(rays, -buffer.view[inside], atol=1e-5, rtol=0)
    straight = (functional.normalize(points, dim=-1) * buffer.view[inside]).sum(dim=-1) > 0.1
    turned = (buffer.normals[inside] * functional.normalize(points, dim=-1)).sum(dim=-1)
    assert turned[straight].min() > 0.999


def test_what_lies_far_from_a_surface_stays_where_it_is():
    view = camera((0.0, -4.0, 1.0), fov=0.7)
    alone, beside = gbuffer(ball_of(0.3), view), gbuffer(ball_of(0.3), view, tracer=unit_ball())
    torch.testing.assert_close(beside.points, alone.points)
    torch.testing.assert_close(beside.normals, alone.normals)


def test_gradients_reach_the_materials_and_not_the_geometry(floor):
    means, albedo = floor.means.clone(), floor.extras["albedo"].clone()
    moved = Gaussians(
        means.requires_grad_(),
        floor.quats,
        floor.scales,
        floor.opacities,
        floor.harmonics,
        extras=floor.extras | {"albedo": albedo.requires_grad_()},
    )
    buffer = gbuffer(moved, camera())
    assert not any(map_.requires_grad for map_ in (buffer.points, buffer.normals, buffer.alpha))
    buffer.albedo.sum().backward()
    assert albedo.grad is not None
    assert albedo.grad.sum() > 1
    assert means.grad is None or not means.grad.any()


def test_normals_that_face_away_are_bent_to_the_eye_and_no_farther():
    random = torch.Generator().manual_seed(0)
    view = functional.normalize(torch.randn(400, 3, generator=random), dim=-1)
    normals = functional.normalize(torch.randn(400, 3, generator=random), dim=-1)
    before = (normals * view).sum(dim=-1)
    bent = facing(3 * normals, view)
    after = (bent * view).sum(dim=-1)
    torch.testing.assert_close(bent.norm(dim=-1), torch.ones(400))
    # Very nearly opposite normals end a little above the horizon's least cosine.
    assert after.min() > 0.015
    torch.testing.assert_close(bent[before > 0.03], normals[before > 0.03])
    away = (before < 0) & (before > -0.9)
    assert after[away].max() < 0.06
    # They turn in the plane of the eye: what is across it stays.
    across = torch.linalg.cross(normals, view)
    assert (bent * across).sum(dim=-1).abs().max() < 1e-5


def test_no_normal_stays_none():
    view = torch.tensor([[0.0, 0.0, 1.0]])
    assert not facing(torch.zeros(1, 3), view).any()
    assert math.isclose(float(facing(-0.5 * view + 1e-3, view).norm()), 1, rel_tol=1e-5)
