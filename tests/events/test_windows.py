"""Windows cut from a stream in pieces are those of the whole stream, with little in memory."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.dataset.windows import checked, span, windows
from fovea.events.stream import EventStream

SIZE = {"height": 6, "width": 8}


def stream(times: list[int], *, x: int = 0) -> EventStream:
    t = np.array(times, np.int64)
    return EventStream(
        t, np.full(len(t), x, np.uint16), np.arange(len(t), dtype=np.uint16) % 6,
        (t % 2).astype(np.uint8), **SIZE,
    )  # fmt: skip


def pieces(whole: EventStream, sizes: list[int]) -> Iterator[EventStream]:
    start = 0
    for size in [*sizes, len(whole)]:
        yield whole[start : start + size]
        start += size


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 500), max_size=60),
    st.lists(st.integers(0, 9), max_size=20),
    st.lists(st.integers(1, 600), min_size=1, max_size=12, unique=True),
    st.integers(1, 120),
)
def test_windows_do_not_depend_on_the_pieces(times, sizes, ends, length) -> None:
    whole = stream(sorted(times))
    ends = np.array(sorted(ends), np.int64)
    found = list(windows(pieces(whole, sizes), ends, length_us=length, **SIZE))
    assert len(found) == len(ends)
    for end, window in zip(ends.tolist(), found, strict=True):
        wanted = whole.between(end - length, end)
        assert window.t.tolist() == wanted.t.tolist()
        assert window.y.tolist() == wanted.y.tolist()


def test_events_of_the_very_end_belong_to_it_also_when_a_piece_ends_there() -> None:
    (found,) = windows([stream([1, 5]), stream([5, 6])], np.array([5]), length_us=4, **SIZE)
    assert found.t.tolist() == [1, 5, 5]


def test_pieces_that_are_over_are_let_go() -> None:
    alive: list[weakref.ref] = []
    most = 0

    def source() -> Iterator[EventStream]:
        nonlocal most
        for start in range(0, 100_000, 100):
            piece = stream(list(range(start, start + 100)))
            alive.append(weakref.ref(piece))
            yield piece
            most = max(most, sum(ref() is not None for ref in alive))

    ends = np.arange(500, 100_000, 500)
    for _ in windows(source(), ends, length_us=300, **SIZE):
        pass
    assert most < 12


def test_nothing_is_read_beyond_the_last_window() -> None:
    read = []

    def source() -> Iterator[EventStream]:
        for start in range(0, 10_000, 100):
            read.append(start)
            yield stream(list(range(start, start + 100)))

    list(windows(source(), np.array([250]), length_us=50, **SIZE))
    assert read == [0, 100, 200]


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(0, 300), st.integers(1, 300))
def test_a_span_begins_at_0_and_its_end_is_not_in_it(times, start, length) -> None:
    whole = stream(sorted(times))
    found = [e for part in span(pieces(whole, [3] * 20), start, start + length) for e in part.t]
    assert found == [time - start for time in sorted(times) if start <= time < start + length]


def test_falling_times_are_refused_also_between_pieces() -> None:
    with pytest.raises(DataError, match=r"event 3 is of 4 µs after 5 µs\. Sort"):
        list(checked([stream([1, 2, 5]), stream([4])], **SIZE))


def test_events_outside_the_sensor_are_refused_with_their_place() -> None:
    with pytest.raises(DataError, match=r"event 1 is at x=9 y=0, and 1 such events.*6 x 8"):
        list(checked([stream([1]), stream([2], x=9)], **SIZE))


def test_events_of_another_sensor_are_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match=r"sensor of 6 x 8 pixels.* one of 48 x 64"):
        list(checked([stream([1])], height=48, width=64))
