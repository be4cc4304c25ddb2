"""`fovea tune import`: what an earlier study has learnt, into this one.

A warm start puts the earlier study's best trials in front of the queue: they are run again here,
under this study's conditions. A fixed prior takes the earlier study's numbers as they are: the
sampler learns from them, and they are never counted, shown as best, or run.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fovea import console
from fovea.errors import ConfigError
from fovea.tuning import history
from fovea.tuning.verbs import VERBS, words

if TYPE_CHECKING:
    from fovea.tuning.history import Record
    from fovea.tuning.plan import Plan
    from fovea.tuning.study import Study


def main(arguments: list[str]) -> int:
    """Queue the best of an earlier study, or take its numbers over."""
    parser = words.parser("import", VERBS["import"].summary)
    words.add_study(parser)
    parser.add_argument("--from", dest="earlier", required=True, help="the earlier study's folder")
    parser.add_argument(
        "--prior",
        choices=("warm", "fixed"),
        default="warm",
        help="warm: its best trials are run here first; fixed: its numbers are believed",
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many, when warm (5)")
    options = parser.parse_intermixed_args(arguments)
    from fovea.tuning.study import Study

    plan = words.load_plan(options)
    folder = words.folder_of(options, plan.file.study)
    earlier = words.open_study(argparse.Namespace(study=options.earlier, folder=None))
    with earlier, Study.create(plan, folder) as study:
        _check_goals(study, earlier)
        found = _ranked(earlier)
        if options.prior == "warm":
            found = found[: options.top]
        fitting = [record for record in found if _fits(plan, record)]
        for record in fitting:
            if options.prior == "warm":
                study.enqueue(plan.space, record.parameters)
            else:
                _believe(study, plan, record, earlier.folder)
        left = len(found) - len(fitting)
        what = "queued" if options.prior == "warm" else "taken as known"
        outside = f"; {left} lie outside this study's space" if left else ""
        console.answer(
            f"{len(fitting)} trials of {earlier.folder} are {what}{outside}. "
            f"'fovea tune {folder}' goes on.",
            {"imported": len(fitting), "left_out": left, "prior": options.prior},
        )
    return 0


def _check_goals(study: Study, earlier: Study) -> None:
    """Refuse numbers that mean something else."""
    ours = [(goal.metric, goal.is_max) for goal in study.goals]
    theirs = [(goal.metric, goal.is_max) for goal in earlier.goals]
    if ours != theirs:
        shown = [
            ", ".join(f"{'max' if up else 'min'} {metric}" for metric, up in goals)
            for goals in (ours, theirs)
        ]
        raise ConfigError(
            f"{earlier.folder} looked for {shown[1]}, and {study.folder} looks for {shown[0]}: its "
            "trials say nothing here. Import a study of the same goals."
        )


def _ranked(earlier: Study) -> list[Record]:
    """Its complete trials, the best first; of several goals the front before the rest."""
    front = [record.number for record in history.front(earlier.records, earlier.goals)]
    goal = earlier.goals[0]
    ranked = sorted(
        history.complete(earlier.records), key=lambda r: r.values[0], reverse=goal.is_max
    )
    if len(earlier.goals) == 1:
        return ranked
    return sorted(ranked, key=lambda record: record.number not in front)


def _fits(plan: Plan, record: Record) -> bool:
    """Whether this study could have tried it."""
    try:
        plan.space.complete(record.parameters)
    except ConfigError:
        return False
    return True


def _believe(study: Study, plan: Plan, record: Record, source: Path) -> None:
    """Add an earlier trial's numbers to the storage, marked as what they are."""
    from optuna.trial import FixedTrial, create_trial

    from fovea.tuning.history import ABOUT
    from fovea.tuning.storage import stored

    parameters = stored(plan.space, record.parameters)
    fixed = FixedTrial(parameters)
    plan.space.suggest(fixed)
    about = {"imported": f"{source} #{record.number}", "seconds": 0.0, "ended": time.time()}
    study.store.study.add_trial(
        create_trial(
            params=fixed.params,
            distributions=fixed.distributions,
            values=list(record.values),
            intermediate_values=dict(record.points) if len(plan.goals) == 1 else {},
            user_attrs={ABOUT: about},
        )
    )
