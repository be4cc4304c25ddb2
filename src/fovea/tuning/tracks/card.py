"""What a tracker is told of a trial: who it is, its points, how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Domain:
    """What a parameter may be: the ends of a range, or a few values."""

    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Card:
    """A trial, as its trackers know it."""

    study: str
    study_id: str
    number: int
    folder: Path
    """Of the trial; the study's is two above."""
    parameters: Mapping[str, Any]
    goals: Sequence[str]
    """The metrics that are looked for."""
    domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])
    is_baseline: bool = False

    @property
    def name(self) -> str:
        """As it is listed: 0007."""
        return f"{self.number:04d}"

    @property
    def id(self) -> str:
        """What no trial of another study shares: 0007-a1b2."""
        return self.folder.name

    @property
    def study_folder(self) -> Path:
        """Of the study."""
        return self.folder.parent.parent

    @property
    def records(self) -> Path:
        """Where trackers keep what they need beside their own files."""
        return self.folder / "trackers"


@dataclass(frozen=True)
class Point:
    """Numbers at one step."""

    step: int
    metrics: Mapping[str, float]
    epoch: float | None
    time: float


@dataclass(frozen=True)
class End:
    """How a trial ended."""

    state: str
    """`complete`, `pruned`, `failed` or `interrupted`."""
    values: Sequence[float] = ()
    failure: str = ""
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 for a trial that counts, complete or pruned."""
        return 0 if self.state in ("complete", "pruned") else 1


class Sink(Protocol):
    """Takes in one trial. Its methods are called from one thread, and may fail."""

    def take(self, point: Point) -> None:
        """Use the numbers of a step."""
        ...

    def close(self, end: End) -> None:
        """Note how it ended, and let go of everything."""
        ...


def scalar(value: Any) -> bool | float | str:
    """A parameter as trackers can hold it: a number, a truth, or its text."""
    if isinstance(value, bool):
        return value
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number else str(value)
