"""SHARP's scene files, to the byte."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError
from fovea.photo.sharp_ply import (
    read_camera,
    read_sharp_ply,
    write_sharp_arrays,
    write_sharp_ply,
)
from fovea.scene.files import read_gaussians
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0, from_colors
from fovea.scene.ply_elements import read_elements, write_elements


@pytest.fixture
def five(goldens: Path) -> dict[str, np.ndarray]:
    return dict(np.load(goldens / "sharp" / "five_ply.npz"))


@pytest.fixture
def facts(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "sharp" / "ply.json").read_text())


def size(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "focal_px": facts["f_px"],
        "height": facts["image_height"],
        "width": facts["image_width"],
    }


def colors(scene: Gaussians) -> np.ndarray:
    return (scene.harmonics[:, 0] * C0 + 0.5).numpy()


def scene_of(five: dict[str, np.ndarray], dtype: torch.dtype) -> Gaussians:
    values = {name: torch.from_numpy(array).to(dtype) for name, array in five.items()}
    return Gaussians(
        values["mean"],
        values["quaternions"],
        values["scales"],
        values["opacities"],
        from_colors(values["colors_linear"]),
        "linear",
    )


def test_arrays_are_written_to_the_reference_s_bytes(
    five: dict[str, np.ndarray], facts: dict[str, Any], goldens: Path, tmp_path: Path
) -> None:
    names = ("mean", "quaternions", "scales", "colors_linear", "opacities")
    write_sharp_arrays(tmp_path / "a.ply", *(five[name] for name in names), **size(facts))
    assert (tmp_path / "a.ply").read_bytes() == (goldens / "sharp" / "five.ply").read_bytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussians_are_written_as_the_reference_writes_them(
    dtype: torch.dtype,
    five: dict[str, np.ndarray],
    facts: dict[str, Any],
    goldens: Path,
    tmp_path: Path,
) -> None:
    write_sharp_ply(tmp_path / "a.ply", scene_of(five, dtype), **size(facts))
    found = (tmp_path / "a.ply").read_bytes()
    assert found.startswith(facts["header"].encode())
    assert len(found) == facts["file_size"]
    ours = read_elements(tmp_path / "a.ply")
    theirs = read_elements(goldens / "sharp" / "five.ply")
    for name in ("image_size", "frame", "color_space", "version", "intrinsic", "extrinsic"):
        assert np.array_equal(ours[name], theirs[name]), name
    one, other = (np.array(e["vertex"].tolist()) for e in (ours, theirs))
    # Harmonics in float32 keep a dark colour to a few units in its last place.
    assert np.allclose(one, other, rtol=5e-7, atol=5e-7 if dtype == torch.float32 else 0)


def test_a_scene_is_read_as_the_reference_reads_it(
    five: dict[str, np.ndarray], facts: dict[str, Any], goldens: Path
) -> None:
    scene = read_sharp_ply(goldens / "sharp" / "five.ply")
    width, height = facts["loaded"]["resolution"]
    assert (scene.focal_px, scene.height, scene.width) == (
        facts["loaded"]["focal"],
        height,
        width,
    )
    assert scene.stored_color_space == "srgb"
    assert scene.gaussians.color_space == "linear"
    quats = five["loaded_quaternions"]
    quats = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    found = {
        "loaded_mean": scene.gaussians.means,
        "loaded_scales": scene.gaussians.scales,
        "loaded_opacities": scene.gaussians.opacities,
        "loaded_colors_linear": torch.from_numpy(colors(scene.gaussians)),
    }
    for name, values in found.items():
        assert np.allclose(values.numpy(), five[name], rtol=1e-6, atol=1e-6), name
    assert np.allclose(scene.gaussians.quats.numpy(), quats, atol=1e-6)


@pytest.mark.parametrize("form", ["legacy", "vertex_only"])
def test_older_forms_are_read(form: str, facts: dict[str, Any], goldens: Path) -> None:
    scene = read_sharp_ply(goldens / "sharp" / f"five_{form}.ply")
    width, height = facts[form]["resolution"]
    assert (scene.focal_px, scene.height, scene.width) == (facts[form]["focal"], height, width)
    assert scene.stored_color_space is None
    if form == "legacy":
        assert np.allclose(colors(scene.gaussians), facts[form]["colors_linear"], atol=1e-6)


def test_unmarked_colours_of_other_tools_can_be_taken_as_srgb(goldens: Path) -> None:
    path = goldens / "sharp" / "five_vertex_only.ply"
    as_linear, as_srgb = (read_sharp_ply(path, unmarked_color_space=s) for s in ("linear", "srgb"))
    assert (colors(as_srgb.gaussians) < colors(as_linear.gaussians)).all()
    back = in_color_space(as_srgb.gaussians, "srgb")
    assert np.allclose(colors(back), colors(as_linear.gaussians), atol=1e-6)


def test_the_camera_is_found_where_the_file_says_it(goldens: Path, tmp_path: Path) -> None:
    camera = read_camera(goldens / "sharp" / "five.ply")
    assert camera is not None
    assert (camera.intrinsics[0, 2], camera.intrinsics[1, 2]) == (
        camera.width / 2,
        camera.height / 2,
    )
    assert read_camera(goldens / "sharp" / "five_vertex_only.ply") is None
    assert read_camera(tmp_path / "scene.spz") is None


def test_a_camera_that_cannot_be_is_refused_by_name(goldens: Path, tmp_path: Path) -> None:
    elements = read_elements(goldens / "sharp" / "five.ply")
    odd = np.zeros(3, dtype=[("intrinsic", "<f4")])
    write_elements(tmp_path / "odd.ply", elements | {"intrinsic": odd})
    with pytest.raises(ArtifactError, match=r"odd\.ply says of its camera neither 9 numbers"):
        read_camera(tmp_path / "odd.ply")
    zero = np.zeros(9, dtype=[("intrinsic", "<f4")])
    write_elements(tmp_path / "odd.ply", elements | {"intrinsic": zero})
    with pytest.raises(ArtifactError, match=r"focal length of 0\.0 px"):
        read_sharp_ply(tmp_path / "odd.ply")


def test_collapsed_and_extreme_gaussians_are_written_finite(tmp_path: Path) -> None:
    scene = Gaussians(
        torch.ones(2, 3),
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.zeros(2, 3),
        torch.tensor([0.0, 1.0]),
        from_colors(torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])),
        "linear",
    )
    write_sharp_ply(tmp_path / "a.ply", scene, focal_px=1.0, height=1, width=1)
    found = read_gaussians(tmp_path / "a.ply")
    assert found.color_space == "srgb"
    assert found.opacities.tolist() == pytest.approx([0, 1], abs=1e-6)
    assert np.allclose(colors(found), [[0, 0, 0], [1, 1, 1]], atol=1e-6)
