"""The paired bootstrap: intervals that hold what they promise."""

import numpy as np
import pytest
from scipy import stats

from fovea.errors import DataError
from fovea.metrics.bootstrap import paired_bootstrap


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_is_scipy_s() -> None:
    a, b = rng(1).random(200), rng(2).random(200) + 0.05
    ours = paired_bootstrap(a, b, rng(), draws=20_000)
    theirs = stats.bootstrap(
        (b - a,), np.mean, n_resamples=20_000, method="percentile", rng=rng(3)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=2e-3)
    assert ours.high == pytest.approx(theirs.high, abs=2e-3)


def test_a_difference_that_is_not_there_is_seldom_called_real() -> None:
    draws = rng(4)
    called = 0
    for _ in range(200):
        right = draws.random((2, 150)) < 0.5
        called += paired_bootstrap(right[0], right[1], draws, draws=400).is_real
    assert called <= 22, "at 95% one in twenty may be called real; 22 of 200 is a chance in 1e-4"


def test_a_difference_that_is_there_is_found_with_its_sign() -> None:
    a = (rng(5).random(500) < 0.3).astype(float)
    b = np.maximum(a, rng(6).random(500) < 0.1)
    better, worse = paired_bootstrap(a, b, rng()), paired_bootstrap(b, a, rng())
    assert better.is_real
    assert worse.is_real
    assert better.mean == pytest.approx(-worse.mean)
    assert "real" in better.sentence()
    assert better.p < 0.01


def test_seeds_are_averaged_question_by_question() -> None:
    a, b = rng(7).random((3, 80)), rng(8).random((2, 80))
    together = paired_bootstrap(a, b, rng())
    by_hand = paired_bootstrap(a.mean(axis=0), b.mean(axis=0), rng())
    assert together == by_hand


def test_equal_runs_differ_by_nothing() -> None:
    same = rng(9).random(50)
    found = paired_bootstrap(same, same, rng())
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert not found.is_real


@pytest.mark.parametrize("count", [0, 3])
def test_runs_on_other_questions_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"found {count} and 4|found 0 and 0"):
        paired_bootstrap(np.ones(count), np.ones(4 if count else 0), rng())
