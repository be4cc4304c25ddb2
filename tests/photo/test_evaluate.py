"""The true depth scores best, whatever its scale; a wall and the ground score as they deserve."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea import catalog
from fovea.errors import DataError
from fovea.metrics.depth import Alignment
from fovea.photo.evaluate import evaluate
from fovea.photo.lift import lift
from fovea.photo.pair import StereoPair, read_pair
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.sharp_ply import camera_at_origin, write_sharp_ply
from fovea.photo.stereo_scores import GROUND, RAW, SCENE, WALL, Look, aligned, evaluate_stereo
from fovea.runs.stage import Context
from fovea.scene.gaussians import Gaussians

SAMPLE = Path(__file__).parents[2] / "src" / "fovea" / "samples" / "pair"
CONFIG = EvaluateConfig(scene=SAMPLE / "scene.ply", data=SAMPLE)
FOCAL_PX = 90.0


@pytest.fixture(scope="module")
def pair() -> StereoPair:
    return read_pair(CONFIG)


def scene_at(pair: StereoPair, depth: np.ndarray, focal_px: float = FOCAL_PX) -> Gaussians:
    height, width = depth.shape
    return lift(pair.left, depth, camera_at_origin(focal_px, height=height, width=width))


def scored(pair: StereoPair, depth: np.ndarray, focal_px: float = FOCAL_PX) -> dict[str, Look]:
    height, width = depth.shape
    lens = camera_at_origin(focal_px, height=height, width=width)
    return evaluate_stereo(pair, scene_at(pair, depth, focal_px), lens)


def test_the_true_depth_foretells_the_right_view_and_beats_wall_and_ground(
    pair: StereoPair,
) -> None:
    looks = scored(pair, pair.depth())
    assert looks[SCENE].scores["abs_rel"] < 0.02
    assert looks[RAW].scores["delta_1.25"] > 0.97
    for guess in (WALL, GROUND):
        for name in ("psnr_seen", "ssim_seen", "delta_1.25"):
            assert looks[SCENE].scores[name] > looks[guess].scores[name] + 0.03
    assert looks[SCENE].scores["psnr_seen"] > looks[SCENE].scores["psnr"]


def test_scale_and_shift_of_the_inverse_depth_cost_nothing_once_aligned(pair: StereoPair) -> None:
    depth = pair.depth()
    true, bent = scored(pair, depth), scored(pair, 1 / (0.3 / depth + 0.2))
    assert bent[SCENE].scores["psnr"] == pytest.approx(true[SCENE].scores["psnr"], abs=0.3)
    assert bent[SCENE].scores["abs_rel"] == pytest.approx(true[SCENE].scores["abs_rel"], abs=0.02)
    assert bent[RAW].scores["psnr"] < true[RAW].scores["psnr"] - 2


def test_a_scene_made_with_another_focal_length_is_seen_from_the_right_place(
    pair: StereoPair,
) -> None:
    other = scored(pair, pair.depth(), focal_px=1.4 * FOCAL_PX)
    assert other[RAW].scores["psnr"] == pytest.approx(
        scored(pair, pair.depth())[RAW].scores["psnr"], abs=0.3
    )


def test_without_calibration_only_aligned_scores_are_given(pair: StereoPair) -> None:
    open_scale = replace(pair, focal_px=0.0, baseline_m=0.0)
    looks = scored(open_scale, pair.depth())
    assert set(looks) == {SCENE, WALL, GROUND}
    assert looks[SCENE].scores["psnr"] == pytest.approx(
        scored(pair, pair.depth())[SCENE].scores["psnr"], abs=0.1
    )


def test_alignment_moves_gaussians_along_their_rays(pair: StereoPair) -> None:
    scene = scene_at(pair, pair.depth())
    moved = aligned(scene, Alignment(scale=2.0, shift=0.1, deepest=50.0))
    before, after = scene.means.double(), moved.means.double()
    torch.testing.assert_close(after[:, :2] / after[:, 2:], before[:, :2] / before[:, 2:])
    torch.testing.assert_close(1 / after[:, 2], 2 / before[:, 2] + 0.1)
    torch.testing.assert_close(
        moved.scales / after[:, 2:].float(), scene.scales / before[:, 2:].float()
    )


def test_the_stage_writes_scores_a_sheet_and_a_page(tmp_path: Path) -> None:
    context = Context.local(catalog.stage("photo.evaluate"), CONFIG, tmp_path)
    scores = evaluate(CONFIG, context)
    document = json.loads(context.output("scores").read_text())
    assert document["test"]["psnr"] == scores["test/psnr"]
    assert set(document["methods"]) == {SCENE, WALL, GROUND, RAW}
    assert document["config"]["align"] == "least_squares"
    assert context.output("sheet").stat().st_size > 1000
    page = context.output("page").read_text()
    assert "a wall, scale and shift given" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_scene_of_another_picture_is_refused_by_its_shape(
    pair: StereoPair, tmp_path: Path
) -> None:
    path = tmp_path / "tall.ply"
    scene = scene_at(pair, pair.depth())
    write_sharp_ply(path, scene, focal_px=90, height=96, width=72)
    config = CONFIG.model_copy(update={"scene": path})
    context = Context.local(catalog.stage("photo.evaluate"), config, tmp_path / "work")
    with pytest.raises(DataError, match=r"72x96 px, and the left one of pair has 96x72"):
        evaluate(config, context)
