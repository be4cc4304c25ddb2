"""Windows of a live stream: when each ends, and which events belong to it.

Events come in pieces of any size. A window is given out as soon as an event behind it, or the
clock, says that nothing more can fall into it, and is the same however the events were cut into
pieces. No more is kept than the events of the window that is open and the last piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from fovea.errors import ConfigError, DataError
from fovea.events.sensor import Sensor
from fovea.events.stream import EventStream

WINDOW_US = 50_000
LABEL_STEP_US = 100_000
"""Time between labelled moments where a sensor's rules leave it to the labels."""
WINDOWS_A_STEP = 2
GAP_US = 10_000_000


@dataclass(frozen=True)
class Cadence:
    """How long windows are and how far apart their ends."""

    length_us: int = WINDOW_US
    period_us: float = WINDOW_US
    """Between two ends; a fraction is rounded window by window, and does not add up."""
    gap_us: int = GAP_US
    """After so long without an event windows begin anew, and with them the detector's memory."""

    def __post_init__(self) -> None:
        if self.length_us < 1 or self.period_us < 1 or self.gap_us < self.period_us:
            raise ConfigError(
                "a window and the time to the next are at least 1 µs, and a gap is longer; found"
                f" {self.length_us}, {self.period_us:g} and {self.gap_us} µs. Change them."
            )

    @classmethod
    def of(cls, sensor: Sensor) -> Cadence:
        """That of the data sets of a sensor, which its detectors are used to.

        There are two windows of 50 ms between labelled moments, whatever the time between these:
        for gen1, with labels every 250 ms, 50 ms of events are seen every 125 ms. Data sets made
        with another period say so.
        """
        step_us = sensor.rules.step_us or LABEL_STEP_US
        return cls(period_us=sensor.period_us or step_us / WINDOWS_A_STEP)


@dataclass(frozen=True)
class Window:
    """The events from `end_us - length_us` to `end_us`, both included."""

    end_us: int
    events: EventStream
    is_first: bool
    """Whether nothing, or nothing for long, was before it."""


class WindowCutter:
    """Cuts a stream into windows.

    Args:
        cadence: when windows end.
        first_end_us: the end of the first one; left out, it is a window after the first event.
    """

    def __init__(self, cadence: Cadence, *, first_end_us: int | None = None) -> None:
        self.cadence = cadence
        self._held: deque[EventStream] = deque()
        self._first_end = first_end_us
        self._number = 0
        self._last_us: int | None = None
        self._size: tuple[int, int] | None = None

    def feed(
        self, events: EventStream, times_us: Int64[np.ndarray, " n"] | None = None
    ) -> list[Window]:
        """Take the next events; gives the windows that they complete.

        Args:
            events: that are to be in windows.
            times_us: of all events that came, where some of them were left out.

        Raises:
            DataError: times fall back behind the piece before, or the sensor's size changes.
        """
        return list(self._fed(events, events.t if times_us is None else times_us))

    def advance(self, now_us: int) -> list[Window]:
        """Say that no event up to `now_us` is still to come; gives the windows that end by then."""
        windows = list(self._complete(now_us + 1))
        if self._last_us is not None:
            self._last_us = max(self._last_us, now_us)
        return windows

    def finish(self) -> list[Window]:
        """Say that nothing follows; gives the windows that end with the last event at the latest.

        Of a stream too short for one there is a window that ends with the last event.
        """
        return list(self._rest())

    @property
    def held_events(self) -> int:
        """How many events are kept."""
        return sum(map(len, self._held))

    def _fed(self, events: EventStream, times_us: Int64[np.ndarray, " n"]) -> Iterator[Window]:
        if not len(times_us):
            return
        self._check(events, times_us)
        start = int(times_us[0])
        if self._last_us is not None and start - self._last_us > self.cadence.gap_us:
            yield from self._rest()
            self._begin_anew(start)
        if self._first_end is None:
            self._first_end = start + self.cadence.length_us
        # A pause inside a piece is a pause as well.
        pauses = np.flatnonzero(np.diff(times_us) > self.cadence.gap_us)
        if len(pauses):
            after = int(pauses[0]) + 1
            cut = int(np.searchsorted(events.t, times_us[after], side="left"))
            yield from self._fed(events[:cut], times_us[:after])
            yield from self._fed(events[cut:], times_us[after:])
            return
        if len(events):
            self._held.append(events)
        self._last_us = int(times_us[-1])
        self._drop()
        yield from self._complete(self._last_us)

    def _check(self, events: EventStream, times_us: Int64[np.ndarray, " n"]) -> None:
        size = events.height, events.width
        if self._size not in (None, size):
            raise DataError(
                f"a stream is of one sensor, and after {self._size} pixels come {size} (height,"
                " width). Begin another for another camera."
            )
        self._size = size
        first, last = int(times_us[0]), int(times_us[-1])
        before = first if self._last_us is None else self._last_us
        if (times_us[1:] < times_us[:-1]).any() or before > first:
            raise DataError(
                f"times may not fall, and events of {first} to {last} µs came after {before} µs."
                " Sort them, or open the recording with mend_times."
            )

    def _rest(self) -> Iterator[Window]:
        """The windows up to the last event; of a stream too short for one, one that ends there."""
        if self._last_us is None or self._first_end is None:
            return
        if not self._number:
            self._first_end = min(self._first_end, self._last_us)
        yield from self._complete(self._last_us + 1)

    def _begin_anew(self, start_us: int) -> None:
        self._held.clear()
        self._number = 0
        self._first_end = start_us + self.cadence.length_us

    def _end_us(self) -> int:
        assert self._first_end is not None, "windows are asked for once there was an event"
        return self._first_end + round(self._number * self.cadence.period_us)

    def _complete(self, before_us: int) -> Iterator[Window]:
        """The windows that end before that time."""
        while self._first_end is not None and self._size and self._end_us() < before_us:
            end = self._end_us()
            parts = [part.between(end - self.cadence.length_us, end) for part in self._held]
            parts = [part for part in parts if len(part)]
            events = EventStream.joined(parts) if parts else EventStream.empty(*self._size)
            yield Window(end, events, is_first=self._number == 0)
            self._number += 1
            self._drop()

    def _drop(self) -> None:
        """Let go of events that are before every window to come."""
        start = self._end_us() - self.cadence.length_us
        while self._held and self._held[0].t[-1] < start:
            self._held.popleft()
