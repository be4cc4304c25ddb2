"""A surface is fused from what cameras see of Gaussians."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import trimesh

from fovea.errors import DataError, StoppedError
from fovea.relight.surface import fusion
from fovea.relight.surface.fusion import Grid, box, check_memory, fuse
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.transfer import sphere
from fovea.scene import harmonics
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians


def shell(count: int = 2000, radius: float = 0.5) -> Gaussians:
    """Small round Gaussians that cover a sphere."""
    return dots(torch.from_numpy(sphere(count)) * radius, 1.2 * radius / math.sqrt(count))


def dots(means: torch.Tensor, scale: float) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.full((count, 3), scale),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.full((count, 3), 0.5)),
    )


def around(count: int = 12, px: int = 48) -> list[Camera]:
    return [
        Camera.look_at((2 * place).tolist(), (0.0, 0.0, 0.0), fov_x=0.7, height=px, width=px)
        for place in sphere(count)
    ]


@pytest.fixture(scope="module")
def fused() -> Mesh:
    return fuse(shell(), around(), resolution=40)


def test_the_surface_of_a_ball_lies_on_the_ball(fused: Mesh) -> None:
    radii = np.linalg.norm(fused.vertices, axis=1)
    # Gaussians show before their centres: their scale is 0.013, and a voxel's edge 0.03.
    assert 0.5 < np.median(radii) < 0.54
    assert radii.std() < 0.01


def test_its_normals_point_away_from_it(fused: Mesh) -> None:
    outward = fused.vertices / np.linalg.norm(fused.vertices, axis=1, keepdims=True)
    cosines = (outward * fused.normals).sum(axis=1)
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean() < 6


def test_the_surface_of_a_cut_out_thing_is_closed(fused: Mesh) -> None:
    made = trimesh.Trimesh(fused.vertices, fused.faces, process=False)
    assert made.is_watertight
    assert made.volume == pytest.approx(4 / 3 * math.pi * 0.5**3, rel=0.25)
    assert made.body_count == 1, "what floats was dropped"


def test_the_same_scene_makes_the_same_surface(fused: Mesh) -> None:
    again = fuse(shell(), around(), resolution=40)
    assert np.array_equal(again.vertices, fused.vertices)
    assert np.array_equal(again.faces, fused.faces)


def test_of_a_scene_that_fills_its_views_only_what_was_seen_has_triangles() -> None:
    grid = torch.linspace(-1.5, 1.5, 40)
    x, y = torch.meshgrid(grid, grid, indexing="ij")
    wall = dots(torch.stack([x, y, 0.1 * torch.sin(3 * x)], dim=-1).reshape(-1, 3), 0.06)
    cameras = [
        Camera.look_at((a, b, 2.0), (0.0, 0.0, 0.0), up=(0, 1, 0), fov_x=0.7, height=40, width=40)
        for a in (-0.4, 0.0, 0.4)
        for b in (-0.4, 0.4)
    ]
    mesh = fuse(wall, cameras, resolution=40)
    made = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert not made.is_watertight
    assert mesh.normals[:, 2].min() > 0.3, "it is one sheet that faces the cameras"
    assert np.abs(mesh.vertices[:, 2] - 0.1 * np.sin(3 * mesh.vertices[:, 0])).mean() < 0.08


def test_a_faint_gaussian_far_away_does_not_widen_the_box() -> None:
    scene = shell()
    means, opacities = scene.means.clone(), scene.opacities.clone()
    means[0], opacities[0] = torch.tensor([0.0, 0.0, 1.5]), 0.1
    moved = Gaussians(means, scene.quats, scene.scales, opacities, scene.harmonics)
    low, high = box(moved, around())
    assert np.allclose(low, -0.55, atol=0.03)
    assert np.allclose(high, 0.55, atol=0.03)


def test_progress_is_told_and_the_work_can_be_stopped() -> None:
    told: list[tuple[int, int]] = []
    fuse(shell(), around(3), resolution=16, watch=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        raise StoppedError("enough")

    with pytest.raises(StoppedError):
        fuse(shell(), around(3), resolution=16, watch=stop)


def test_a_grid_too_large_for_memory_is_refused_with_the_estimate() -> None:
    grid = Grid.around(np.zeros(3), np.ones(3), 100_000)
    with pytest.raises(DataError, match=r"needs about \d+\.\d GiB, and .* GiB are free.*Lower"):
        check_memory(grid, 100_000)


@pytest.mark.parametrize(
    ("scene", "cameras", "sentence"),
    [
        (shell, lambda: [], "half of 0 cameras"),
        (lambda: shell()[:0], around, "of 0 Gaussians 0 are opaque"),
        (
            lambda: dots(torch.full((50, 3), 99.0), 0.1),
            around,
            "Do the cameras belong to this scene",
        ),
    ],
)
def test_a_scene_that_cannot_be_seen_is_refused_with_a_sentence(
    scene: Callable[[], Gaussians], cameras: Callable[[], list[Camera]], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        fuse(scene(), cameras(), resolution=16)


def test_reflections_behind_a_surface_do_not_dent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # A shiny ball as a fit leaves it: a faint shell, and what it mirrors inside.
    outer, inner = shell(600, 0.5), shell(300, 0.3)
    both = Gaussians(
        means=torch.cat([outer.means, inner.means]),
        quats=torch.cat([outer.quats, inner.quats]),
        scales=torch.cat([outer.scales, inner.scales]),
        opacities=torch.cat([outer.opacities * 0.3, inner.opacities]),
        harmonics=torch.cat([outer.harmonics, inner.harmonics]),
    )
    radii = [np.median(np.linalg.norm(fuse(both, around(), resolution=32).vertices, axis=1))]
    monkeypatch.setattr(fusion, "SPREAD", 0.0)
    radii.append(np.median(np.linalg.norm(fuse(both, around(), resolution=32).vertices, axis=1)))
    assert abs(radii[0] - 0.5) < 0.8 * abs(radii[1] - 0.5)
