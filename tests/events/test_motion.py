import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.events.simulate.motion import Course, Sway, wandering


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0, 1))
def test_a_course_is_the_integral_of_its_rate(seed: int, rate: float, whims: float) -> None:
    rng = np.random.default_rng(seed)
    course = wandering(rng, 3.0, rate, from_s=0.5, to_s=4.0, whims=whims)
    times = np.linspace(0.2, 6.0, 5801)
    rates = np.array([course.rate(t) for t in times])
    summed = np.concatenate([[0], np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(times))])
    found = np.array([course.at(t) for t in times])
    assert np.abs(found - found[0] - summed).max() < 0.02 * max(1, abs(rate) / 10)
    assert np.abs(rates).max() <= course.fastest + 1e-9


def test_a_course_starts_where_it_was_told_to() -> None:
    assert Course(7.0, [1.0, 2.0], [3.0, 5.0]).at(1.0) == 7.0
    assert Course(7.0, [1.0, 2.0], [3.0, 5.0]).at(2.0) == 11.0


def test_some_stand_still_and_some_turn_back() -> None:
    rng = np.random.default_rng(0)
    courses = [wandering(rng, 0, 10, from_s=0, to_s=5, whims=0.5) for _ in range(50)]
    rates = np.array([[course.rate(t) for t in np.linspace(0, 5, 200)] for course in courses])
    assert (rates == 0).any()
    assert (rates < 0).any()
    assert (rates > 0).mean() > 0.5


def test_without_whims_nothing_turns_back() -> None:
    course = wandering(np.random.default_rng(0), 0, -10, from_s=0, to_s=20, whims=0)
    assert max(course.rate(t) for t in np.linspace(0, 20, 500)) < 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_sway_is_never_faster_nor_larger_than_it_says(seed: int) -> None:
    sway = Sway.drawn(np.random.default_rng(seed), 2.0, (0.5, 4.0))
    values = np.array([sway.at(t) for t in np.linspace(0, 5, 5001)])
    assert np.abs(values).max() <= 2.0 + 1e-9
    assert np.abs(np.diff(values)).max() * 1000 <= sway.fastest + 1e-9
