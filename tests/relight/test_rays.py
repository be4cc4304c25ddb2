"""Rays hit what the plain equations say they hit."""

import numpy as np
import pytest
import trimesh

from fovea.errors import DataError
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer


def brute_force(
    mesh: Mesh, origins: np.ndarray, directions: np.ndarray, near: float, far: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest triangle of each ray, tried one by one in double precision.

    Source: Moeller and Trumbore, "Fast, minimum storage ray/triangle intersection" (1997).
    """
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64)[None] for i in range(3))
    start, along = origins.astype(np.float64)[:, None], directions.astype(np.float64)[:, None]
    p = np.cross(along, c - a)
    determinant = (p * (b - a)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((start - a) * p).sum(-1) / determinant
        q = np.cross(start - a, b - a)
        v = (along * q).sum(-1) / determinant
        distance = ((c - a) * q).sum(-1) / determinant
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance >= near) & (distance <= far)
    distance = np.where(inside, distance, np.inf)
    face = distance.argmin(axis=1)
    rows = np.arange(len(face))
    found = np.isfinite(distance[rows, face])
    barycentric = np.stack([u[rows, face], v[rows, face]], axis=1)
    return distance[rows, face], np.where(found, face, -1), barycentric


@pytest.fixture(scope="module")
def scene() -> tuple[Mesh, np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    corners = random.normal(size=(60, 1, 3)) + 0.7 * random.normal(size=(60, 3, 3))
    mesh = Mesh.from_triangles(corners.reshape(-1, 3), np.arange(180).reshape(-1, 3))
    origins = random.normal(size=(3000, 3)).astype(np.float32) * 2
    directions = random.normal(size=(3000, 3)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return mesh, origins, directions


@pytest.mark.parametrize(("near", "far"), [(0.0, np.inf), (0.5, np.inf), (0.3, 1.5)])
def test_the_first_hit_is_that_of_every_triangle_tried_in_turn(
    scene: tuple[Mesh, np.ndarray, np.ndarray], near: float, far: float
) -> None:
    mesh, origins, directions = scene
    distance, face, barycentric = brute_force(mesh, origins, directions, near, far)
    hits = Tracer(mesh).hit(origins, directions, near=near, far=far)
    # Rays through an edge, or that end on a triangle, may go either way in single precision.
    same = hits.face == face
    assert same.mean() > 0.998
    found = same & hits.found
    assert found.sum() > 200
    assert np.allclose(hits.distance[found], distance[found], atol=1e-4)
    assert np.allclose(hits.barycentric[found], barycentric[found], atol=1e-3)
    assert np.isinf(hits.distance[~hits.found]).all()
    hidden = Tracer(mesh).occluded(origins, directions, near=near, far=far)
    assert (hidden == (face >= 0)).mean() > 0.998


def test_values_at_vertices_are_mixed_at_the_hit(
    scene: tuple[Mesh, np.ndarray, np.ndarray],
) -> None:
    mesh, origins, directions = scene
    hits = Tracer(mesh).hit(origins, directions, near=0)
    places = origins + directions * np.where(hits.found, hits.distance, 0)[:, None]
    mixed = hits.interpolate(mesh, mesh.vertices)
    assert np.allclose(mixed[hits.found], places[hits.found], atol=1e-3)
    assert not mixed[~hits.found].any()


def test_each_ray_may_have_a_reach_of_its_own_which_is_not_written_over() -> None:
    mesh = Mesh.from_triangles([[-9, -9, 1], [9, -9, 1], [0, 9, 1]], [[0, 1, 2]])
    origins = np.zeros((3, 3), np.float32)
    up = np.repeat(np.array([[0, 0, 1]], np.float32), 3, axis=0)
    far = np.array([0.5, 1.5, np.inf], np.float32)
    tracer = Tracer(mesh)
    assert tracer.occluded(origins, up, far=far).tolist() == [False, True, True]
    assert tracer.hit(origins, up, near=np.array([0, 0, 2], np.float32)).found.tolist() == [
        True, True, False
    ]  # fmt: skip
    assert far.tolist() == [0.5, 1.5, np.inf]


def test_no_rays_hit_nothing() -> None:
    tracer = Tracer(Mesh.from_triangles(np.eye(3), [[0, 1, 2]]))
    nothing = np.zeros((0, 3), np.float32)
    assert tracer.hit(nothing, nothing).distance.shape == (0,)
    assert tracer.occluded(nothing, nothing).shape == (0,)


def test_a_ball_hides_the_half_of_the_sky_below_a_place_on_it() -> None:
    made = trimesh.creation.icosphere(4)
    tracer = Tracer(Mesh.from_triangles(made.vertices, made.faces))
    random = np.random.default_rng(0)
    directions = random.normal(size=(4000, 3)).astype(np.float32)
    top = np.repeat(np.array([[0, 0, 1.01]], np.float32), 4000, axis=0)
    hidden = tracer.occluded(top, directions)
    assert hidden.mean() == pytest.approx(0.5, abs=0.08)
    assert (directions[hidden, 2] < 0).all()


def test_rays_need_a_surface_and_shapes_that_agree() -> None:
    empty = Mesh.from_triangles(np.eye(3), np.zeros((0, 3)))
    with pytest.raises(DataError, match="3 vertices and no faces"):
        Tracer(empty)
    tracer = Tracer(Mesh.from_triangles(np.eye(3), [[0, 1, 2]]))
    with pytest.raises(DataError, match=r"got \[2, 3\] and \[3, 3\]"):
        tracer.hit(np.zeros((2, 3)), np.zeros((3, 3)))
