"""What waits in a storage to be tried: first trials, retries, the combinations of a grid.

Nothing here needs to be done at the same time as something else: whatever a kill left undone is
found and done at the next look.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fovea.tuning import storage
from fovea.tuning.definition import Retries, StudyFile
from fovea.tuning.history import Record
from fovea.tuning.plan import Plan

if TYPE_CHECKING:
    from fovea.tuning.study import Study

ENDLESS = 10**9
LOST = ("worker_lost", "node_lost")
UNCOUNTED = (*LOST, "interrupted", "surplus")
"""Failures that say nothing about the trial, and spend no part of a budget."""
NEVER = ("no_metric", "nan", "timeout", "stall", "disk", "pruned", "surplus", "formula", "config")
"""Failures after which the same parameters would end in the same way."""


def first(study: Study, plan: Plan) -> None:
    """Queue the base settings and what the study file wants tried first, and note that."""
    records = study.records
    if plan.baseline is not None and not records:
        study.store.enqueue(storage.stored(plan.space, plan.baseline), {"baseline": True})
    queued = {record.about.get("wanted") for record in records}
    for number, given in enumerate(plan.file.enqueue):
        if number not in queued:
            study.enqueue(plan.space, given, {"wanted": number})
    study.store.note("enqueued", True)


def combination(study: Study, plan: Plan, records: Sequence[Record]) -> bool:
    """Queue the next combination of a grid; False where all were tried."""
    if any(record.state == "waiting" for record in records):
        return True
    tried = {key(study.store.parameters(record.number)) for record in records}
    combinations = [storage.stored(plan.space, c) for c in plan.space.combinations()]
    random.Random(plan.file.search.seed).shuffle(combinations)
    for one in combinations:
        if key(one) not in tried:
            study.store.enqueue(one)
            return True
    return False


def due(study: Study, file: StudyFile, records: Sequence[Record]) -> list[int]:
    """Queue again what failed in a way that is tried again; says which trials those were."""
    done_again = {record.retry_of for record in records}
    found: list[int] = []
    for record in records:
        if record.state == "failed" and record.number not in done_again:
            most = limit(file.trial.retries, record.failure)
            if again(study, record, _word(record.failure), most):
                found.append(record.number)
    return found


def limit(retries: Retries, failure: str) -> int:
    """How often a trial is tried again after such a failure."""
    if failure == "interrupted":
        return ENDLESS
    if failure in LOST:
        return retries.stale
    if failure in NEVER:
        return 0
    return retries.oom if failure == "oom" else retries.error


def again(study: Study, record: Record, why: str, most: int, *, anew: bool = False) -> bool:
    """Queue the same parameters at most `most` times; in the same folder, unless `anew`."""
    tries: dict[str, int] = dict(record.about.get("tries", {}))
    tries[why] = tries.get(why, 0) + 1
    if tries[why] > most:
        return False
    kept = ("index", "baseline") if anew else ("index", "baseline", "folder")
    about = {name: record.about[name] for name in kept if name in record.about}
    about |= {"tries": tries, "retry_of": record.number}
    study.store.enqueue(study.store.parameters(record.number), about)
    return True


def is_full(file: StudyFile, records: Sequence[Record]) -> bool:
    """Whether those that ended and those at work are as many as the budget allows."""
    taken = sum(is_counted(file, one) or one.state == "running" for one in records)
    return file.budget.trials is not None and taken >= file.budget.trials


def is_counted(file: StudyFile, record: Record) -> bool:
    """Whether a trial has spent a part of the budget."""
    if record.state == "failed":
        return file.budget.finished == "any" and record.failure not in UNCOUNTED
    return record.state in ("complete", "pruned")


def is_surplus(file: StudyFile, records: Sequence[Record], number: int) -> bool:
    """Whether a trial that was asked for is one too many.

    Two machines may see the last free place at the same time, and both ask. Numbers are given out
    one by one, so each looks at those below its own: where these fill the budget, ended, at work or
    waiting, it steps back. Of any set of trials that were not stepped back from, the one with the
    highest number has looked at all the others: they cannot be more than the budget.
    """
    if file.budget.trials is None:
        return False
    below = [one for one in records if one.number < number]
    taken = sum(is_counted(file, one) or one.state in ("running", "waiting") for one in below)
    return taken >= file.budget.trials


def has_twin(study: Study, plan: Plan, records: Sequence[Record], number: int) -> bool:
    """Whether another machine had the same retry, or the same combination of a grid, before."""
    mine = records[number]
    below = [one for one in records if one.number < number]
    if mine.retry_of is not None:
        return any(
            one.retry_of == mine.retry_of and one.about.get("tries") == mine.about.get("tries")
            for one in below
        )
    if study.chosen(plan).method != "grid":
        return False
    wanted = key(study.store.parameters(number))
    return any(key(study.store.parameters(one.number)) == wanted for one in below)


def key(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters so that equal ones are the same after a way through a database."""

    def text(value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:.12g}" if is_number else repr(value)

    return tuple(sorted((name, text(value)) for name, value in parameters.items()))


def _word(failure: str) -> str:
    return "stale" if failure in LOST else failure
