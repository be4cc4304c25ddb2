"""When a study stops working: its budget, its time, a person, or failures that will not end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fovea.tuning.definition import StudyFile
from fovea.tuning.history import Record

NO_METRIC_LIMIT = 3
"""So many trials in a row without the objective's metric end a study: its name must be wrong."""


@dataclass(frozen=True)
class Ending:
    """Why a study stopped working."""

    reason: str
    exit_code: int = 0


class Clock:
    """When one start of a study has to end: its time is up, or a person asks for it."""

    def __init__(self, file: StudyFile, asked_to_stop: Callable[[], bool]) -> None:
        self.began = time.monotonic()
        self.timeout = file.budget.timeout
        self.grace = file.trial.grace
        self.asked_to_stop = asked_to_stop

    def is_late(self, grace: float = 0.0) -> bool:
        """Whether the time is up."""
        passed = time.monotonic() - self.began
        return self.timeout is not None and passed > self.timeout + grace

    def is_over(self) -> bool:
        """Whether the trial at work should save and leave."""
        return self.asked_to_stop() or self.is_late(self.grace)

    def ending(self) -> Ending | None:
        """The ending, where no new trial may begin."""
        if self.asked_to_stop():
            return stopped(130)
        return Ending("the time is up") if self.is_late() else None


def stopped(code: int) -> Ending:
    """The ending that a person asked for."""
    return Ending("stopped; the same command goes on", code)


def spent(file: StudyFile, records: Sequence[Record], failures: Sequence[str]) -> Ending | None:
    """Whether the budget is spent, or it makes no sense to go on.

    Args:
        file: the study file.
        records: all trials.
        failures: the words for the failures since the last trial that did not fail.
    """
    budget = file.budget
    counted = ("complete", "pruned", *(["failed"] if budget.finished == "any" else []))
    finished = sum(record.state in counted for record in records)
    if budget.trials is not None and finished >= budget.trials:
        return Ending(f"all {budget.trials} trials are done")
    last = failures[-1] if failures else ""
    limit = NO_METRIC_LIMIT if last == "no_metric" else file.trial.abort_after
    if last and list(failures[-limit:]) == [last] * limit:
        message = next(one.message for one in reversed(records) if one.failure == last)
        return Ending(f"{limit} trials in a row failed ({last}). {message}", 1)
    return None


def said(ending: Ending, records: Sequence[Record]) -> Ending:
    """The ending, which is a failure where no trial came to its end."""
    if ending.exit_code or any(record.state == "complete" for record in records):
        return ending
    return Ending(f"{ending.reason}, and no trial was complete", 1)
