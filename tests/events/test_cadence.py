"""Windows of a live stream are the same however its events are cut into pieces."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ConfigError, DataError
from fovea.events.cadence import Cadence, Window, WindowCutter
from fovea.events.sensor import GEN1, GEN4, LabelRules
from fovea.events.stream import EventStream


def stream(times: list[int]) -> EventStream:
    t = np.array(times, np.int64)
    x = (np.arange(len(t)) % 8).astype(np.uint16)
    return EventStream(t, x, x, (x % 2).astype(np.uint8), 8, 8)


def cut(events: EventStream, places: list[int], cadence: Cadence) -> list[Window]:
    cutter = WindowCutter(cadence)
    borders = [0, *sorted(min(place, len(events)) for place in places), len(events)]
    found = [
        window
        for start, stop in itertools.pairwise(borders)
        for window in cutter.feed(events[start:stop])
    ]
    return found + cutter.finish()


def told(windows: list[Window]) -> list[tuple[int, bool, list[int]]]:
    return [(window.end_us, window.is_first, window.events.t.tolist()) for window in windows]


def test_gen1_sees_50_ms_of_events_every_125_and_gen4_every_50() -> None:
    assert (Cadence.of(GEN1).length_us, Cadence.of(GEN1).period_us) == (50_000, 125_000)
    assert Cadence.of(GEN4).period_us == 50_000
    other = dataclasses.replace(GEN1, rules=LabelRules(step_us=60_000))
    assert Cadence.of(other).period_us == 30_000


def test_a_window_takes_the_events_of_both_its_ends() -> None:
    times = [0, 9, 10, 40, 49, 50, 51, 60, 110, 111]
    cadence = Cadence(length_us=50, period_us=60)
    assert told(cut(stream(times), [], cadence)) == [
        (50, True, [0, 9, 10, 40, 49, 50]),
        (110, False, [60, 110]),
    ]


def test_a_window_is_given_out_with_the_first_event_behind_it_and_no_sooner() -> None:
    cutter = WindowCutter(Cadence(length_us=50, period_us=50))
    assert cutter.feed(stream([0, 20, 50])) == []
    assert cutter.feed(stream([50])) == []
    (window,) = cutter.feed(stream([51]))
    assert window.events.t.tolist() == [0, 20, 50, 50]


def test_the_clock_completes_windows_in_which_nothing_more_happens() -> None:
    cutter = WindowCutter(Cadence(length_us=50, period_us=50))
    cutter.feed(stream([0, 20]))
    assert told(cutter.advance(100)) == [(50, True, [0, 20]), (100, False, [])]
    with pytest.raises(DataError, match="came after 100"):
        cutter.feed(stream([99]))


def test_a_long_silence_begins_anew() -> None:
    cadence = Cadence(length_us=50, period_us=50, gap_us=1000)
    late = 5000
    wanted = [
        (50, True, [0, 20]), (late + 50, True, [late, late + 50]),
    ]  # fmt: skip
    for places in ([], [3], [1, 2, 3, 4]):
        assert told(cut(stream([0, 20, 60, late, late + 50]), places, cadence)) == wanted


def test_a_stream_too_short_for_a_window_gives_one_all_the_same() -> None:
    assert told(cut(stream([7, 9]), [], Cadence())) == [(9, True, [7, 9])]
    assert WindowCutter(Cadence()).finish() == []


def test_no_more_is_kept_than_the_open_window_and_the_last_piece() -> None:
    cutter = WindowCutter(Cadence(length_us=50, period_us=500))
    most = 0
    for start in range(0, 20_000, 10):
        cutter.feed(stream(list(range(start, start + 10))))
        most = max(most, cutter.held_events)
    assert most <= 50 + 2 * 10 + 1


def test_events_left_out_still_move_the_clock() -> None:
    events = stream(list(range(0, 400, 7)))
    none = events[:0]
    cutter = WindowCutter(Cadence(length_us=50, period_us=50))
    ends = [window.end_us for window in cutter.feed(none, events.t)]
    assert ends == list(range(50, 399, 50))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(0, 90), max_size=60),
    places=st.lists(st.integers(0, 60), max_size=8),
    period=st.sampled_from([10, 50, 33.3, 125]),
    gap=st.sampled_from([126, 5000]),
)
def test_pieces_do_not_matter(steps: list[int], places: list[int], period: float, gap: int) -> None:
    events = stream(np.cumsum([3, *steps]).tolist())
    cadence = Cadence(length_us=50, period_us=period, gap_us=gap)
    whole = told(cut(events, [], cadence))
    assert told(cut(events, places, cadence)) == whole
    assert told(cut(events, list(range(len(events))), cadence)) == whole
    for end, _, times in whole:
        assert times == events.between(end - 50, end).t.tolist()


def test_fractions_of_a_microsecond_do_not_add_up() -> None:
    ends = [w.end_us for w in cut(stream(list(range(0, 5000, 10))), [], Cadence(50, 100 / 3))]
    assert ends[90] == 50 + 3000


def test_falling_times_and_another_sensor_are_refused() -> None:
    cutter = WindowCutter(Cadence())
    cutter.feed(stream([5, 9]))
    with pytest.raises(DataError, match="events of 8 to 12 µs came after 9"):
        cutter.feed(stream([8, 12]))
    with pytest.raises(DataError, match="times may not fall"):
        WindowCutter(Cadence()).feed(stream([9, 8]))
    with pytest.raises(DataError, match="one sensor"):
        cutter.feed(dataclasses.replace(stream([10]), height=9))


def test_a_cadence_that_stands_still_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Cadence(period_us=0)
