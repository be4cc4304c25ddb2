"""Which labelled moments are kept, and when histograms end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.events.dataset.objframes import APART_US, base_step_us, chosen, schedule
from fovea.events.sensor import GEN1, GEN4, LabelRules

ANY = LabelRules()


def at(*times_us: int) -> np.ndarray:
    return np.array(times_us, np.int64)


def every(period_us: float, count: int = 100) -> np.ndarray:
    return (period_us * np.arange(1, count)).astype(np.int64)


def test_gen1_has_a_step_of_its_own() -> None:
    assert base_step_us(every(1_000), GEN1.rules) == 250_000


@pytest.mark.parametrize(
    ("period_us", "step_us"),
    [(16_666, 99_996), (16_667, 100_002), (33_333, 99_999), (33_367, 100_101), (50_000, 100_000),
     (100_000, 100_000), (99_000, 99_000), (40_000, 120_000), (250_000, 250_000)],
)  # fmt: skip
def test_other_steps_are_about_100_ms_in_whole_periods(period_us: int, step_us: int) -> None:
    assert base_step_us(every(period_us), GEN4.rules) == step_us


def test_nothing_before_100_ms_is_kept() -> None:
    assert schedule(at(99_999, 100_000, 350_000), GEN1.rules).objframes_us.tolist() == [
        100_000,
        350_000,
    ]
    assert not len(schedule(at(99_999), GEN1.rules).histograms_us)


def test_a_time_off_the_step_is_dropped_and_jitter_adds_up() -> None:
    times = at(250_000, 501_900, 753_800, 1_000_000, 1_005_700)
    kept, steps = chosen(times, 250_000)
    assert kept.tolist() == [250_000, 501_900, 753_800, 1_005_700]
    assert steps == [1, 1, 1]


def test_neighbours_of_98_ms_or_less_are_not_both_kept() -> None:
    assert chosen(at(100_000, 198_000, 297_000), 99_000)[0].tolist() == [100_000, 297_000]
    assert chosen(at(100_000, 198_001), 99_000)[0].tolist() == [100_000, 198_001]


def test_a_gap_of_several_steps_gets_two_histograms_for_each() -> None:
    found = schedule(at(100_000, 600_000), GEN1.rules)
    assert found.histograms_us.tolist() == [100_000, 225_000, 350_000, 475_000, 600_000]
    assert found.objframe_to_histogram.tolist() == [0, 4]


def test_dense_histograms_are_50_ms_apart() -> None:
    found = schedule(at(100_000, 350_000), GEN1.rules, "dense")
    assert np.diff(found.histograms_us).tolist() == [50_000] * 5
    assert found.objframe_to_histogram.tolist() == [0, 5]


def test_a_single_objframe_has_the_histograms_before_it() -> None:
    assert schedule(at(249_160), ANY).histograms_us.tolist() == [99_160, 149_160, 199_160, 249_160]


def test_the_earliest_whole_step_back_is_dropped() -> None:
    assert schedule(at(100_001), ANY).histograms_us.tolist() == [50_001, 100_001]
    assert schedule(at(100_000), ANY).histograms_us.tolist() == [100_000]


times = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60).map(
    lambda found: np.array(sorted(found), np.int64)
)
rules = st.sampled_from([GEN1.rules, GEN4.rules, ANY, LabelRules(step_us=99_000)])


@given(times, rules, st.sampled_from(["paper", "dense"]))
def test_objframes_are_far_apart_and_each_ends_a_histogram(times, rules, cadence) -> None:
    found = schedule(times, rules, cadence)
    assert np.isin(found.objframes_us, times).all()
    assert (np.diff(found.objframes_us) > APART_US).all()
    assert (np.diff(found.histograms_us) > 0).all()
    assert np.array_equal(found.histograms_us[found.objframe_to_histogram], found.objframes_us)
    if len(found.objframes_us):
        assert found.histograms_us[-1] == found.objframes_us[-1]
        assert found.histograms_us[0] > 0
