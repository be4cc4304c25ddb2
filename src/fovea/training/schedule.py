"""How a learning rate or a weight moves over the steps."""

from __future__ import annotations

import math


def exponential(step: float, *, first: float, last: float, steps: float) -> float:
    """From `first` at step 0 to `last` at `steps`, by equal factors; constant outside.

    Args:
        step: of the run.
        first: the value at step 0, positive.
        last: the value at `steps`, positive.
        steps: over which it moves.
    """
    share = min(max(step / steps, 0.0), 1.0)
    return math.exp((1 - share) * math.log(first) + share * math.log(last))


def linear(step: float, *, first: float, last: float, steps: float) -> float:
    """From `first` at step 0 to `last` at `steps`, by equal parts; constant outside."""
    share = min(max(step / steps, 0.0), 1.0)
    return (1 - share) * first + share * last


def warmup(step: float, *, steps: float) -> float:
    """A factor that rises from 0 to 1 over the first `steps`."""
    return 1.0 if steps <= 0 else min(step / steps, 1.0)
