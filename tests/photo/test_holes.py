"""Holes get the colours around them, of the background rather than of what stands before it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.photo.holes import fill


def with_hole(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Near and red left, far and blue right, and nothing between; the last channel is depth."""
    values = np.zeros((height, width, 4), np.float32)
    left, right = width // 2 - 4, width // 2 + 3
    values[:, :left] = [1, 0, 0, 1]
    values[:, right:] = [0, 0, 1, 8]
    return values, (values[..., 3] > 0).astype(np.float32)


def test_a_hole_between_near_and_far_gets_the_colour_of_the_far() -> None:
    filled = fill(*with_hole(30, 60))
    middle = filled[15, 29]
    assert middle[2] > 0.9
    assert middle[0] < 0.1
    assert middle[3] > 7


def test_what_was_seen_stays_as_it_is() -> None:
    values, alpha = with_hole(31, 57)
    filled = fill(values, alpha)
    np.testing.assert_array_equal(filled[alpha == 1], values[alpha == 1])


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_a_picture_of_one_colour_is_completed_to_it(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = (rng.uniform(size=(height, width)) > 0.7).astype(np.float32)
    alpha[0, 0] = 1
    values = alpha[..., None] * np.array([0.2, 0.5, 0.9, 3.0], np.float32)
    filled = fill(values, alpha)
    wanted = np.broadcast_to([0.2, 0.5, 0.9, 3.0], filled.shape)
    np.testing.assert_allclose(filled, wanted, atol=1e-3)


def test_a_picture_of_nothing_stays_black() -> None:
    nothing = np.zeros((5, 7, 4), np.float32)
    assert fill(nothing, nothing[..., 0]).max() == pytest.approx(0)
