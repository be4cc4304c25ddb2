"""`fovea tune confirm`: the leaders again on new seeds, so that luck shows.

A study picks the best of many noisy numbers, and the best is then partly the luckiest. The leaders
are run again with seeds that no trial had; what counts afterwards is their mean and deviation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea import console
from fovea.errors import ArtifactError, ConfigError
from fovea.tuning import checks, history
from fovea.tuning import trial as trials
from fovea.tuning.definition import invalid
from fovea.tuning.verbs import VERBS, words

if TYPE_CHECKING:
    from fovea.tuning.history import Record
    from fovea.tuning.plan import Plan
    from fovea.tuning.study import Study


@dataclass(frozen=True)
class Confirmed:
    """A leader on new seeds, by its first goal."""

    number: int
    was: float
    mean: float
    deviation: float
    seeds: tuple[int, ...]
    failure: str = ""


def main(arguments: list[str]) -> int:
    """Run the leaders again, and say what they are worth."""
    parser = words.parser("confirm", VERBS["confirm"].summary)
    words.add_study(parser, changes=False)
    parser.add_argument("--top", type=int, default=3, metavar="K", help="how many leaders (3)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="new seeds for each (5)")
    options = parser.parse_args(arguments)
    if options.top < 1 or options.seeds < 1:
        raise ConfigError(
            f"--top and --seeds are at least 1; got {options.top} and {options.seeds}."
        )
    from fovea.tuning.plan import load

    with words.open_study(options) as study, words.stopping(study.folder) as asked_to_stop:
        plan = _with_seeds(study, load(study.folder / "study.yaml"), options.seeds)
        found: list[Confirmed] = []
        for record in leaders(study, options.top):
            if asked_to_stop():
                return 130
            found.append(_again(study, plan, record))
            console.say(_line(plan, found[-1]))
        whole = [one for one in found if not one.failure]
        study.store.note("confirmed", {str(one.number): vars(one) for one in whole})
        _answer(plan, found)
    return 0


def leaders(study: Study, count: int) -> list[Record]:
    """The best trials by the first goal; of several goals the front, by its first.

    Raises:
        ArtifactError: no trial is complete.
    """
    found: list[Record]
    goal, *others = study.goals
    if others:
        found = history.front(study.records, study.goals)
    else:
        found = sorted(
            history.complete(study.records), key=lambda r: r.value or 0.0, reverse=goal.is_max
        )
    if not found:
        raise ArtifactError(
            f"{study.folder} has no complete trial to confirm. 'fovea tune {study.folder}' goes on."
        )
    return found[:count]


def new_seeds(plan: Plan, count: int) -> tuple[int, ...]:
    """Seeds that no trial of the study had."""
    settings = plan.target.defaults(plan.space.fixed) if not plan.file.seed_list else {}
    used = set(plan.file.seed_list) or {settings.get("seed", 0)}
    free = (seed for seed in range(10**9) if seed not in used)
    return tuple(next(free) for _ in range(count))


def _with_seeds(study: Study, plan: Plan, count: int) -> Plan:
    """The plan with new seeds in place of the study's.

    Raises:
        ConfigError: its target takes no seed.
    """
    file = plan.file.model_copy(update={"seeds": new_seeds(plan, count)})
    found = dataclasses.replace(plan, file=file)
    if problems := checks.seed_problems(found):
        raise invalid(study.file.study, problems)
    return found


def _again(study: Study, plan: Plan, record: Record) -> Confirmed:
    """Run one leader with the new seeds, in `confirm/` beside the trials."""
    seeds = plan.file.seed_list
    folder = study.folder / "confirm" / f"{record.number:04d}-{study.id[:4]}-{len(seeds)}"
    folder.mkdir(parents=True, exist_ok=True)
    about = {"study": study.file.study, "study_id": study.id, "number": record.number}
    quiet = plan.file.model_copy(update={"track": plan.file.track.model_copy(update=_NO_TRACKS)})
    values = plan.space.complete(record.parameters)
    done = trials.run(dataclasses.replace(plan, file=quiet), values, folder, about)
    if done.state != "complete":
        return Confirmed(record.number, record.values[0], math.nan, math.nan, seeds, done.message)
    deviation = float(done.spread.get(plan.goal.metric, 0.0))
    return Confirmed(record.number, record.values[0], done.values[0], deviation, seeds)


_NO_TRACKS: dict[str, Any] = {"tensorboard": False, "wandb": None, "mlflow": None}


def _line(plan: Plan, one: Confirmed) -> str:
    if one.failure:
        return f"trial {one.number:4}  failed: {one.failure}"
    return (
        f"trial {one.number:4}  {plan.goal.metric} {one.mean:.6g} ± {one.deviation:.3g} on "
        f"{len(one.seeds)} new seeds; the study saw {one.was:.6g}"
    )


def _answer(plan: Plan, found: Sequence[Confirmed]) -> None:
    whole = [one for one in found if not one.failure]
    data = {"confirmed": [vars(one) for one in found]}
    if not whole:
        console.answer("none of them came to its end.", data)
        return
    best = (max if plan.goal.is_max else min)(whole, key=lambda one: one.mean)
    text = f"best on new seeds: trial {best.number}, {best.mean:.6g} ± {best.deviation:.3g}"
    console.answer(text, data | {"best": best.number})
