"""Real captures are read as they are; a short fit of real photographs already looks like them."""

from pathlib import Path

import pytest
import torch

from fovea.metrics.image import psnr
from fovea.relight.fit import fit
from fovea.relight.settings.fit import FitConfig
from fovea.relight.stages import FIT
from fovea.runs.stage import Context
from fovea.scene.capture import load, read_capture


def test_photographs_that_are_missing_are_counted_not_fatal(data_folder: Path) -> None:
    capture = read_capture(data_folder / "multiview" / "fox")
    assert len(capture.split("train")) == 43
    assert len(capture.split("test")) == 7
    assert len(capture.absent) == 17


def test_a_lens_with_distortion_becomes_a_pinhole(data_folder: Path) -> None:
    capture = read_capture(data_folder / "multiview" / "fox")
    view = capture.split("test")[0]
    assert view.camera.distortion is not None
    photograph = load(view, 4)
    assert photograph.camera.distortion is None
    assert (photograph.camera.height, photograph.camera.width) == (480, 270)


@pytest.mark.parametrize("name", ["multiview/lego", "inverse/cowstage"])
def test_cut_out_views_keep_their_alpha(data_folder: Path, name: str) -> None:
    capture = read_capture(data_folder / name)
    assert load(capture.split("test")[0], 2).is_cut_out


@pytest.mark.slow
def test_a_short_fit_of_real_photographs_is_far_above_the_best_plain_colour(
    data_folder: Path, tmp_path: Path
) -> None:
    capture = read_capture(data_folder / "multiview" / "fox")
    config = FitConfig(
        data=capture.folder, iterations=200, resolution=8, evaluate_every=0, densify={"reset": 0}
    )
    scores = fit(config, Context.local(FIT, config, tmp_path))
    photographs = [load(view, 8).over(torch.zeros(3)) for view in capture.split("test")]
    plain = [float(psnr(p.mean((0, 1)).expand_as(p), p)) for p in photographs]
    assert scores["test/psnr"] > sum(plain) / len(plain) + 8
