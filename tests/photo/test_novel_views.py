"""A scene at its true depths foretells the other photographs of a capture better than a wall."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea import catalog
from fovea.errors import DataError
from fovea.metrics.scores import image_metrics
from fovea.photo.drawing import constant_colors, draw
from fovea.photo.evaluate import evaluate
from fovea.photo.lift import joined, lift
from fovea.photo.novel_views import (
    SCENE,
    WALL,
    at_origin,
    evaluate_views,
    nearest_views,
    on_true_rays,
)
from fovea.photo.posed import chosen
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.sharp_ply import camera_at_origin, write_sharp_ply
from fovea.runs.stage import Context
from fovea.scene.camera import OPENGL_TO_OPENCV, Camera
from fovea.scene.capture import is_capture, load, read_capture
from fovea.scene.gaussians import Gaussians

HEIGHT, WIDTH, FOV = 48, 64, 0.8
MIDDLE = (0.0, 0.0, 4.0)
SIDES = (0.0, 0.15, -0.15, 0.3, -0.3, 1.5)


def camera(side: float) -> Camera:
    return Camera.look_at(
        (side, 0.1 * side, 0.0), MIDDLE, fov_x=FOV, height=HEIGHT, width=WIDTH, up=(0.0, -1.0, 0.0)
    )


def room() -> Gaussians:
    """A thing of squares 2.5 in front of a wall of squares 6 away."""
    random = np.random.default_rng(5)
    wide = Camera.from_fov(torch.eye(4, dtype=torch.float64), fov_x=1.6, height=96, width=160)
    squares = np.kron(random.integers(30, 225, (12, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    far = lift(squares, np.full((96, 160), 6.0), wide)
    near = np.zeros((96, 160))
    near[36:64, 60:100] = 2.5
    return joined(far, lift(255 - squares, near, wide))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs of the room, in NeRF-synthetic form; the last one from far aside."""
    folder = tmp_path_factory.mktemp("posed")
    scene, frames = room(), []
    for number, side in enumerate(SIDES):
        view = camera(side)
        drawn = draw(scene, view, colors=constant_colors(scene)).filled()
        Image.fromarray(drawn.picture("linear")).save(folder / f"v{number}.png")
        pose = view.camera_to_world @ OPENGL_TO_OPENCV
        frames.append({"file_path": f"v{number}", "transform_matrix": pose.tolist()})
    document = {"camera_angle_x": FOV, "frames": frames}
    (folder / "transforms_train.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def true_scene(capture: Path) -> Gaussians:
    """The first photograph at its true depths, in a metre of two units."""
    pixels = np.asarray(Image.open(capture / "v0.png"))
    drawn = draw(room(), camera(0.0))
    scene = lift(pixels, drawn.depth, at_origin(camera(0.0)))
    return replace(scene, means=scene.means / 2, scales=scene.scales / 2)


def test_the_true_depths_beat_a_wall_and_their_scale_is_found(
    capture: Path, true_scene: Gaussians
) -> None:
    views = read_capture(capture, hold_out=0).views
    source, *others = [load(view) for view in views[:5]]
    lens = at_origin(source.camera)
    found = evaluate_views(source, others, true_scene, lens, metrics=image_metrics())
    # 15 % are half a pixel here, and the pictures are soft.
    assert found[SCENE].units_per_m == pytest.approx(2.0, rel=0.15)
    assert 2.0 < found[WALL].units_per_m < 6.5
    assert found[SCENE].mean["psnr"] > found[WALL].mean["psnr"] + 2


def test_the_nearest_views_come_first_and_the_farthest_is_left_out() -> None:
    cameras = [camera(side) for side in SIDES[1:]]
    order = nearest_views(camera(0.0), cameras, 4)
    assert set(order[:2]) == {0, 1}
    assert 4 not in order


def test_a_scene_made_with_another_lens_is_put_on_the_true_rays(true_scene: Gaussians) -> None:
    lens = at_origin(camera(0.0))
    focal = 1.5 * float(lens.intrinsics[0, 0])
    guessed = camera_at_origin(focal, height=2 * HEIGHT, width=2 * WIDTH)
    guessed_lens = guessed.resized(height=HEIGHT, width=WIDTH)
    made = on_true_rays(true_scene, lens, guessed_lens)
    back = on_true_rays(made, guessed, lens)
    torch.testing.assert_close(back.means[:, 2], true_scene.means[:, 2])
    seen_then = true_scene.means[:, :2] / true_scene.means[:, 2:]
    torch.testing.assert_close(guessed.intrinsics[0, 0].item(), focal)
    torch.testing.assert_close(made.means[:, :2] / made.means[:, 2:], seen_then * _ratio(focal))


def _ratio(focal: float) -> float:
    return WIDTH / (2 * math.tan(FOV / 2)) / (focal / 2)


def test_the_stage_scores_a_posed_capture(
    capture: Path, true_scene: Gaussians, tmp_path: Path
) -> None:
    assert is_capture(capture)
    focal = float(camera(0.0).intrinsics[0, 0])
    path = tmp_path / "scene.ply"
    write_sharp_ply(path, true_scene, focal_px=focal, height=HEIGHT, width=WIDTH)
    config = EvaluateConfig(scene=path, data=capture, view="v0.png", views=2)
    context = Context.local(catalog.stage("photo.evaluate"), config, tmp_path / "work")
    scores = evaluate(config, context)
    document = json.loads(context.output("scores").read_text())
    assert document["test"]["psnr"] == scores["test/psnr"]
    assert scores["test/psnr"] > scores["wall/psnr"]
    assert len(document["methods"][SCENE]["views"]) == 1
    assert context.output("sheet").stat().st_size > 1000
    assert "a wall, its depth given" in context.output("page").read_text()


def test_a_view_that_is_not_there_is_refused_by_its_name(capture: Path) -> None:
    with pytest.raises(DataError, match=r"none called 'v9'. It has v0, v1"):
        chosen(read_capture(capture, hold_out=0), "v9")
