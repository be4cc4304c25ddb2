"""How trials are said to a person: one line each, parameters as they would be typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fovea import console

if TYPE_CHECKING:
    from fovea.tuning.goal import Goal
    from fovea.tuning.history import Record
    from fovea.tuning.plan import Plan
    from fovea.tuning.space import Values
    from fovea.tuning.study import Study


def beginning(study: Study, plan: Plan) -> None:
    """Say how a study begins or goes on, and what is odd about it."""
    chosen = study.chosen(plan)
    done = sum(record.state in ("complete", "pruned") for record in study.records)
    goes_on = f"goes on after {done} trials" if done else "begins"
    limit = f" of {plan.file.budget.trials}" if plan.file.budget.trials else ""
    console.say(f"{plan.file.study} {goes_on}{limit}: {chosen.method}, in {study.folder}")
    for note in plan.notes:
        console.warn(note)


def values(number: int, chosen: Values) -> None:
    """Say what a trial tries, where much is wanted."""
    if console.style.verbose:
        console.say(f"trial {number}: {written(chosen)}")


def ended(study: Study, goal: Goal, record: Record) -> None:
    """One line for a trial that ended."""
    if console.style.as_json:
        line = {"trial": record.number, "state": record.state, "values": record.values}
        sys.stdout.write(json.dumps(line | {"parameters": record.parameters}, default=str) + "\n")
        return
    best = study.best
    shown = " ".join(f"{value:.6g}" for value in record.values) or record.failure
    mark = "  <- best" if best and best.number == record.number else ""
    console.say(
        f"trial {record.number:4}  {record.state:9} {goal.metric} {shown:>10}  "
        f"{record.seconds:7.1f} s  {written(record.parameters)}{mark}"
    )
    if record.state == "failed":
        console.warn(f"trial {record.number}: {record.message}")


def row(record: Record, goals: int) -> list[str]:
    """A trial as a row of a table."""
    shown = [f"{value:.6g}" for value in record.values] or [record.failure]
    shown += [""] * (goals - len(shown))
    state = record.state + (" (base)" if record.is_baseline else "")
    return [
        str(record.number),
        state,
        *shown,
        f"{record.seconds:.1f}",
        written(record.parameters),
    ]


def counted(states: Mapping[str, int]) -> str:
    """How many trials there are of each state."""
    return ", ".join(f"{number} {state}" for state, number in states.items()) or "no trials"


def written(parameters: Mapping[str, Any]) -> str:
    """Parameters as they would be typed."""
    texts = {
        name: f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")
        for name, value in parameters.items()
    }
    return " ".join(f"{name}={text}" for name, text in texts.items())
