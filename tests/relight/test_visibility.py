import math

import numpy as np
import pytest
import torch
import trimesh

from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.volumes import visibility
from fovea.relight.volumes.lobe import cosine_visibility
from fovea.relight.volumes.visibility import (
    Cubes,
    Rays,
    hidden_from_all,
    shown_depths,
    spread_directions,
    traced_visibility,
)
from fovea.scene import harmonics
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import basis

UP = np.array([0.0, 0.0, 1.0])


def ball(radius: float = 1.0) -> Tracer:
    made = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Tracer(Mesh.from_triangles(made.vertices, made.faces))


def slab() -> Gaussians:
    """An opaque floor at z = 0, 4 wide, of overlapping discs."""
    at = torch.linspace(-2, 2, 33)
    x, y = torch.meshgrid(at, at, indexing="ij")
    means = torch.stack([x.reshape(-1), y.reshape(-1), torch.zeros(33 * 33)], dim=-1)
    count = len(means)
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.tensor([[0.1, 0.1, 0.005]]).repeat(count, 1),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.ones(count, 3)),
    )


def capped(height: float) -> torch.Tensor:
    """The exact coefficients of what is seen above a unit ball: all but a cap below."""
    edge = -math.sqrt(1 - 1 / (1 + height) ** 2)
    t = np.linspace(edge, 1, 20001)
    legendre = (np.ones_like(t), t, (3 * t**2 - 1) / 2, (5 * t**3 - 3 * t) / 2)
    bands = [2 * math.pi * np.trapezoid(p, t) for p in legendre]
    each = np.repeat(bands, [1, 3, 5, 7])
    return torch.from_numpy(each) * basis(torch.from_numpy(UP), 3)


@pytest.mark.parametrize("height", [0.1, 0.5, 2.0])
def test_rays_over_a_ball_see_all_but_its_cap(height):
    found, is_inside = Rays(ball(), 1024, 1e-3)(UP[None] * (1 + height))
    # 1024 directions: each stands for 0.012 of the sphere's 12.6.
    np.testing.assert_allclose(found[0], capped(height), atol=0.03)
    assert not is_inside.any()


def test_rays_inside_a_ball_say_so():
    places = np.array([[0.0, 0, 0], [0.9, 0, 0], [1.1, 0, 0]])
    assert Rays(ball(), 64, 1e-3)(places)[1].tolist() == [True, True, False]


def test_hiding_fades_with_distance():
    near, far = UP[None] * 1.1, UP[None] * 3
    sharp, soft = Rays(ball(), 256, 1e-3), Rays(ball(), 256, 1e-3, threshold=0.5)
    assert soft(near)[0][0, 0] > sharp(near)[0][0, 0] + 0.1
    assert soft(far)[0][0, 0] == pytest.approx(math.sqrt(4 * math.pi), rel=1e-3)
    assert sharp(far)[0][0, 0] < 3.45


def test_rays_are_traced_in_any_number_of_parts_to_the_same_bits(monkeypatch):
    places = np.random.default_rng(0).normal(size=(20, 3)) * 2
    whole, _ = Rays(ball(), 64, 1e-3)(places)
    monkeypatch.setattr(visibility, "RAYS_AT_ONCE", 7 * 64)
    np.testing.assert_array_equal(Rays(ball(), 64, 1e-3)(places)[0], whole)


@pytest.mark.parametrize("height", [0.1, 0.3])
def test_cubes_over_a_floor_see_the_upper_half(height):
    found, is_inside = Cubes(slab(), 16, 1e-3)(np.array([[0.05, 0.03, height]]))
    upwards = torch.tensor([[0.0, 0.0, 1.0]])
    assert cosine_visibility(torch.from_numpy(found), upwards).item() > 0.95
    assert cosine_visibility(torch.from_numpy(found), -upwards).item() < 0.1
    assert not is_inside.any()


def test_the_published_cubes_lose_what_is_nearer_than_their_near_plane():
    published = Cubes(slab(), 16, 0.2, 0.25, softly=False, layout="reference", within=1.5)
    found, _ = published(np.array([[0.05, 0.03, 0.1]]))
    floor = cosine_visibility(torch.from_numpy(found), torch.tensor([[0.0, 0.0, -1.0]]))
    assert floor.item() > 0.5


def test_gaussians_that_cannot_reach_a_face_change_nothing(monkeypatch, balls):
    places = np.array([[0.0, 0.0, 0.0], [0.4, -0.3, 0.8]])
    cubes = Cubes(balls, 16, 0.2, 0.6, softly=False, layout="reference")
    culled, _ = cubes(places)
    monkeypatch.setattr(
        visibility, "_may_reach", lambda at, *_: torch.ones(len(at), dtype=torch.bool)
    )
    np.testing.assert_array_equal(cubes(places)[0], culled)


def test_a_place_that_no_view_sees_free_lies_inside():
    views = [
        Camera.look_at((0, 2 * s, 3), (0, 0, 0), fov_x=1.2, height=48, width=48) for s in (-1, 1)
    ]
    places = np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.3], [0.0, 0.0, 50.0]])
    depths = shown_depths(slab(), views)
    assert hidden_from_all(places, views, depths).tolist() == [False, True, True]
    assert Cubes(slab(), 4, 1e-3, views=views, depths=depths)(places)[1].tolist() == [
        *(False, True, True)
    ]


def test_a_ball_alone_sees_all_of_its_sky():
    outwards = spread_directions(50)
    found = traced_visibility(ball(), outwards, outwards, rays=64, near=1e-2)
    assert found.min() > 0.97


def test_directions_are_spread_evenly():
    directions = spread_directions(256)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    moments = basis(torch.from_numpy(directions), 3).mean(dim=0)
    np.testing.assert_allclose(moments[1:], 0, atol=2e-3)
