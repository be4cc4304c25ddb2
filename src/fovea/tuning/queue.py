"""What waits in a storage to be tried: first trials, retries, the combinations of a grid."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fovea.tuning import storage
from fovea.tuning.history import Record
from fovea.tuning.plan import Plan

if TYPE_CHECKING:
    from fovea.tuning.study import Study

ENDLESS = 10**9


def first(study: Study, plan: Plan) -> None:
    """Queue the base settings and what the study file wants tried first, once."""
    if study.store.attributes.get("enqueued"):
        return
    if plan.baseline is not None and not study.records:
        study.store.enqueue(storage.stored(plan.space, plan.baseline), {"baseline": True})
    for given in plan.file.enqueue:
        study.enqueue(plan.space, given)
    study.store.note("enqueued", True)


def combination(study: Study, plan: Plan) -> bool:
    """Queue the next combination of a grid; False where all were tried."""
    records = study.records
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


def again(study: Study, record: Record, why: str, most: int, *, anew: bool = False) -> None:
    """Queue the same parameters at most `most` times; in the same folder, unless `anew`."""
    tries: dict[str, int] = dict(record.about.get("tries", {}))
    tries[why] = tries.get(why, 0) + 1
    is_queued = any(one.retry_of == record.number for one in study.records)
    if tries[why] > most or (is_queued and not anew):
        return
    kept = ("index", "baseline") if anew else ("index", "baseline", "folder")
    about = {name: record.about[name] for name in kept if name in record.about}
    about |= {"tries": tries, "retry_of": record.number}
    study.store.enqueue(study.store.parameters(record.number), about)


def key(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters so that equal ones are the same after a way through a database."""

    def text(value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:.12g}" if is_number else repr(value)

    return tuple(sorted((name, text(value)) for name, value in parameters.items()))
