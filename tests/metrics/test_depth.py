"""Depth scores say what the field says, and alignment takes scale and shift away."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.metrics.depth import Alignment, abs_rel, align_inverse_depth, delta, depth_scores

TRUTH = np.array([[1.0, 2.0, 4.0], [8.0, 3.0, 5.0]])


def test_a_perfect_depth_map_scores_nothing_wrong() -> None:
    assert depth_scores(TRUTH, TRUTH) == {"abs_rel": 0.0, "delta_1.25": 1.0, "rmse": 0.0}


def test_scores_of_a_small_map_are_those_counted_by_hand() -> None:
    depth = np.array([1.1, 3.0])
    truth = np.array([1.0, 2.0])
    assert abs_rel(depth, truth) == pytest.approx((0.1 + 0.5) / 2)
    assert delta(depth, truth) == 0.5
    assert delta(depth, truth, threshold=1.6) == 1.0


def test_unknown_depths_and_those_outside_the_mask_do_not_count() -> None:
    depth = np.array([1.0, 0.0, np.nan, 7.0, 5.0])
    truth = np.array([1.0, 2.0, 2.0, np.inf, 1.0])
    mask = np.array([True, True, True, True, False])
    assert abs_rel(depth, truth, mask) == 0.0


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(0.2, 5), shift=st.floats(0, 2))
def test_a_scale_and_a_shift_of_the_inverse_depth_are_taken_away(
    scale: float, shift: float
) -> None:
    depth = 1 / (scale / TRUTH + shift)
    for method in ("least_squares", "median"):
        found = align_inverse_depth(depth, TRUTH, method=method)
        np.testing.assert_allclose(found.depth(depth), TRUTH, rtol=1e-6)


def test_least_squares_agree_with_numpys_own() -> None:
    rng = np.random.default_rng(0)
    depth, truth = rng.uniform(1, 9, 50), rng.uniform(1, 9, 50)
    found = align_inverse_depth(depth, truth)
    slope, offset = np.polyfit(1 / depth, 1 / truth, 1)
    assert (found.scale, found.shift) == pytest.approx((slope, offset))


def test_a_wall_is_put_at_the_mean_inverse_depth() -> None:
    wall = np.full_like(TRUTH, 0.3)
    found = align_inverse_depth(wall, TRUTH)
    assert found.scale == 0
    assert found.depth(wall)[0, 0] == pytest.approx(1 / np.mean(1 / TRUTH))
    robust = align_inverse_depth(wall, TRUTH, method="median")
    assert robust.depth(wall)[0, 0] == pytest.approx(1 / np.median(1 / TRUTH))


def test_medians_are_not_moved_by_one_wild_pixel() -> None:
    truth = np.linspace(1, 3, 101)
    depth = truth.copy()
    depth[0] = 1e-3
    robust = align_inverse_depth(depth, truth, method="median").depth(depth)
    assert abs(np.median(robust / truth) - 1) < 0.5
    assert align_inverse_depth(depth, truth).scale < 0.01


def test_aligned_depths_end_at_the_deepest_truth() -> None:
    aligned = Alignment(scale=1.0, shift=-10.0, deepest=8.0).depth(np.array([1.0, 0.0]))
    np.testing.assert_array_equal(aligned, [8.0, 0.0])


def test_maps_of_two_shapes_are_refused_with_both() -> None:
    with pytest.raises(DataError, match=r"\(2, 3\), \(3,\)"):
        abs_rel(TRUTH, TRUTH[0, :3])


def test_a_map_without_any_depth_is_refused() -> None:
    with pytest.raises(DataError, match="no pixel of 6"):
        abs_rel(np.zeros_like(TRUTH), TRUTH)
