"""One parameter of a search space: how a study file writes it, and the values it may take.

This module imports no Optuna: a trial is anything with `suggest_float`, `suggest_int` and
`suggest_categorical`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from pydantic import model_validator

from fovea.config import Config, setting


class Asked(Protocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number of a range."""
        ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """A whole number of a range."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of a few values."""
        ...


class Form(Config):
    """One parameter as a study file writes it: exactly one of its first seven keys, and options."""

    float_: tuple[float, float] | None = setting(None, "lowest and highest number", alias="float")
    int_: tuple[int, int] | None = setting(None, "lowest and highest integer", alias="int")
    choice: tuple[Any, ...] | None = setting(None, "the values to choose from", min_length=1)
    bool_: bool | None = setting(None, "`true`: on or off", alias="bool")
    logspace: tuple[float, float, int] | None = setting(None, "lowest, highest, how many (ratios)")
    linspace: tuple[float, float, int] | None = setting(None, "lowest, highest, how many (steps)")
    pick: dict[str, dict[str, Form]] | None = setting(None, "branches by name, each with a space")
    log: bool = setting(False, "search on a logarithmic scale")
    step: float | None = setting(None, "distance between neighbouring values", gt=0)
    when: str | None = setting(None, "a formula; asked only where it is true")
    hidden: bool = setting(False, "no setting of the stage: only formulas use it")

    @property
    def given(self) -> list[str]:
        """Which of the first seven keys are there."""
        kinds = ("float_", "int_", "choice", "bool_", "logspace", "linspace", "pick")
        return [kind.rstrip("_") for kind in kinds if getattr(self, kind) is not None]

    @property
    def domain(self) -> Range | Choice:
        """The values it may take; a `pick` takes the names of its branches."""
        if self.float_ is not None:
            return Range(*self.float_, log=self.log, step=self.step)
        if self.int_ is not None:
            return Range(*self.int_, log=self.log, step=self.step, whole=True)
        if self.logspace is not None:
            return Range(*self.logspace[:2], log=True, count=self.logspace[2])
        if self.linspace is not None:
            return Range(*self.linspace[:2], count=self.linspace[2])
        return Choice((False, True) if self.bool_ else tuple(self.choice or self.pick or ()))

    @model_validator(mode="after")
    def _is_one_parameter(self) -> Form:
        kinds = "float, int, choice, bool, logspace, linspace, pick"
        if len(self.given) != 1:
            raise ValueError(f"needs exactly one of {kinds}")
        kind = self.given[0]
        if self.log and self.step is not None:
            raise ValueError("has both log and step; a logarithmic range has no step")
        if (self.log or self.step is not None) and kind not in ("float", "int"):
            raise ValueError(f"log and step belong to float and int, not to {kind}")
        if kind not in ("choice", "bool", "pick"):
            self._check_range(kind)
        if self.bool_ is False:
            raise ValueError("write {bool: true} for a switch, or put the setting under 'fixed'")
        if self.choice is not None and _has_twins(self.choice):
            raise ValueError(f"lists a choice twice: {list(self.choice)}")
        return self

    def _check_range(self, kind: str) -> None:
        low, high, *rest = self.float_ or self.int_ or self.logspace or self.linspace or (0, 0)
        if not low < high:
            raise ValueError("needs lowest < highest")
        if (self.log or kind == "logspace") and low <= 0:
            raise ValueError("a logarithmic range starts above 0")
        if rest and rest[0] < 2:
            raise ValueError("needs at least 2 values")
        if self.step is not None:
            last = _stepped(low, high, self.step)[-1]
            if not math.isclose(last, high):
                raise ValueError(
                    f"no step of {self.step:g} from {low:g} ends at {high:g}; "
                    f"write [{low:g}, {last:g}]"
                )


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False
    count: int | None = None
    """How many values a grid takes of it, where that was said."""

    def suggest(self, trial: Asked, name: str) -> float:
        """A value for the parameter `name` of a trial."""
        if self.whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(name, low, high, step=step, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def finite(self) -> list[Any] | None:
        """All its values, or None where there is no end of them."""
        if self.count is not None:
            return _spaced(self.low, self.high, self.count, log=self.log)
        if self.step is not None:
            return _stepped(self.low, self.high, self.step, whole=self.whole)
        return list(range(int(self.low), int(self.high) + 1)) if self.whole else None

    def extremes(self) -> list[Any]:
        """The values at which a wrong range shows: its ends, and its middle for conditions."""
        if self.step is not None:
            values = _stepped(self.low, self.high, self.step, whole=self.whole)
            return [values[0], values[-1], values[len(values) // 2]]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        if self.whole:
            return [int(self.low), int(self.high), round(middle)]
        return [self.low, self.high, middle]

    def holds(self, value: Any) -> bool:
        """Whether the value lies in it."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-8

    def __str__(self) -> str:
        notes = [f"step {self.step:g}"] if self.step else ["log"] if self.log else []
        return " ".join([f"{self.low:g} to {self.high:g}", *notes])


@dataclass(frozen=True)
class Choice:
    """A few values. Lists and maps among them go to Optuna under a label, `#0`."""

    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """What Optuna stores for each value."""
        plain = all(v is None or isinstance(v, bool | int | float | str) for v in self.values)
        return self.values if plain else tuple(f"#{i}" for i in range(len(self.values)))

    def suggest(self, trial: Asked, name: str) -> Any:
        """A value for the parameter `name` of a trial."""
        return self.values[self.labels.index(trial.suggest_categorical(name, self.labels))]

    def label(self, value: Any) -> Any:
        """What Optuna stores for a value."""
        return self.labels[self.values.index(value)]

    def finite(self) -> list[Any]:
        """All its values."""
        return list(self.values)

    extremes = finite

    def holds(self, value: Any) -> bool:
        """Whether it is one of the values."""
        return value in self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


def _stepped(low: float, high: float, step: float, *, whole: bool = False) -> list[Any]:
    # In decimals, so that 0.1 + 2 * 0.1 is the 0.3 that a person would write.
    start, size = Decimal(str(low)), Decimal(str(step))
    count = int((Decimal(str(high)) - start) / size + Decimal("1e-9")) + 1
    return [(int if whole else float)(start + size * i) for i in range(count)]


def _spaced(low: float, high: float, count: int, *, log: bool) -> list[float]:
    if log:
        ratio = high / low
        inner = [low * ratio ** (i / (count - 1)) for i in range(1, count - 1)]
    else:
        inner = [low + (high - low) * i / (count - 1) for i in range(1, count - 1)]
    return [low, *(float(f"{value:.6g}") for value in inner), high]


def _has_twins(values: tuple[Any, ...]) -> bool:
    # By equality and not by hash: lists are choices too, and Optuna cannot tell 1 from True.
    return any(value in values[:i] for i, value in enumerate(values))
