"""Selectors: rows picked by a look at one value of all of them.

Values of several images of a row count by their mean; a row without a value comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from fovea.config import setting
from fovea.errors import DataError
from fovea.synth.operator import Selector

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

Ratio = Annotated[float, Ge(0), Le(1)]
"""A part of the rows."""


def as_number(value: Any, *, last: float) -> float:
    """A value to sort by; `last` where there is none."""
    if isinstance(value, list):
        return float(np.mean(value)) if value else last
    try:
        return last if value is None else float(value)
    except (TypeError, ValueError):
        return last


def numbers(values: list[Any], *, last: float) -> Float64[np.ndarray, " n"]:
    """Values to sort by."""
    return np.asarray([as_number(value, last=last) for value in values], np.float64)


class TopkSpecifiedFieldSelector(Selector):
    """Keeps the rows with the largest values, the largest first."""

    top_ratio: Ratio | None = setting(None, "part of the rows")
    topk: int | None = setting(None, "so many rows; the smaller of both counts", gt=0)
    reverse: bool = setting(True, "largest values; else the smallest")

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """The best of all, in order of their values."""
        wanted = limit(count, self.top_ratio, self.topk)
        if wanted is None or not self.field_key:
            return np.arange(count)
        found = numbers(values, last=-np.inf if self.reverse else np.inf)
        return np.argsort(-found if self.reverse else found, kind="stable")[:wanted]


def limit(count: int, ratio: float | None, most: int | None) -> int | None:
    """The smaller of a part and a number of rows; None where neither is given."""
    if not ratio:
        return min(most, count) if most else None
    wanted = int(ratio * count)
    return min(wanted, most) if most else wanted


class RandomSelector(Selector):
    """Keeps rows by chance, in their order."""

    select_ratio: Ratio | None = setting(None, "part of the rows")
    select_num: int | None = setting(None, "so many rows; the smaller of both counts", gt=0)

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """A draw by the seed."""
        wanted = limit(count, self.select_ratio, self.select_num)
        if wanted is None:
            return np.arange(count)
        return np.sort(rng.permutation(count)[:wanted])


class RangeSpecifiedFieldSelector(Selector):
    """Keeps the rows whose values rank between two bounds: all but the very best, say."""

    lower_percentile: Ratio | None = setting(None, "part of the rows below")
    upper_percentile: Ratio | None = setting(None, "part of the rows up to the upper bound")
    lower_rank: int | None = setting(None, "so many rows below; the larger of both counts", ge=0)
    upper_rank: int | None = setting(None, "so many rows up to the upper bound", gt=0)

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """The band, its largest value first."""
        no_lower = self.lower_percentile is None and self.lower_rank is None
        no_upper = self.upper_percentile is None and self.upper_rank is None
        if no_lower or no_upper or not self.field_key:
            return np.arange(count)
        low = max(int((self.lower_percentile or 0) * count), self.lower_rank or 0)
        high = int((1.0 if self.upper_percentile is None else self.upper_percentile) * count)
        high = min(high, self.upper_rank) if self.upper_rank else high
        smallest = np.argsort(numbers(values, last=np.inf), kind="stable")[: max(low, high)]
        inside = numbers([values[place] for place in smallest], last=-np.inf)
        return smallest[np.argsort(-inside, kind="stable")[: max(0, high - low)]]


class FrequencySpecifiedFieldSelector(Selector):
    """Keeps the rows of the most frequent values."""

    top_ratio: Ratio | None = setting(None, "part of the distinct values")
    topk: int | None = setting(None, "so many distinct values; the smaller counts", gt=0)
    reverse: bool = setting(True, "most frequent; else the rarest")

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """Rows by value, values by frequency."""
        groups: dict[Any, list[int]] = {}
        for place, value in enumerate(values if self.field_key else ()):
            if isinstance(value, list | dict):
                raise DataError(
                    f"{self.name} compares text or numbers; '{self.field_key}' holds {value!r:.60}."
                    " Name another field."
                )
            groups.setdefault(value, []).append(place)
        wanted = limit(len(groups), self.top_ratio, self.topk)
        if wanted is None or not self.field_key:
            return np.arange(count)
        ordered = sorted(groups.values(), key=len, reverse=self.reverse)[:wanted]
        return np.asarray([place for group in ordered for place in group], np.int64)


class TagsSpecifiedFieldSelector(Selector):
    """Keeps the rows whose value is one of those named."""

    target_tags: list[str | int | float] = setting(..., "the values")

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """The rows in their order."""
        if not self.field_key:
            return np.arange(count)
        return np.flatnonzero([value in self.target_tags for value in values])


class RepeatSelector(Selector):
    """Repeats rows until there are so many: good data seen several times fills a cap.

    Whole rounds come first, in order; the last one is drawn by chance.
    """

    target_num: int = setting(..., "rows in the end", gt=0)
    most_times: int = setting(0, "how often a row may stand; 0 as often as needed", ge=0)

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """The rows, again and again."""
        if not count:
            return np.arange(0)
        wanted = min(self.target_num, count * self.most_times if self.most_times else np.inf)
        rounds, rest = divmod(int(wanted), count)
        tail = np.sort(rng.permutation(count)[:rest])
        return np.concatenate([np.tile(np.arange(count), rounds), tail])


class BalancedSelector(Selector):
    """Keeps rows evenly over the values of a field, so that no kind of row crowds out others."""

    select_num: int = setting(..., "rows in the end", gt=0)

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """As many of each value, more of others where one has too few."""
        groups: dict[str, list[int]] = {}
        for place, value in enumerate(values or [None] * count):
            groups.setdefault(repr(value), []).append(place)
        taken: list[Int64[np.ndarray, " k"]] = []
        left = self.select_num
        for number, group in enumerate(sorted(groups.values(), key=len)):
            share = min(len(group), left // (len(groups) - number))
            taken.append(np.asarray(group)[np.sort(rng.permutation(len(group))[:share])])
            left -= share
        return np.sort(np.concatenate(taken)) if taken else np.arange(0)


class HeadSelector(Selector):
    """Keeps the first rows."""

    num: int = setting(..., "so many rows", gt=0)
    skip: int = setting(0, "rows left out before them", ge=0)

    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """A run of rows."""
        return np.arange(count)[self.skip : self.skip + self.num]
