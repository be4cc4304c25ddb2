from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.materials import activate, initial_parameters, logit
from fovea.relight.start import (
    log_scales,
    looked_at,
    random_points,
    seen_by,
    squared_distance_to_neighbours,
)
from fovea.scene.capture import read_capture


@pytest.fixture(scope="module")
def known(goldens: Path) -> dict[str, np.ndarray]:
    return dict(np.load(goldens / "inverse-rendering/knn_init.npz"))


def test_start_values_are_the_references(known):
    points = known["points"]
    squared = squared_distance_to_neighbours(points)
    np.testing.assert_allclose(squared, known["mean_sq_dist3"], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(log_scales(points)[:, 0], known["log_scale"], rtol=1e-9)
    parameters = initial_parameters(points, known["rgb"], degree=3)
    np.testing.assert_allclose(parameters["dc"][:, 0], known["sh_dc"], atol=1e-5)
    assert logit(0.1) == pytest.approx(float(known["init_opacity_logit"]), abs=1e-9)


def test_what_starts_is_round_faint_and_of_the_points_colours(known):
    gaussians = activate(initial_parameters(known["points"], known["rgb"], degree=2, opacity=0.1))
    assert gaussians.degree == 2
    torch.testing.assert_close(gaussians.opacities, torch.full_like(gaussians.opacities, 0.1))
    assert gaussians.scales.std(dim=1).max() == 0
    colors = gaussians.colors(torch.zeros(3))
    np.testing.assert_allclose(colors, known["rgb"], atol=1e-5)


def test_random_points_lie_where_two_cameras_look(ball_capture):
    capture = read_capture(ball_capture)
    points = random_points(capture, 200, np.random.default_rng(0))
    assert points.shape == (200, 3)
    assert (seen_by(points, capture.split("train")) >= 2).all()
    centre = looked_at([view.camera for view in capture.views])
    np.testing.assert_allclose(centre, 0, atol=1e-6)


def test_cameras_in_parallel_still_have_a_point_before_them(ball_capture):
    camera = read_capture(ball_capture).views[0].camera
    assert np.isfinite(looked_at([camera, camera])).all()
