"""How much light reaches a place, against closed forms and against the integral itself."""

import math

import numpy as np
import pytest
import torch
import trimesh

from fovea.errors import StoppedError
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.surface.transfer import ambient, lifted, sphere, transfer
from fovea.scene.harmonics import C0, basis

COSINE = (1.0, 2 / 3, 1 / 4, 0.0)
"""Of a clamped cosine over pi, by band: Ramamoorthi and Hanrahan (2001), their A_l / pi."""


def as_mesh(made: trimesh.Trimesh) -> Mesh:
    return Mesh.from_triangles(made.vertices, made.faces)


def plate(size: float = 1.0) -> Mesh:
    return Mesh.from_triangles(
        np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size, [[0, 1, 2], [0, 2, 3]]
    )


def test_directions_are_spread_evenly() -> None:
    around = sphere(512)
    assert np.allclose(np.linalg.norm(around, axis=1), 1, atol=1e-6)
    mean = basis(torch.from_numpy(around), 3).mean(dim=0).numpy()
    assert mean[0] == pytest.approx(C0)
    assert np.abs(mean[1:]).max() < 2e-3


def test_a_ball_is_lit_as_the_closed_form_says() -> None:
    mesh = as_mesh(trimesh.creation.icosphere(3))
    found = transfer(Tracer(mesh), mesh.vertices, mesh.normals, rays=1024)
    harmonics = basis(torch.from_numpy(mesh.normals), 3).numpy()
    factors = np.repeat(COSINE, [1, 3, 5, 7])
    # The ball is a polyhedron: a few rays close to its horizon are cut off.
    assert np.abs(found - harmonics * factors).max() < 0.03
    assert ambient(found).mean() == pytest.approx(1, abs=0.01)


def test_a_wall_takes_the_light_of_its_side() -> None:
    # A wall along the y axis hides all directions with x > 0.
    wall = Mesh.from_triangles([[0.01, -99, -99], [0.01, 99, -99], [0.01, 0, 199]], [[0, 1, 2]])
    point = np.array([[0.0, 0.0, 0.001]], np.float32)
    up = np.array([[0.0, 0.0, 1.0]], np.float32)
    corners = np.concatenate([plate(9).vertices, wall.vertices])
    both = Mesh.from_triangles(corners, np.concatenate([plate().faces, wall.faces + 4]))
    found = transfer(Tracer(both), point, up, rays=4096)
    around = sphere(4096)
    cosine = np.maximum(around[:, 2], 0) * (around[:, 0] < 0)
    harmonics = basis(torch.from_numpy(around), 3).numpy()
    integral = 4 * math.pi / len(around) * (cosine @ harmonics) / math.pi
    assert np.abs(found[0] - integral).max() < 0.01
    assert ambient(found)[0] == pytest.approx(0.5, abs=0.01)


def test_diffuse_light_under_an_even_sky_is_albedo_times_the_open_share() -> None:
    pit = as_mesh(trimesh.creation.annulus(r_min=0.5, r_max=0.6, height=1.0))
    deep = np.array([[0.0, 0.0, -0.5]], np.float32)
    up = np.array([[0.0, 0.0, 1.0]], np.float32)
    found = transfer(Tracer(pit), deep, up, rays=4096)
    # Down in a pipe of depth 1 and radius 0.5 a disc of the sky is seen: r^2 / (r^2 + d^2).
    assert ambient(found)[0] == pytest.approx(0.25 / 1.25, abs=0.01)
    even_sky = np.zeros(16)
    even_sky[0] = 1 / C0
    assert found[0] @ even_sky == pytest.approx(0.2, abs=0.01)


def test_a_point_below_the_surface_is_lifted_out_and_one_above_stays() -> None:
    mesh = plate()
    points = np.array([[1, 1, -0.3], [1, 1, 5.0]], np.float32)
    up = lifted(mesh, points)
    assert up[0, 2] > 0
    assert np.array_equal(up[1], points[1])


def test_the_work_can_be_stopped_and_asked_again_gives_the_same() -> None:
    mesh = as_mesh(trimesh.creation.icosphere(1))
    tracer = Tracer(mesh)
    first, second = (transfer(tracer, mesh.vertices, mesh.normals, rays=64) for _ in range(2))
    assert np.array_equal(first, second)

    def stop(done: int, total: int) -> None:
        raise StoppedError("enough")

    with pytest.raises(StoppedError):
        transfer(tracer, mesh.vertices, mesh.normals, rays=64, watch=stop)
