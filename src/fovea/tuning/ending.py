"""When a study stops working: its budget, its time, a person, or failures that will not end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fovea.tuning import queue
from fovea.tuning.definition import StudyFile
from fovea.tuning.history import Record

NO_METRIC_LIMIT = 3
"""So many trials in a row without the objective's metric end a study: its name must be wrong."""


NO_SIGN = (*queue.UNCOUNTED, "disk")
"""Failures that say nothing about the next trial."""


@dataclass(frozen=True)
class Ending:
    """Why a study stopped working."""

    reason: str
    exit_code: int = 0


class Clock:
    """When one start of a study has to end: its time is up, or a person asks for it."""

    def __init__(self, file: StudyFile, asked_to_stop: Callable[[], bool], *, since: float) -> None:
        """Begin to count.

        Args:
            file: the study file.
            asked_to_stop: whether a person asks for the end.
            since: when this start of the study began, in seconds since the epoch.
        """
        self.began = time.monotonic() - max(0.0, time.time() - since)
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


def failures(records: Sequence[Record], since: float) -> list[str]:
    """The words for the failures of this start of the study, after the last that did not fail.

    A trial that was lost or interrupted says nothing about the next one, and does not count.
    """
    ended = [one for one in records if one.ended_at >= since and one.failure not in NO_SIGN]
    found: list[str] = []
    for record in sorted(ended, key=lambda one: one.ended_at):
        found = [*found, record.failure] if record.state == "failed" else []
    return found


def spent(file: StudyFile, records: Sequence[Record], failed: Sequence[str]) -> Ending | None:
    """Whether the budget is spent, or it makes no sense to go on.

    Args:
        file: the study file.
        records: all trials.
        failed: the words for the failures since the last trial that did not fail.
    """
    finished = sum(queue.is_counted(file, record) for record in records)
    if file.budget.trials is not None and finished >= file.budget.trials:
        return Ending(f"all {file.budget.trials} trials are done")
    most = file.trial.abort_after * (file.trial.retries.stale + 1)
    if (lost := _lost_in_a_row(records)) >= most:
        return Ending(f"the last {lost} trials all lost their process; see their folders", 1)
    last = failed[-1] if failed else ""
    limit = NO_METRIC_LIMIT if last == "no_metric" else file.trial.abort_after
    if last and list(failed[-limit:]) == [last] * limit:
        message = next(one.message for one in reversed(records) if one.failure == last)
        return Ending(f"{limit} trials in a row failed ({last}). {message}", 1)
    return None


def _lost_in_a_row(records: Sequence[Record]) -> int:
    """How many trials, since the last that came to an end of its own, lost their process."""
    found = 0
    for record in sorted(records, key=lambda one: one.ended_at):
        if record.state in ("complete", "pruned", "failed"):
            found = found + 1 if record.failure in queue.LOST else 0
    return found


def said(ending: Ending, records: Sequence[Record]) -> Ending:
    """The ending, which is a failure where no trial came to its end."""
    if ending.exit_code or any(record.state == "complete" for record in records):
        return ending
    return Ending(f"{ending.reason}, and no trial was complete", 1)
