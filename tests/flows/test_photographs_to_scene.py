"""Posed photographs through the recipe `relight`, as one run, and then a look at what it made."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fovea.runs.recipe import load
from fovea.runs.run import Run, execute
from fovea.scene.ply import read_ply
from fovea.scene.video import read_video

SETTINGS = (
    "fit.iterations=60",
    "fit.evaluate_every=30",
    "fit.start.count=200",
    "fit.densify.interval=10",
    "fit.densify.reset=0",
    "fit.rates.opacities=0.1",
    "film.seconds=0.5",
    "film.fps=8",
    "film.width=48",
    "film.samples=4",
    "bake.resolution=16",
    "bake.surface.resolution=32",
    "bake.rays=32",
    "decompose.iterations=10",
    "decompose.pixels=64",
    "decompose.samples=8",
    "evaluate.samples=4",
    "export.faces=200",
    "export.texture=64",
    "export.rays=16",
)


@pytest.fixture(scope="module")
def run(ball_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = load("relight", [f"vars.photographs={ball_capture}", *SETTINGS])
    made = execute(recipe, root=tmp_path_factory.mktemp("runs"), isolation="inline", device="cpu")
    assert made.state == "done"
    return made


def test_the_run_ends_with_a_scene_that_looks_like_the_photographs(run: Run):
    scene = read_ply(run.outputs("fit")["scene"])
    assert len(scene) > 100
    scores = json.loads(run.outputs("evaluate")["scores"].read_text())
    assert scores["test/psnr"] > 15
    fitted = json.loads(run.outputs("fit")["scores"].read_text())
    assert scores["test/psnr"] == pytest.approx(fitted["test/psnr"], abs=0.01)
    assert run.scores("evaluate")["test/psnr"] == pytest.approx(scores["test/psnr"])


def test_the_film_shows_the_scene_from_all_around(run: Run):
    frames, fps = read_video(run.outputs("film")["video"])
    assert (len(frames), fps) == (4, 8)
    assert min(frame.max() for frame in frames) > 60
    assert np.abs(frames[0].astype(float) - frames[2]).mean() > 2


def test_every_held_out_view_has_its_pictures(run: Run):
    folder = run.outputs("evaluate")["renders"]
    for name in ("view_00", "view_08"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size == (24, 24)
    with Image.open(run.outputs("evaluate")["sheet"]) as sheet:
        assert sheet.height > 200


def test_its_curves_and_pictures_are_in_the_run(run: Run):
    events = list(run.events())
    curve = [e["metrics"]["test/psnr"] for e in events if "test/psnr" in e.get("metrics", {})]
    assert curve[-1] > curve[0]
    assert any(event["kind"] == "picture" for event in events)


def test_the_same_command_again_does_nothing_twice(run: Run, ball_capture: Path):
    recipe = load("relight", [f"vars.photographs={ball_capture}", *SETTINGS])
    again = execute(recipe, root=run.folder.parent, isolation="inline", device="cpu", new=True)
    assert again.state == "done"
    assert all(stage.reused_from for stage in again.stages)
