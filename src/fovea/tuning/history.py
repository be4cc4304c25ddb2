"""What is known of the trials of a study, read from its storage: for people, pages and files.

The storage is Optuna's; what it has no column for stands in one attribute of each trial, `fovea`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.tuning.goal import Goal

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
ABOUT = "fovea"
"""The attribute of a trial that holds what Optuna has no column for."""


@dataclass(frozen=True)
class Record:
    """One trial, as it stands in the storage."""

    number: int
    state: str
    """`complete`, `pruned`, `failed`, `running`, `waiting`, or `imported` from another study."""
    values: tuple[float, ...]
    """Of the objectives; a pruned trial has its last one."""
    parameters: Mapping[str, Any]
    points: Mapping[int, float]
    """The objective while it ran, by step."""
    about: Mapping[str, Any]
    started: float | None
    ended: float | None
    is_feasible: bool = True

    @property
    def value(self) -> float | None:
        """Of the first objective."""
        return self.values[0] if self.values else None

    @property
    def seconds(self) -> float:
        """How long it worked; until now while it does."""
        return float(self.about.get("seconds") or 0.0)

    @property
    def ended_at(self) -> float:
        """When it ended, in seconds since the epoch; 0 while it has not."""
        return float(self.about.get("ended") or self.ended or 0.0)

    @property
    def folder(self) -> str:
        """The name of its folder, empty before it has one."""
        return str(self.about.get("folder", ""))

    @property
    def failure(self) -> str:
        """The word for why it failed or was pruned."""
        unheard = "worker_lost" if self.state == "failed" else ""
        return str(self.about.get("failure") or unheard)

    @property
    def message(self) -> str:
        """The sentence for why it failed or was pruned."""
        unheard = "its machine was not heard of any more" if self.state == "failed" else ""
        return str(self.about.get("message") or unheard)

    @property
    def is_baseline(self) -> bool:
        """Whether it has the base settings."""
        return bool(self.about.get("baseline"))

    @property
    def retry_of(self) -> int | None:
        """The number of the trial that it does again."""
        return self.about.get("retry_of")


def record(trial: FrozenTrial, choices: Mapping[str, Sequence[Any]]) -> Record:
    """A trial as a record; `choices` holds the values that stand behind labels."""
    started, ended = trial.datetime_start, trial.datetime_complete
    about: dict[str, Any] = trial.user_attrs.get(ABOUT, {})
    return Record(
        number=trial.number,
        state="imported" if about.get("imported") else STATES[trial.state.name],
        values=tuple(trial.values or ()),
        parameters={
            name: choices[name][int(value[1:])] if name in choices else value
            for name, value in trial.params.items()
        },
        points=dict(trial.intermediate_values),
        about=about,
        started=started.timestamp() if started else None,
        ended=ended.timestamp() if ended else None,
        is_feasible=all(excess <= 0 for excess in trial.constraints.values()),
    )


def complete(records: Sequence[Record]) -> list[Record]:
    """Those with an answer that counts: complete, and within all constraints."""
    return [record for record in records if record.state == "complete" and record.is_feasible]


def best(records: Sequence[Record], goal: Goal) -> Record | None:
    """The best trial by the first goal, the earliest of equals; None where there is none."""
    found: Record | None = None
    for candidate in complete(records):
        if found is None or goal.is_better(candidate.values[0], found.values[0]):
            found = candidate
    return found


def front(records: Sequence[Record], goals: Sequence[Goal]) -> list[Record]:
    """The trials that no other beats in every goal, by the first goal."""
    candidates = complete(records)

    def beats(a: Record, b: Record) -> bool:
        pairs = list(zip(goals, a.values, b.values, strict=True))
        worse = any(goal.is_better(theirs, ours) for goal, ours, theirs in pairs)
        return not worse and any(goal.is_better(ours, theirs) for goal, ours, theirs in pairs)

    kept = [one for one in candidates if not any(beats(other, one) for other in candidates)]
    return sorted(kept, key=lambda one: one.values[0], reverse=goals[0].is_max)


def knee(records: Sequence[Record], goals: Sequence[Goal]) -> Record | None:
    """The trial of the front nearest to the best of every goal, each goal scaled to its range."""
    candidates = front(records, goals)
    if not candidates:
        return None
    columns = list(zip(*(one.values for one in candidates), strict=True))

    def distance(one: Record) -> float:
        total = 0.0
        for goal, value, column in zip(goals, one.values, columns, strict=True):
            ideal = max(column) if goal.is_max else min(column)
            total += ((value - ideal) / ((max(column) - min(column)) or 1.0)) ** 2
        return math.sqrt(total)

    return min(candidates, key=distance)


def saved_seconds(records: Sequence[Record]) -> float:
    """An estimate of the time that pruning saved: what complete trials took on average."""
    whole = [one.seconds for one in records if one.state == "complete"]
    pruned = [one.seconds for one in records if one.state == "pruned"]
    if not whole or not pruned:
        return 0.0
    mean = sum(whole) / len(whole)
    return sum(max(0.0, mean - seconds) for seconds in pruned)
