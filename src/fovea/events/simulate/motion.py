"""How things move: where a quantity is whose rate of change is drawn at random.

Times are seconds from the start of a recording.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


class Course:
    """A quantity whose rate goes straight from one given rate to the next, and stays at the ends.

    So it accelerates and brakes, and its path has no corners.
    """

    def __init__(self, start: float, times_s: Sequence[float], rates: Sequence[float]) -> None:
        self._times, self._rates = list(times_s), list(rates)
        self._values = [start]
        for (t0, r0), (t1, r1) in pairwise(zip(times_s, rates, strict=True)):
            self._values.append(self._values[-1] + (t1 - t0) * (r0 + r1) / 2)

    def at(self, time_s: float) -> float:
        """Its value at a time."""
        i = min(max(bisect_right(self._times, time_s) - 1, 0), len(self._times) - 1)
        since = time_s - self._times[i]
        return self._values[i] + since * (self._rates[i] + self.rate(time_s)) / 2

    def rate(self, time_s: float) -> float:
        """How fast it changes at a time, a second."""
        if time_s <= self._times[0] or len(self._times) == 1:
            return self._rates[0]
        if time_s >= self._times[-1]:
            return self._rates[-1]
        i = bisect_right(self._times, time_s) - 1
        part = (time_s - self._times[i]) / (self._times[i + 1] - self._times[i])
        return self._rates[i] + part * (self._rates[i + 1] - self._rates[i])

    @property
    def fastest(self) -> float:
        """The largest size of its rate."""
        return max(map(abs, self._rates))


def wandering(
    rng: np.random.Generator, start: float, rate: float, *, from_s: float, to_s: float, whims: float
) -> Course:
    """The course of something that mostly goes on, and now and then stands still or turns back.

    Args:
        rng: draws it.
        start: its value at `from_s`.
        rate: its usual rate.
        from_s: when it begins.
        to_s: when it may end.
        whims: chance to stand still or turn back, at each change of rate.
    """
    times, rates, now = [from_s], [rate], from_s
    while now < to_s:
        now += rng.uniform(0.5, 1.4)
        odd = rng.random() < whims
        factor = rng.choice((0.0, 0.0, -1.0)) if odd else rng.uniform(0.6, 1.4)
        times.append(now)
        rates.append(rate * factor)
        if odd:  # it takes its time
            now += rng.uniform(0.3, 0.8)
            times.append(now)
            rates.append(rate * factor)
    return Course(start, times, rates)


@dataclass(frozen=True)
class Sway:
    """A sum of slow waves, as of a hand that holds a camera."""

    amplitudes: tuple[float, ...]
    hertz: tuple[float, ...]
    phases: tuple[float, ...]

    def at(self, time_s: float) -> float:
        """Its value at a time."""
        waves = zip(self.amplitudes, self.hertz, self.phases, strict=True)
        return sum(a * math.sin(2 * math.pi * f * time_s + p) for a, f, p in waves)

    @property
    def fastest(self) -> float:
        """A rate that it never exceeds, a second."""
        return sum(
            abs(a) * 2 * math.pi * f for a, f in zip(self.amplitudes, self.hertz, strict=True)
        )

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, size: float, hertz: tuple[float, float], waves: int = 3
    ) -> Sway:
        """Waves that together reach about `size`, with frequencies from a range."""
        amplitudes = rng.dirichlet(np.ones(waves)) * size
        return cls(
            tuple(amplitudes.tolist()),
            tuple(rng.uniform(*hertz, waves).tolist()),
            tuple(rng.uniform(0, 2 * math.pi, waves).tolist()),
        )
