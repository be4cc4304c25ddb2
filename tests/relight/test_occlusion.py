import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError
from fovea.relight.volumes.grid import Grid
from fovea.relight.volumes.lobe import half_space
from fovea.relight.volumes.occlusion import OcclusionVolume, scene_box

EXACT = 1e-9


@pytest.fixture
def golden(goldens: Path) -> dict[str, np.ndarray]:
    with np.load(goldens / "inverse-rendering" / "volumes.npz") as file:
        return dict(file)


@pytest.fixture
def published(golden) -> OcclusionVolume:
    return OcclusionVolume(
        Grid.cube(float(golden["bound"]), int(golden["res"])),
        torch.from_numpy(golden["ids"]),
        torch.from_numpy(golden["coeffs"]),
        0.25,
        "reference",
    )


def layered(inside_too: bool = True) -> OcclusionVolume:
    """A floor at z = 0.1, open above; below nothing is seen."""
    grid = Grid.cube(1.0, 5)
    below = (grid.positions(np.arange(grid.count))[:, 2] < 0.1).reshape(grid.shape)
    return OcclusionVolume(
        grid,
        torch.from_numpy(below.astype(np.int32)),
        torch.cat([half_space(torch.tensor([[0.0, 0.0, 1.0]])), torch.zeros(1, 16)]),
        measured=torch.from_numpy(~below) if inside_too else None,
        scene=((-1.0, -1.0, 0.0), (1.0, 1.0, 0.1)),
    )


def test_a_query_is_that_of_the_reference(published, golden):
    points, normals = torch.from_numpy(golden["points"]), torch.from_numpy(golden["normals"])
    found = published.visibility(points, normals)
    np.testing.assert_allclose(found, golden["occlusion_full_query"], rtol=EXACT, atol=1e-12)
    shaped = published.visibility(points.reshape(10, 20, 3), normals.reshape(10, 20, 3))
    assert torch.equal(shaped.reshape(-1), found)


def test_shifted_coefficients_are_those_of_the_reference(published, golden):
    found = published.coefficients_at(
        torch.from_numpy(golden["points"]), torch.from_numpy(golden["normals"])
    )
    np.testing.assert_allclose(found, golden["shifted_interp_coeffs"], rtol=EXACT, atol=1e-12)


def test_jitter_turns_the_samples_of_the_reference_only(published, golden):
    points, normals = torch.from_numpy(golden["points"]), torch.from_numpy(golden["normals"])
    half = torch.full((len(points),), 0.3, dtype=torch.float64)
    still = published.visibility(points, normals)
    assert not torch.equal(published.visibility(points, normals, jitter=half), still)
    corrected = replace(published, mode="corrected")
    still = corrected.visibility(points, normals)
    assert torch.equal(corrected.visibility(points, normals, jitter=half), still)


def test_nodes_inside_do_not_darken_the_surface():
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    points[:, 2] = 0.1
    upwards = torch.tensor([[0.0, 0.0, 1.0]]).expand(50, 3)
    torch.testing.assert_close(layered().visibility(points, upwards), torch.ones(50))
    # A wall standing on the floor: half of the nodes before it are under the floor.
    sideways = torch.tensor([[1.0, 0.0, 0.0]]).expand(50, 3)
    assert (layered().visibility(points, sideways) - 0.5).abs().max() < 0.01
    assert (layered(inside_too=False).visibility(points, sideways) < 0.45).any()


def test_where_no_node_counts_all_do():
    deep, upwards = torch.tensor([[0.0, 0.0, -0.9]]), torch.tensor([[0.0, 0.0, 1.0]])
    assert layered().visibility(deep, upwards).item() == 0
    corner, outwards = torch.tensor([[1.0, 0.0, 0.9]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert layered().visibility(corner, outwards).item() == pytest.approx(0.5, abs=0.01)
    assert layered().visibility(corner, torch.zeros(1, 3)).item() == 0


@pytest.mark.parametrize("roughness", [0.1, 0.4, 1.0])
def test_highlights_over_an_open_floor_are_whole_and_those_into_a_hole_are_not(roughness):
    points = torch.tensor([[0.0, 0.0, 0.1]]).expand(3, 3)
    upwards = torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3)
    axes = torch.tensor([[0.0, 0.0, 1.0], [0.8, 0.0, 0.6], [1.0, 0.0, 0.0]])
    spread = torch.full((3,), roughness)
    found = layered().lobe_visibility(points, upwards, axes, spread)
    torch.testing.assert_close(found, torch.ones(3))
    hole = replace(layered(), coefficients=layered().coefficients * 0.3)
    torch.testing.assert_close(
        hole.lobe_visibility(points, upwards, axes, spread)[2].item(), 0.3, atol=0.05, rtol=0
    )
    published = replace(layered(), mode="reference")
    assert published.lobe_visibility(points, upwards, axes, spread)[0] < 0.97


def test_a_volume_comes_back_from_its_file(tmp_path):
    volume, path = layered(), tmp_path / "occlusion.npz"
    volume.write(path)
    found = OcclusionVolume.read(path)
    assert (found.grid, found.mode, found.scene) == (volume.grid, "corrected", volume.scene)
    assert math.isinf(found.threshold)
    for name in ("ids", "coefficients", "measured"):
        assert torch.equal(getattr(found, name), getattr(volume, name)), name
    first = path.read_bytes()
    found.write(path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["occlusion.npz"]


def write_published(path: Path, volume: OcclusionVolume, **changes) -> Path:
    """The dictionary that the published baking saves."""
    document = {
        "occlusion_ids": volume.ids,
        "occlusion_coefficients": volume.coefficients.float().unsqueeze(-1),
        "bound": 1.5,
        "degree": 4,
        "occlusion_threshold": 0.25,
    }
    torch.save(document | changes, path)
    return path


def test_a_published_file_is_read(published, golden, tmp_path):
    found = OcclusionVolume.read(write_published(tmp_path / "occlusion_volumes.pth", published))
    assert (found.mode, found.threshold, found.measured) == ("reference", 0.25, None)
    points, normals = torch.from_numpy(golden["points"]), torch.from_numpy(golden["normals"])
    np.testing.assert_allclose(
        found.visibility(points, normals), golden["occlusion_full_query"], atol=1e-5
    )
    # Such a file does not say of which scene it is.
    found.require_scene(None, where="occlusion_volumes.pth")


class Trap:
    """Runs when it is unpickled by a loader that runs things."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_a_published_file_runs_nothing(published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_published(tmp_path / "x.pth", published, extra=Trap())
    with pytest.raises(ArtifactError, match="is not an occlusion volume"):
        OcclusionVolume.read(path)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degree": 3}, "3 bands, and only 4"),
        ({"occlusion_ids": torch.full((2, 2, 2), 90, dtype=torch.int32)}, "ids go from 90 to 90"),
        ({"occlusion_coefficients": torch.zeros(90, 9, 1)}, r"shape \[90, 9\]"),
        ({"occlusion_coefficients": torch.full((90, 16, 1), math.nan)}, "not finite"),
        ({"bound": -1.0}, "a box with an inside"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(published, tmp_path, changes, message):
    path = write_published(tmp_path / "x.pth", published, **changes)
    with pytest.raises(ArtifactError, match=message):
        OcclusionVolume.read(path)


@pytest.mark.parametrize("name", ["x.npz", "x.pth"])
def test_a_file_cut_short_is_refused(published, tmp_path, name):
    whole = tmp_path / name
    layered().write(whole) if name == "x.npz" else write_published(whole, published)
    whole.write_bytes(whole.read_bytes()[:400])
    with pytest.raises(ArtifactError, match=r"400 bytes\) is not an occlusion volume"):
        OcclusionVolume.read(whole)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ArtifactError, match="there is no such file"):
        OcclusionVolume.read(tmp_path / "occlusion.npz")


def test_an_npz_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", points=np.zeros(3))
    with pytest.raises(ArtifactError, match=r"x\.npz.*KeyError: 'occlusion_ids'"):
        OcclusionVolume.read(tmp_path / "x.npz")


def test_another_scene_is_refused_and_the_same_one_taken(balls):
    volume = replace(layered(), scene=scene_box(balls))
    volume.require_scene(balls, where="occlusion.npz")
    moved = replace(balls, means=balls.means + torch.tensor([0.2, 0.0, 0.0]))
    with pytest.raises(ArtifactError, match=r"occlusion\.npz was baked from another scene.*Bake"):
        volume.require_scene(moved, where="occlusion.npz")
