"""Limits of a filter: a number, or a place in the distribution of what is measured.

`5`, `0.25` and `.inf` are numbers; `q0.25` is the value below which a quarter lies, `mean-3sd` so
many standard deviations from the mean. Places are found over the rows that reach the filter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import StringConstraints

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

PLACE = r"^(q(0(\.\d+)?|1(\.0+)?|\.\d+)|mean([+-]\d+(\.\d+)?sd)?)$"

Limit = float | Annotated[str, StringConstraints(pattern=PLACE)]
"""What a filter's bounds may be."""


def is_place(limit: object) -> bool:
    """Whether a limit is a place in a distribution."""
    return isinstance(limit, str)


def resolved(limit: Limit, values: Float[np.ndarray, " n"]) -> float:
    """The number that a limit is among these values; no values leave everything allowed."""
    if not isinstance(limit, str):
        return limit
    if not len(values):
        return float("nan")
    if limit.startswith("q"):
        return float(np.quantile(values, float(limit[1:])))
    match = re.fullmatch(r"mean(?:([+-][\d.]+)sd)?", limit)
    assert match is not None, "the pattern of the setting was checked"
    return float(values.mean() + float(match[1] or 0) * values.std())


def within(
    values: Float[np.ndarray, " n"],
    low: float,
    high: float,
    *,
    low_closed: bool = True,
    high_closed: bool = True,
    reversed_range: bool = False,
) -> Bool[np.ndarray, " n"]:
    """Which values lie in a range, or outside of it when `reversed_range`; nan bounds nothing."""
    if reversed_range:
        low_closed, high_closed = not low_closed, not high_closed
    above = (values >= low) if low_closed else (values > low)
    below = (values <= high) if high_closed else (values < high)
    inside = (above | np.isnan(low)) & (below | np.isnan(high))
    return ~inside if reversed_range else inside
