import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError, DataError, StoppedError
from fovea.relight import bake as module
from fovea.relight.bake import bake, views_around
from fovea.relight.settings.bake import BakeConfig, SurfaceConfig
from fovea.relight.stages import BAKE
from fovea.relight.surface.mesh import read_mesh
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.runs.stage import Context
from fovea.scene import harmonics
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply

COARSE = {"resolution": 16, "rays": 64, "surface": SurfaceConfig(resolution=40)}


def two_balls() -> Gaussians:
    """Two opaque balls, 0.1 apart, each covered by 400 small discs."""
    number = np.arange(400)
    z = 1 - (2 * number + 1) / 400
    turn = number * math.pi * (3 - math.sqrt(5))
    around = np.sqrt(1 - z * z)
    shell = np.stack([np.cos(turn) * around, np.sin(turn) * around, z], axis=-1) * 0.5
    aside = np.array([0.55, 0, 0])
    means = np.concatenate([shell + aside, shell - aside]).astype(np.float32)
    return Gaussians(
        means=torch.from_numpy(means),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(800, 1),
        scales=torch.full((800, 3), 0.04),
        opacities=torch.full((800,), 0.97),
        harmonics=harmonics.from_colors(torch.ones(800, 3)),
    )


@pytest.fixture(autouse=True)
def few_views(monkeypatch):
    monkeypatch.setattr(module, "VIEWS_AROUND", 14)
    monkeypatch.setattr(module, "VIEWS_PX", 64)
    monkeypatch.setattr(module, "JUDGED_PLACES", 300)
    monkeypatch.setattr(module, "PICTURE_PX", 16)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_ply(tmp_path / "scene.ply", two_balls())
    return tmp_path / "scene.ply"


def baked(scene: Path, folder: Path, **settings) -> tuple[dict[str, float], Context]:
    config = BakeConfig(scene=scene, **(COARSE | settings))
    context = Context.local(BAKE, config, folder)
    return bake(config, context), context


def made(context: Context) -> dict[str, bytes]:
    return {name: context.output(name).read_bytes() for name in BAKE.outputs}


@pytest.mark.parametrize("by", ["rays", "cubes"])
def test_the_gap_between_two_balls_is_dark_and_their_far_sides_are_open(scene, tmp_path, by):
    resolution = 16 if by == "rays" else 11
    scores, context = baked(scene, tmp_path / "work", by=by, resolution=resolution)
    mesh = read_mesh(context.output("surface"))
    np.testing.assert_allclose(mesh.bounds, [[-1.05, -0.5, -0.5], [1.05, 0.5, 0.5]], atol=0.1)
    volume = OcclusionVolume.read(context.output("occlusion"))
    points = torch.tensor([[0.05, 0.0, 0.0], [-0.05, 0.0, 0.0], [1.05, 0.0, 0.0], [0.55, 0.5, 0.0]])
    normals = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    inner, other, outer, side = volume.visibility(points, normals).tolist()
    assert max(inner, other) < 0.45
    assert outer > 0.9
    assert 0.75 < side <= 1
    # Cells of 0.17 and 0.35 beside balls of radius 0.5 that are 0.1 apart.
    assert scores["visibility/error"] < (0.03 if by == "rays" else 0.1)
    assert 0 < scores["nodes/inside"] < 0.8
    assert (context.folder / "pictures" / "visibility-0000000.png").is_file()
    volume.require_scene(two_balls(), where="occlusion.npz")


def test_finer_grids_come_closer_to_rays(scene, tmp_path):
    coarse, _ = baked(scene, tmp_path / "coarse", resolution=12)
    fine, _ = baked(scene, tmp_path / "fine", resolution=36, rays=256)
    assert fine["visibility/error"] < 0.6 * coarse["visibility/error"]


@pytest.mark.parametrize("settings", [{}, {"mode": "reference", "resolution": 6, "cube_res": 8}])
def test_a_bake_cut_off_goes_on_to_the_same_bytes(scene, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(module, "RAYS_NODES", 100)
    _, whole = baked(scene, tmp_path / "whole", **settings)
    config = BakeConfig(scene=scene, **(COARSE | settings))
    looks: list[int] = []

    class Impatient(Context):
        def progress(self, done: int, total: int, unit: str, **shown: float) -> None:
            looks.extend([done] * (unit == "nodes"))

    folder = tmp_path / "cut"
    first = Impatient.local(BAKE, config, folder, asked_to_stop=lambda: len(looks) >= 3)
    with pytest.raises(StoppedError):
        bake(config, first)
    assert looks[-1] > 0
    again, looks = looks[-1], []
    second = Impatient.local(BAKE, config, folder)
    bake(config, second)
    assert looks[0] > again, "finished nodes looked around once more"
    assert made(second) == made(whole)


def test_the_published_bake_is_asked_as_published(scene, tmp_path):
    scores, context = baked(scene, tmp_path / "work", mode="reference", resolution=6, cube_res=8)
    volume = OcclusionVolume.read(context.output("occlusion"))
    assert (volume.mode, volume.threshold, volume.measured) == ("reference", 0.4, None)
    assert volume.grid.lower == (-1.5, -1.5, -1.5)
    assert volume.grid.shape == (6, 6, 6)
    assert scores["nodes/inside"] == 0


def test_a_box_may_be_given(scene, tmp_path):
    _, context = baked(scene, tmp_path / "work", bound=0.7)
    volume = OcclusionVolume.read(context.output("occlusion"))
    assert (volume.grid.lower, volume.grid.upper) == ((-0.7,) * 3, (0.7,) * 3)


def test_a_box_beside_the_surface_is_refused(scene, tmp_path):
    with pytest.raises(DataError, match=r"none of the scene's surface.*Take a larger bound, or 0"):
        baked(scene, tmp_path / "work", bound=0.01)
    assert not (tmp_path / "work" / "tmp" / "out" / "occlusion.npz").exists()


def test_a_grid_too_large_for_memory_is_refused_before_anything_starts(scene, tmp_path):
    with pytest.raises(DataError, match=r"over .*scene\.ply needs about \d+.*GiB.*resolution=\d+"):
        baked(scene, tmp_path / "work", resolution=40_000)
    assert not any((tmp_path / "work" / "tmp" / "out").iterdir())


def test_a_scene_of_haze_is_refused(tmp_path):
    haze = replace(two_balls(), opacities=torch.full((800,), 0.05))
    write_ply(tmp_path / "haze.ply", haze)
    with pytest.raises(ArtifactError, match=r"800 Gaussians none has an opacity above.*0\.05"):
        baked(tmp_path / "haze.ply", tmp_path / "work")


def test_views_around_a_scene_see_all_of_it():
    views = views_around(two_balls(), 9)
    assert len(views) == 9
    for view in views:
        at, depth = view.project(two_balls().means.double())
        assert depth.min() > 0.1
        assert at.min() > 0
        assert at.max() < view.width
