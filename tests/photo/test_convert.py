"""Scenes in other formats, axes and sizes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.catalog import stage
from fovea.errors import DataError
from fovea.photo.convert import convert, views_near
from fovea.photo.settings.convert import ConvertConfig
from fovea.photo.sharp_ply import camera_at_origin, read_camera, read_sharp_ply, write_sharp_ply
from fovea.runs.stage import Context
from fovea.scene.axes import from_axes
from fovea.scene.files import read_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import from_colors
from fovea.scene.ply import write_ply

FORMATS = {"ply": "ply", "compressed": "compressed.ply", "spz": "spz"} | {
    name: name for name in ("sog", "splat", "glb")
}


def scene(side: int = 16) -> Gaussians:
    at = (torch.arange(side) + 0.5) / side - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")
    flat = torch.stack([x.flatten(), y.flatten(), torch.full((side * side,), 0.0)], dim=1)
    means = flat * 2 + torch.tensor([0.0, 0.0, 2.0])
    colors = flat + 0.5
    count = side * side
    return Gaussians(
        means,
        torch.tensor([1.0, 0, 0, 0]).expand(count, 4).contiguous(),
        torch.full((count, 3), 1.2 / side),
        torch.full((count,), 0.9),
        from_colors(colors),
        "linear",
    )


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    write_sharp_ply(tmp_path / "in.ply", scene(), focal_px=40.0, height=32, width=40)
    return tmp_path / "in.ply"


def converted(path: Path, folder: Path, **settings: Any) -> tuple[dict[str, float], Path]:
    config = ConvertConfig(scene=path, **settings)
    context = Context.local(stage("photo.convert"), config, folder)
    scores = convert(config, context)
    assert json.loads(context.output("scores").read_text()) == scores
    return scores, context.output(config.format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_scene_becomes_any_format_and_looks_alike(
    format: str, sharp: Path, tmp_path: Path
) -> None:
    scores, path = converted(sharp, tmp_path / "run", format=format)
    assert path.name == f"scene.{FORMATS[format]}"
    assert len(read_gaussians(path)) == scores["gaussians"] == len(scene())
    assert scores["psnr"] > 35
    assert scores["megabytes"] == pytest.approx(path.stat().st_size / 1e6)


def test_a_ply_keeps_the_photograph_s_camera_and_its_bytes(sharp: Path, tmp_path: Path) -> None:
    scores, path = converted(sharp, tmp_path / "run", format="ply")
    assert scores["psnr"] == 99
    camera = read_camera(path)
    assert camera is not None
    assert (camera.height, camera.width) == (32, 40)
    assert path.stat().st_size == sharp.stat().st_size


def test_a_gltf_is_y_up_and_others_are_left_as_they_are(sharp: Path, tmp_path: Path) -> None:
    stored = read_gaussians(sharp)
    _, glb = converted(sharp, tmp_path / "glb", format="glb")
    assert torch.allclose(read_gaussians(glb).means, stored.means * torch.tensor([1.0, -1.0, -1.0]))
    _, splat = converted(sharp, tmp_path / "splat", format="splat")
    assert float(read_gaussians(splat).means[:, 2].min()) > 0
    scores, unreal = converted(sharp, tmp_path / "unreal", format="ply", axes="unreal")
    assert torch.allclose(from_axes(read_gaussians(unreal), "unreal").means, stored.means)
    assert scores["psnr"] > 60


def test_linear_colours_become_srgb_or_stay(sharp: Path, tmp_path: Path) -> None:
    write_ply(tmp_path / "linear.ply", scene())
    _, path = converted(tmp_path / "linear.ply", tmp_path / "a", format="ply")
    assert read_gaussians(path).color_space == "srgb"
    _, path = converted(tmp_path / "linear.ply", tmp_path / "b", format="glb", colors="keep")
    assert read_gaussians(path).color_space == "linear"


def test_a_budget_in_gaussians_or_megabytes_is_kept(sharp: Path, tmp_path: Path) -> None:
    scores, path = converted(sharp, tmp_path / "a", format="ply", budget=60)
    assert scores["gaussians"] <= 60
    assert scores["psnr"] > 15
    assert read_sharp_ply(path).focal_px == 40.0
    scores, path = converted(sharp, tmp_path / "b", format="splat", megabytes=0.004)
    assert path.stat().st_size <= 4000
    assert scores["gaussians"] > 80
    with pytest.raises(DataError, match=r"megabytes=1e-05 leaves no room"):
        converted(sharp, tmp_path / "c", format="splat", megabytes=1e-5)


def test_pruning_drops_what_no_view_sees(sharp: Path, tmp_path: Path) -> None:
    whole = scene()
    behind = Gaussians(
        torch.cat([whole.means, -whole.means]),
        *(torch.cat([getattr(whole, n)] * 2) for n in ("quats", "scales", "opacities")),
        harmonics=torch.cat([whole.harmonics] * 2),
        color_space="linear",
    )
    write_sharp_ply(sharp, behind, focal_px=40.0, height=32, width=40)
    scores, _ = converted(sharp, tmp_path / "run", format="ply", prune=True)
    assert scores["gaussians"] <= len(whole)
    assert scores["psnr"] > 60


def test_without_a_check_nothing_is_drawn(sharp: Path, tmp_path: Path) -> None:
    scores, _ = converted(sharp, tmp_path / "run", check=False)
    assert set(scores) == {"gaussians", "megabytes"}


def test_views_stand_around_the_photograph_s_or_before_the_scene() -> None:
    lens = camera_at_origin(40.0, height=32, width=40)
    views = views_near(scene(), lens, aside=0.1, view_px=20)
    assert [view.width for view in views] == [20] * 5
    assert [round(float(view.position[0]), 3) for view in views] == [0, 0.2, -0.2, 0, 0]
    around = scene()
    around = Gaussians(
        around.means - torch.tensor([0.0, 0.0, 2.0]),
        around.quats,
        around.scales,
        around.opacities,
        around.harmonics,
    )
    (view,) = views_near(around, None, aside=0.0, view_px=512)
    at, depth = view.project(around.means.double())
    assert float(depth.min()) > 0
    assert float(at.min()) > 0
    assert float(at.max()) < 512


def test_an_empty_scene_is_refused(sharp: Path, tmp_path: Path) -> None:
    write_sharp_ply(sharp, scene()[:0], focal_px=40.0, height=32, width=40)
    with pytest.raises(DataError, match="holds no Gaussians"):
        converted(sharp, tmp_path / "run")
