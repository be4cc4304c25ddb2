"""A goal of a study: a metric, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """A metric with its direction settled."""

    metric: str
    is_max: bool
    reduce: str = "last"

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The direction in Optuna's word."""
        return "maximize" if self.is_max else "minimize"

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value beats another."""
        return value > other if self.is_max else value < other
