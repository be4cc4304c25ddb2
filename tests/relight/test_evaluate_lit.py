"""Scores of a scene with materials, under a shading that is simple enough to know the answer."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError, StoppedError
from fovea.relight.evaluate import evaluate
from fovea.relight.light import latlong
from fovea.relight.light.environment import Environment
from fovea.relight.relighting import Studio, displayed, evenly, require_seen, unturned, up_of
from fovea.relight.scores import backdrop
from fovea.relight.settings.evaluate import EvaluateConfig
from fovea.relight.stages import EVALUATE
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture import read_capture
from fovea.scene.color import linear_to_srgb
from fovea.scene.image import write_image
from fovea.scene.ply import write_ply
from fovea.scene.radiance import write_radiance
from fovea.scene.rasterize import rasterize

LIGHTS = {"dim": 0.4, "bright": 0.8, "sun": 0.6}
TINT = torch.tensor([0.5, 0.8, 1.25])


@dataclass(frozen=True)
class Buffer:
    albedo: Tensor
    roughness: Tensor
    metallic: Tensor
    alpha: Tensor


def plain_buffer(studio: Studio, camera: Camera) -> Buffer:
    extras = studio.gaussians.extras
    values = torch.cat([extras[name] for name in ("albedo", "roughness", "metallic")], dim=1)
    raster = rasterize(studio.gaussians, camera, passengers=values)
    straight = raster.passengers / raster.alpha.clamp_min(1e-6)[..., None]
    return Buffer(straight[..., :3], straight[..., 3:4], straight[..., 4:5], raster.alpha)


class EvenLight:
    """Diffuse surfaces in an environment that is everywhere equally bright."""

    def __init__(self, environment) -> None:
        self.radiance = environment.radiance.mean(dim=(0, 1)) * 2.0**environment.exposure

    def shade(self, buffer: Buffer) -> Tensor:
        return buffer.albedo * self.radiance * buffer.alpha[..., None]


@pytest.fixture(autouse=True)
def even_light(monkeypatch) -> None:
    monkeypatch.setattr(Studio, "buffer", plain_buffer)
    monkeypatch.setattr(Studio, "under", lambda _, environment: EvenLight(environment))


@pytest.fixture
def materials(balls):
    random = torch.Generator().manual_seed(9)
    count = len(balls)
    up = functional.normalize(torch.rand(count, 3, generator=random) - 0.5, dim=-1)
    return replace(
        balls,
        extras={
            "normal": up,
            "albedo": torch.rand(count, 3, generator=random) * 0.5 + 0.2,
            "roughness": torch.full((count, 1), 0.4),
            "metallic": torch.full((count, 1), 0.2),
        },
    )


@pytest.fixture
def truthful(own_capture: Path, materials) -> Path:
    """The capture of balls with the truth beside its photographs, and maps of three lights."""
    (own_capture / "envmaps").mkdir()
    for name, value in LIGHTS.items():
        write_radiance(own_capture / f"envmaps/{name}.hdr", np.full((4, 8, 3), value, np.float32))
    studio = Studio(materials, EvaluateConfig(scene=Path("x"), data=Path("x")))
    for view in read_capture(own_capture).views:
        buffer = plain_buffer(studio, view.camera)
        write_truth(view.image, buffer)
    return own_capture


def write_truth(image: Path, buffer: Buffer) -> None:
    alpha = buffer.alpha[..., None]
    maps = {
        "albedo": buffer.albedo,
        "roughness": buffer.roughness.expand(-1, -1, 3),
        "metallic": buffer.metallic.expand(-1, -1, 3) + 0.1,
    }
    maps |= {
        f"rgba_{name}": linear_to_srgb(buffer.albedo * value) for name, value in LIGHTS.items()
    }
    for name, values in maps.items():
        write_image(
            image.with_name(f"{image.stem}_{name}.png"), torch.cat([values.clamp(0, 1), alpha], -1)
        )


def judged(tmp_path: Path, scene, data: Path, **settings) -> tuple[dict[str, float], Context]:
    tmp_path.mkdir(exist_ok=True)
    write_ply(tmp_path / "scene.ply", scene)
    config = EvaluateConfig(scene=tmp_path / "scene.ply", data=data, **settings)
    context = Context.local(EVALUATE, config, tmp_path / "work")
    return evaluate(config, context), context


def test_the_true_materials_score_high_everywhere(truthful, materials, tmp_path):
    scores, context = judged(tmp_path, materials, truthful, albedo_rescale="none")
    assert scores["test/albedo_psnr"] > 35
    assert scores["test/relit_psnr"] > 40
    assert scores["test/roughness_mae"] < 0.01
    assert scores["test/metallic_mae"] == pytest.approx(0.1, abs=0.01)
    assert "test/pbr_psnr" not in scores
    document = json.loads(context.output("scores").read_text())
    assert document["lights"].keys() == LIGHTS.keys()
    assert document["lights"]["dim"]["views"].keys() == {"view_00", "view_08"}
    assert len(document["albedo"]) == 20
    assert document["albedo_rescale"] == {"applied": "none", "ratio": [1, 1, 1]}


@pytest.mark.parametrize(("rescale", "is_good"), [("three", True), ("none", False)])
def test_a_tint_that_light_and_colour_share_is_scaled_away(
    truthful, materials, tmp_path, rescale, is_good
):
    tinted = materials.extras | {"albedo": materials.extras["albedo"] * TINT}
    scene = replace(materials, extras=tinted)
    scores, context = judged(tmp_path, scene, truthful, albedo_rescale=rescale)
    assert (scores["test/relit_psnr"] > 35) is is_good
    document = json.loads(context.output("scores").read_text())
    if is_good:
        np.testing.assert_allclose(document["albedo_rescale"]["ratio"], 1 / TINT, rtol=0.02)


def test_the_light_of_the_photographs_is_not_unseen(truthful, materials, tmp_path):
    scores, context = judged(tmp_path, materials, truthful, fitted_light="sun", exposure=-1)
    lights = json.loads(context.output("scores").read_text())["lights"]
    assert [name for name, light in lights.items() if light["unseen"]] == ["bright", "dim"]
    mean = (lights["bright"]["psnr"] + lights["dim"]["psnr"]) / 2
    assert scores["test/relit_psnr"] == pytest.approx(mean)
    assert mean < 30


def test_with_the_fitted_light_the_shaded_views_are_scored(truthful, materials, tmp_path):
    light = truthful / "envmaps/dim.hdr"
    scores, context = judged(tmp_path, materials, truthful, light=light, relit_views=1)
    assert 0 < scores["test/pbr_psnr"] < 60
    lights = json.loads(context.output("scores").read_text())["lights"]
    assert lights["sun"]["views"].keys() == {"view_00"}
    made = {path.name for path in context.output("renders").iterdir()}
    assert {"view_00_pbr.png", "view_00_sun.png", "view_08_albedo.png"} <= made


def test_the_report_needs_nothing_but_itself(truthful, materials, tmp_path):
    _, context = judged(tmp_path, materials, truthful)
    page = context.output("report").read_text()
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert page.count("data:image/webp;base64,") == 2 * 16
    for said in ("novel views, radiance", "relit: bright", "three/linear/stored", "roughness, RMS"):
        assert said in page
    with Image.open(context.output("sheet")) as sheet:
        assert sheet.width > 9 * 150


@pytest.mark.parametrize("reached", [1, 2, 5])
def test_one_stopped_goes_on_where_it_was_and_writes_the_same(
    truthful, materials, tmp_path, reached
):
    whole, unbroken = judged(tmp_path / "whole", materials, truthful)
    config, seen = unbroken.config, []
    place = tmp_path / "broken"
    context = Context.local(
        EVALUATE, config, place, emit=seen.append, asked_to_stop=lambda: len(seen) >= reached
    )
    with pytest.raises(StoppedError):
        evaluate(config, context)
    done = {path: path.stat().st_mtime_ns for path in context.output("renders").iterdir()}
    resumed = Context.local(EVALUATE, config, place)
    assert evaluate(config, resumed) == whole
    for path in (path for path in unbroken.out.rglob("*") if path.is_file()):
        assert (resumed.out / path.relative_to(unbroken.out)).read_bytes() == path.read_bytes()
    assert done == {path: path.stat().st_mtime_ns for path in done}, "a picture was made again"


def test_a_light_wants_a_scene_with_materials(truthful, balls, tmp_path):
    with pytest.raises(DataError, match=r"no normal, albedo, roughness, metallic.*decompose"):
        judged(tmp_path, balls, truthful, light=truthful / "envmaps/dim.hdr")


def test_maps_without_pictures_under_them_are_refused(truthful, materials, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(truthful / "envmaps/dim.hdr", other / "moon.hdr")
    with pytest.raises(DataError, match=r"holds moon\..*there of: bright, dim, sun"):
        judged(tmp_path, materials, truthful, lights=other)


def test_a_folder_without_maps_is_refused_with_what_it_holds(truthful, materials, tmp_path):
    with pytest.raises(DataError, match=r"view_00\.png.*8 bits hold no light"):
        judged(tmp_path, materials, truthful, lights=truthful / "train")


def test_a_scale_needs_true_colours(ball_capture, materials, tmp_path):
    with pytest.raises(DataError, match=r"albedo_rescale=one.*has none, albedo\.png"):
        judged(tmp_path, materials, ball_capture, albedo_rescale="one")


def test_cameras_of_another_scene_are_refused(balls):
    away = [
        Camera.look_at((9, 0, 0), (12, 0, 0), fov_x=0.8, height=8, width=8),
        Camera.look_at((0, 9, 0), (0, 12, 1), fov_x=0.8, height=8, width=8),
    ]
    with pytest.raises(DataError, match=r"none of the 2 has more than 0\.0%.*another scene"):
        require_seen(balls, away, Path("scene.ply"), Path("cameras.json"))


def test_pictures_are_laid_over_the_background_as_photographs_are():
    linear, alpha = torch.tensor([[[0.1, 0.2, 0.4]]]), torch.tensor([[0.5]])
    shown = displayed(linear, alpha, backdrop("white"))
    wanted = 0.5 * linear_to_srgb(2 * linear) + 0.5
    torch.testing.assert_close(shown, wanted)


def test_up_is_as_the_cameras_were_held():
    config = EvaluateConfig(scene=Path("x"), data=Path("x"))

    def held(up):
        return [
            Camera.look_at(at, (0, 0, 0), up=up, fov_x=0.8, height=8, width=8)
            for at in ((3.0, 0.1, 0.2), (0.3, 2.8, 0.5), (1.0, -0.5, 2.0))
        ]

    assert up_of(config, held((0, 0, 1))) == "z"
    assert up_of(config, held((0, 1, 0))) == "y"
    assert up_of(config, held((0, -1, 0)))[1] < -0.9
    assert up_of(EvaluateConfig(scene="x", data="x", mode="reference"), held((0, 0, 1))) == "y"
    assert up_of(EvaluateConfig(scene="x", data="x", up="y"), held((0, 0, 1))) == "y"


@pytest.mark.parametrize("settings", [{"up": "z"}, {"up": "y", "yaw_deg": 30, "exposure": 1}])
def test_a_turned_map_can_be_had_as_one_that_needs_no_turning(settings):
    radiance = torch.rand(32, 64, 3, generator=torch.Generator().manual_seed(2))
    turned = Environment(radiance, **settings)
    found = unturned(turned)
    directions = latlong.directions(32, 64)
    assert (found.up, found.yaw_deg, found.exposure) == ("y", 0, 0)
    torch.testing.assert_close(found.radiance_at(directions), turned.radiance_at(directions))
    assert unturned(found) is found


def test_evenly_spread_numbers():
    assert evenly(5, 0) == evenly(5, 9) == [0, 1, 2, 3, 4]
    assert evenly(21, 3) == [0, 10, 20]
