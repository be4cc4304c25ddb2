"""Statistics of a whole data set as columns, and what limits would keep of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from fovea.synth.batch import Column
from fovea.synth.operator import Filter, RangeFilter, flat
from fovea.synth.plan import Step
from fovea.synth.sample import STATS
from fovea.synth.state import State

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

STEPS = 100
"""Limits that are tried along each distribution."""


@dataclass(frozen=True)
class Measured:
    """What was measured of every row."""

    columns: Mapping[str, Column]
    """A value a row by name; of several images a list."""
    rows: int

    @classmethod
    def of(cls, states: Sequence[State]) -> Measured:
        """Read the statistics of finished parts."""
        found: dict[str, list[Any]] = {}
        rows = 0
        for line in _lines(states):
            for name, value in (orjson.loads(line).get(STATS) or {}).items():
                held = found.setdefault(name, [None] * rows)
                held.append(value)
            rows += 1
            for held in found.values():
                if len(held) < rows:
                    held.append(None)
        return cls({name: _packed(values) for name, values in found.items()}, rows)

    def numeric(self) -> list[str]:
        """The names of those that are numbers."""
        return [name for name, column in self.columns.items() if is_numeric(column)]

    def values(self, name: str) -> Float64[np.ndarray, " k"]:
        """All values of one, those of several images one after the other."""
        found = flat([v for v in self.columns[name] if v is not None])
        return found[np.isfinite(found)]

    def by_row(self, name: str) -> Float64[np.ndarray, " n"]:
        """A value a row: the mean of several images, nan where there is none."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            return column.astype(np.float64)
        return np.asarray([_mean(value) for value in column], np.float64)

    def subset(self, where: Bool[np.ndarray, " n"], name: str) -> Float64[np.ndarray, " k"]:
        """The values of some rows."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            return column[where].astype(np.float64)
        return flat([column[n] for n in np.flatnonzero(where).tolist() if column[n] is not None])


def _lines(states: Sequence[State]) -> Iterator[bytes]:
    for state in states:
        file = state.folder / "stats.jsonl"
        if file.is_file():
            with file.open("rb") as opened:
                yield from opened
        else:
            yield from (b"{}" for _ in range(state.rows()))


def _packed(values: list[Any]) -> Column:
    if values and all(isinstance(value, int | float) for value in values):
        return np.asarray(values, np.float64)
    return values


def is_numeric(column: Column) -> bool:
    """Whether a column holds numbers, or lists of them."""
    if isinstance(column, np.ndarray):
        return True
    for value in column:
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                return isinstance(one, int | float) and not isinstance(one, str)
    return False


def _mean(value: Any) -> float:
    if isinstance(value, list):
        return float(np.mean(value)) if value else float("nan")
    return float("nan") if value is None else float(value)


def described(values: Float64[np.ndarray, " n"], percentiles: Sequence[float]) -> dict[str, float]:
    """Count, mean, deviation, extremes and quantiles, in the order of pandas' `describe`."""
    if not len(values):
        return {"count": 0.0}
    found = {
        "count": float(len(values)),
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        "min": float(values.min()),
    }
    places = sorted({*percentiles, 0.5})
    found |= {f"{100 * p:g}%": float(np.quantile(values, p)) for p in places}
    return found | {"max": float(values.max())}


@dataclass(frozen=True)
class Verdict:
    """What one filter does to the data set."""

    step: Step
    operator: Filter
    """With numbers for limits."""
    keeps: Bool[np.ndarray, " n"]
    """The rows that it alone would keep."""
    left: int
    """The rows that are left behind it and all before it."""

    @property
    def limits(self) -> str:
        """What it was told, in words."""
        model = type(self.operator)
        names = [name for name in model.model_fields if name in model.deciding()]
        told = [
            f"{name}={_short(getattr(self.operator, name))}"
            for name in names
            if name in self.step.operator.model_fields_set
        ]
        return ", ".join(told) or "its defaults"


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def verdicts(steps: Sequence[Step], measured: Measured) -> list[Verdict]:
    """What each filter of a recipe keeps, alone and behind those before it."""
    alive = np.ones(measured.rows, bool)
    found: list[Verdict] = []
    for step in steps:
        operator = step.operator
        if not isinstance(operator, Filter):
            continue
        names = operator.measured()
        if any(name not in measured.columns for name in names):
            continue
        here = {name: measured.columns[name] for name in names}
        if isinstance(operator, RangeFilter) and operator.waits:
            operator = operator.settled({n: measured.subset(alive, n) for n in names})
        keeps = operator.keep(here)
        alive &= keeps
        found.append(Verdict(step, operator, keeps, int(alive.sum())))
    return found


def what_if(values: Float64[np.ndarray, " n"], rows: int) -> list[tuple[float, float, int, int]]:
    """Along a distribution: the part below, the limit, and rows kept with it as least and most."""
    if not len(values):
        return []
    ordered = np.sort(values)
    found: list[tuple[float, float, int, int]] = []
    without = rows - len(values) if len(values) <= rows else 0
    for number in range(STEPS + 1):
        limit = float(np.quantile(ordered, number / STEPS))
        below = int(np.searchsorted(ordered, limit, side="left"))
        up_to = int(np.searchsorted(ordered, limit, side="right"))
        found.append((number / STEPS, limit, len(ordered) - below + without, up_to + without))
    return found


def correlations(measured: Measured, names: Sequence[str]) -> Float64[np.ndarray, "k k"]:
    """Pearson's, of values a row; nan where one does not vary."""
    columns = np.stack([measured.by_row(name) for name in names]) if names else np.zeros((0, 0))
    found = np.full((len(names), len(names)), np.nan)
    for a in range(len(names)):
        for b in range(a + 1):
            both = np.isfinite(columns[a]) & np.isfinite(columns[b])
            left, right = columns[a][both], columns[b][both]
            if len(left) > 1 and left.std() > 0 and right.std() > 0:
                found[a, b] = found[b, a] = float(np.corrcoef(left, right)[0, 1])
    return found
