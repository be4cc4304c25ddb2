"""The whole room in small: photographs -> materials and light -> film, scores, object, page."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from fovea.runs.recipe import load
from fovea.runs.run import Run, execute
from fovea.scene.ply import read_ply
from fovea.scene.radiance import read_radiance
from fovea.scene.video import read_video
from fovea.viewer.page import describe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    made = execute(load("relight-tiny"), root=folder, isolation="inline", device="cpu")
    assert made.state == "done"
    return made


def output(run: Run, stage: str, name: str) -> Path:
    return run.outputs(stage)[name]


def test_the_scene_ends_with_materials(run: Run) -> None:
    scene = read_ply(output(run, "decompose", "scene"))
    widths = {"normal": 3, "albedo": 3, "roughness": 1, "metallic": 1}
    assert {name: scene.extras[name].shape[1] for name in widths} == widths
    for name in ("albedo", "roughness", "metallic"):
        assert 0 <= scene.extras[name].min() <= scene.extras[name].max() <= 1
    assert scene.extras["albedo"].std() > 0.02, "things of several colours"


def test_the_light_is_a_map_that_any_program_reads(run: Run) -> None:
    light = read_radiance(output(run, "decompose", "light"))
    assert light.shape[1] == 2 * light.shape[0]
    assert np.isfinite(light).all()
    assert light.max() > 1.2 * light.min() > 0, "it is not even any more"


def test_the_film_shows_the_scene_lit(run: Run) -> None:
    frames, fps = read_video(output(run, "film", "video"))
    assert (len(frames), fps) == (4, 8)
    assert min(frame.max() for frame in frames) > 60
    assert np.abs(frames[0].astype(float) - frames[2]).mean() > 2


def test_the_scores_know_of_materials_and_other_lights(run: Run) -> None:
    scores = json.loads(output(run, "evaluate", "scores").read_text())
    assert scores["test/pbr_psnr"] > 15
    assert scores["test/relit_psnr"] > 12
    assert scores["test/albedo_psnr"] > 12
    assert {"dusk", "garden"} <= set(scores["lights"])


def test_the_object_opens_in_another_program(run: Run) -> None:
    loaded = trimesh.load_scene(output(run, "export", "object"))
    (mesh,) = loaded.geometry.values()
    assert 100 < len(mesh.faces) <= 500
    assert mesh.visual.material.baseColorTexture.size == (128, 128)


def test_the_page_offers_to_relight(run: Run) -> None:
    offered = describe(run.folder)["relight"]
    assert offered["scene"].endswith("/relightable.ply")
    assert offered["up"] == "z"
    assert any(light["is_fitted"] for light in offered["lights"])
