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


def one_cycle(
    step: int,
    *,
    peak: float,
    steps: int,
    warmup: float = 0.005,
    start_div: float = 20.0,
    end_div: float = 10_000.0,
) -> float:
    """The learning rate of `step`: by equal parts up to the peak, then down to the end.

    Args:
        step: from 0 to `steps` - 1; beyond, the last rate stays.
        peak: the highest rate.
        steps: of the whole training.
        warmup: part of the steps until the peak.
        start_div: the first rate is the peak over this.
        end_div: the last rate is the peak over this.

    Source: Smith and Topin, "Super-Convergence" (2018), linear as `OneCycleLR` has it.
    """
    top, last = warmup * steps - 1, steps - 1
    if step <= top and top > 0:
        return linear(step, first=peak / start_div, last=peak, steps=top)
    return linear(step - top, first=peak, last=peak / end_div, steps=max(last - top, 1e-9))


def warmup_cosine(step: int, *, peak: float, steps: int, warmup: float = 0.03) -> float:
    """The learning rate after `step` steps: by equal parts up to the peak, then a cosine to 0.

    Args:
        step: from 0; a step's own rate is that of its number counted from 0, and what trainers log
            behind it is the next one's.
        peak: the highest rate.
        steps: of the whole training.
        warmup: part of the steps until the peak, rounded up to whole ones.

    Source: Loshchilov and Hutter, "SGDR" (2017), with one cycle, as transformers has it.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return peak * step / rising
    done = (step - rising) / max(1, steps - rising)
    return peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
