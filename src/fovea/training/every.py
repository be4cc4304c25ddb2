"""When to do again what is not done at every step."""

from __future__ import annotations

import time
from collections.abc import Callable


def is_every(step: int, n: int) -> bool:
    """Whether `step`, counted from 1, is one of each `n`-th; never for `n` 0."""
    return n > 0 and step % n == 0


class EverySeconds:
    """Says when a span of time has passed since it last said so."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._last = clock()

    def is_due(self) -> bool:
        """Whether the span has passed; if so it begins anew."""
        now = self._clock()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True
