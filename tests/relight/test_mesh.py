"""Meshes go to a file and come back, and what is no mesh is told apart."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from fovea.errors import ArtifactError, DataError
from fovea.relight.surface.mesh import Mesh, read_mesh, write_mesh
from fovea.relight.surface.smoothing import smoothed


def ball(subdivisions: int = 2) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions)
    return Mesh.from_triangles(made.vertices, made.faces)


def test_a_mesh_comes_back_from_its_file_with_all_that_it_holds(tmp_path: Path) -> None:
    mesh = ball()
    count = len(mesh.vertices)
    steps = np.random.default_rng(0).integers(0, 256, (count, 3))
    colors = (steps / 255).astype(np.float32)
    extras = {"albedo": colors**2, "metallic": colors[:, :1], "height": mesh.vertices[:, 2:]}
    mesh = Mesh(mesh.vertices, mesh.faces, mesh.normals, colors, extras)
    write_mesh(tmp_path / "ball.ply", mesh)
    found = read_mesh(tmp_path / "ball.ply")
    assert np.array_equal(found.vertices, mesh.vertices)
    assert np.array_equal(found.faces, mesh.faces)
    assert np.allclose(found.normals, mesh.normals, atol=1e-6)
    assert found.colors is not None
    assert np.array_equal(found.colors, colors)
    assert found.extras.keys() == extras.keys()
    for name, rows in extras.items():
        assert np.array_equal(found.extras[name], rows), name


def test_the_same_mesh_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.ply", "b.ply"):
        write_mesh(tmp_path / name, ball())
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


@pytest.mark.parametrize("suffix", [".obj", ".glb"])
def test_meshes_of_other_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ball{suffix}"
    trimesh.creation.icosphere(1).export(path)
    found = read_mesh(path)
    assert len(found.faces) == 80
    assert np.allclose(found.normals, found.vertices, atol=0.05)


def test_normals_point_away_from_the_solid_and_areas_add_up() -> None:
    mesh = ball(3)
    assert (mesh.normals * mesh.vertices).sum(axis=1).min() > 0.999
    assert mesh.areas().sum() == pytest.approx(4 * np.pi, rel=0.01)
    assert mesh.face_normals().shape == mesh.faces.shape
    assert np.allclose(mesh.bounds, [[-1] * 3, [1] * 3], atol=0.01)


def test_its_edge_says_how_fine_a_mesh_is() -> None:
    cube = trimesh.creation.box((3, 3, 3)).subdivide()
    mesh = Mesh.from_triangles(cube.vertices, cube.faces)
    assert mesh.edge == pytest.approx(float(np.median(cube.edges_unique_length)))


def test_a_cloud_of_points_is_no_surface(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    trimesh.PointCloud(np.eye(3)).export(path)
    with pytest.raises(
        ArtifactError, match=r"points\.ply has 3 vertices and no faces.*relight\.bake"
    ):
        read_mesh(path)


def test_what_is_no_mesh_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_bytes(b"not a mesh at all")
    with pytest.raises(ArtifactError, match=r"mesh\.ply \(17 bytes\) is not a mesh"):
        read_mesh(path)
    with pytest.raises(ArtifactError, match="there is no such file"):
        read_mesh(tmp_path / "other.ply")


def test_faces_name_vertices_that_there_are() -> None:
    with pytest.raises(DataError, match="vertices 0 to 2; found 0 to 3"):
        Mesh.from_triangles(np.eye(3), [[0, 1, 3]])
    with pytest.raises(DataError, match="not finite"):
        Mesh.from_triangles(np.full((3, 3), np.nan), [[0, 1, 2]])


def test_smoothing_takes_noise_off_a_ball_and_leaves_a_cube_its_edges() -> None:
    noise = np.random.default_rng(1)
    mesh = ball(4)
    rough = mesh.vertices + noise.normal(0, 0.01, mesh.vertices.shape).astype(np.float32)
    before, after = (
        Mesh.from_triangles(points, mesh.faces) for points in (rough, smoothed(rough, mesh.faces))
    )
    error = [1 - (m.normals * mesh.normals).sum(axis=1).mean() for m in (before, after)]
    assert error[1] < 0.2 * error[0]
    cube = trimesh.creation.box().subdivide_loop(0).subdivide().subdivide().subdivide()
    still = smoothed(cube.vertices, cube.faces.astype(np.int32))
    assert np.abs(still - cube.vertices).max() < 0.01
