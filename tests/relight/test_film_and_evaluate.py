import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.errors import ArtifactError, DataError
from fovea.relight.cameras import film_path, read_cameras, surrounds, write_cameras
from fovea.relight.evaluate import evaluate
from fovea.relight.film import film
from fovea.relight.settings.evaluate import EvaluateConfig
from fovea.relight.settings.film import FilmConfig
from fovea.relight.stages import EVALUATE, FILM
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture import load, read_capture
from fovea.scene.ply import write_ply
from fovea.scene.video import read_video


@pytest.fixture
def scene(tmp_path: Path, balls) -> Path:
    write_ply(tmp_path / "scene.ply", balls)
    return tmp_path / "scene.ply"


def test_the_scene_a_capture_was_made_from_scores_high(scene, ball_capture, tmp_path):
    config = EvaluateConfig(scene=scene, data=ball_capture)
    context = Context.local(EVALUATE, config, tmp_path / "work")
    scores = evaluate(config, context)
    assert scores["test/psnr"] > 40
    document = json.loads(context.output("scores").read_text())
    assert document["views"].keys() == {"view_00", "view_08"}
    assert document["test/psnr"] == pytest.approx(scores["test/psnr"])
    made = {path.name for path in context.output("renders").iterdir()}
    assert made == {f"view_{n}{s}.png" for n in ("00", "08") for s in ("", "_error", "_normal")}
    with Image.open(context.output("sheet")) as sheet:
        assert sheet.width > 4 * 200


def test_normals_are_scored_where_the_capture_has_them(scene, goldens, tmp_path, balls):
    folder = shutil.copytree(
        goldens / "inverse-rendering/readers/tensoir_like", tmp_path / "capture"
    )
    extras = {"normal": torch.nn.functional.normalize(torch.ones(len(balls), 3), dim=-1)}
    write_ply(scene, type(balls)(**{**vars(balls), "extras": extras, "scales": balls.scales * 3}))
    config = EvaluateConfig(scene=scene, data=folder)
    scores = evaluate(config, Context.local(EVALUATE, config, tmp_path / "work"))
    assert 0 < scores["test/normal_deg"] < 180


def test_a_capture_without_test_views_is_told_how_to_get_some(scene, ball_capture, tmp_path):
    config = EvaluateConfig(scene=scene, data=ball_capture, hold_out=0)
    with pytest.raises(DataError, match="hold_out=8"):
        evaluate(config, Context.local(EVALUATE, config, tmp_path / "work"))


def test_a_film_has_the_length_and_size_that_were_asked_for(scene, tmp_path):
    config = FilmConfig(scene=scene, seconds=0.5, fps=8, width=48, height=32)
    context = Context.local(FILM, config, tmp_path / "work")
    film(config, context)
    frames, fps = read_video(context.output("video"))
    assert fps == 8
    assert frames.shape == (4, 32, 48, 3)
    assert frames.max() > 60


def test_cameras_come_back_from_their_file(ball_capture, tmp_path):
    capture = read_capture(ball_capture)
    train, test = ([load(v) for v in capture.split(s)] for s in ("train", "test"))
    write_cameras(tmp_path / "cameras.json", capture, train, test)
    found = read_cameras(tmp_path / "cameras.json")
    for one, photograph in zip(found, train, strict=True):
        torch.testing.assert_close(one.world_to_camera, photograph.camera.world_to_camera)
        torch.testing.assert_close(one.intrinsics, photograph.camera.intrinsics)
    document = json.loads((tmp_path / "cameras.json").read_text())
    np.testing.assert_allclose(document["centre"], 0, atol=1e-6)
    np.testing.assert_allclose(document["up"], [0, 0, 1], atol=1e-6)


def test_a_file_without_cameras_is_refused(tmp_path):
    path = tmp_path / "cameras.json"
    path.write_text('{"path": []}')
    with pytest.raises(ArtifactError, match=r"cameras\.json.*KeyError"):
        read_cameras(path)


def arc(degrees: float) -> list[Camera]:
    return [
        Camera.look_at(
            (3 * math.cos(a), 3 * math.sin(a), 0.5), (0, 0, 0), fov_x=0.8, height=8, width=8
        )
        for a in np.radians(np.linspace(0, degrees, 12))
    ]


@pytest.mark.parametrize(("degrees", "is_around"), [(340, True), (90, False)])
def test_a_film_goes_around_only_what_was_photographed_all_around(degrees, is_around):
    cameras = arc(degrees)
    assert surrounds(cameras) is is_around
    seen = np.stack([camera.position.numpy() for camera in film_path(cameras, 36)])
    angles = np.degrees(np.arctan2(seen[:, 1], seen[:, 0]))
    assert bool(np.ptp(angles) > 300) is is_around
    assert np.linalg.norm(seen[0] - seen[-1]) < 1
