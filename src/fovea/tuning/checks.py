"""What can be wrong with a study file, found before its first trial, and what is only odd."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.errors import ConfigError, FoveaError, Problem
from fovea.tuning.address import Address
from fovea.tuning.definition import Objective, StudyFile
from fovea.tuning.foreign.command import Command
from fovea.tuning.goal import Goal
from fovea.tuning.space import Values
from fovea.tuning.target import StageTarget

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan


def goals_of(
    file: StudyFile, target: StageTarget | Command
) -> tuple[tuple[Goal, ...], list[Problem], list[str]]:
    """The goals with their directions; what is wrong with them; what is odd about them."""
    problems, notes = list[Problem](), list[str]()
    if not file.goals:
        text = "needs a goal; write objective: {metric: test/psnr, goal: max}"
        problems.append(Problem("objective", "missing", text))
    goals = [_goal(objective, target, problems, notes) for objective in file.goals]
    return tuple(goals), problems, notes


def _goal(
    objective: Objective, target: StageTarget | Command, problems: list[Problem], notes: list[str]
) -> Goal:
    metric, declared = objective.metric, target.metrics.get(objective.metric)
    if declared is None and target.metrics and isinstance(target, StageTarget):
        known = ", ".join(target.metrics)
        notes.append(f"{target.name} does not declare the metric {metric}. It declares: {known}.")
    if objective.goal is None and declared is None:
        near = difflib.get_close_matches(metric, target.metrics, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        text = f"{metric} has no known direction; add goal: min or goal: max{hint}"
        problems.append(Problem("objective.goal", "missing", text))
    if declared and objective.goal and objective.goal != declared:
        notes.append(f"{target.name} wants the {declared} of {metric}, this study the other end.")
    if metric.split("/")[0] == "test":
        notes.append(
            f"{metric} picks the winner on the test split; report the winner on other data."
        )
    return Goal(metric, (objective.goal or declared) == "max", objective.reduce)


def budget_problems(file: StudyFile) -> list[Problem]:
    """A study that would never end."""
    has_end = file.budget.trials or file.budget.timeout
    if has_end or file.search.method in ("grid", "auto"):
        return []
    text = "the study would never end; write budget: {trials: 30} or give --trials 30"
    return [Problem("budget", "missing", text)]


def path_problems(plan: Plan) -> list[Problem]:
    """The settings that the stage does not have."""
    found: list[Problem] = []
    wanted = [(f"space.{n.name}", n.path) for n in plan.space.order if n.path]
    wanted += [(f"fixed.{path}", path) for path in plan.space.fixed]
    for loc, path in wanted:
        if text := plan.target.path_problem(path):
            found.append(Problem(loc, "unknown", text))
    return found


def range_problems(plan: Plan) -> list[Problem]:
    """What the stage's Config says to both ends of each range and to every choice."""
    found: dict[tuple[str, str], Problem] = {}
    for parameter in plan.space.parameters:
        for values in plan.space.examples(parameter):
            try:
                plan.target.check(plan.space.settings(values), source="space")
            except ConfigError as error:
                for problem in error.problems:
                    mine = problem.loc == parameter.path
                    is_other = any(problem.loc == p.path for p in plan.space.parameters)
                    if is_other and not mine:
                        continue  # it has its own turn
                    if mine:
                        loc = f"space.{parameter.name}"
                        problem = dataclasses.replace(problem, loc=loc, source="")
                    found.setdefault((problem.loc, problem.message), problem)
    return list(found.values())


def storage_problems(file: StudyFile) -> list[Problem]:
    """An address of a storage that is none."""
    if file.storage == "auto":
        return []
    try:
        Address.read(file.storage, Path())
    except ConfigError as error:
        return list(error.problems)
    return []


def seed_problems(plan: Plan) -> list[Problem]:
    """Several seeds for a target that takes none."""
    if not plan.file.seed_list:
        return []
    if isinstance(plan.target, StageTarget):
        text = plan.target.path_problem("seed")
        return [Problem("seeds", "no_seed", f"{text}; leave seeds out")] if text else []
    said = plan.target.settings.model_dump_json()
    text = "no word of the command says {seed}; write it into argv, env or config.inject"
    return [] if "{seed}" in said else [Problem("seeds", "no_seed", text)]


def enqueue_problems(plan: Plan) -> list[Problem]:
    """Queued parameters that do not fit the space."""
    found: list[Problem] = []
    for number, given in enumerate(plan.file.enqueue):
        try:
            plan.space.complete(given)
        except ConfigError as error:
            found += [
                dataclasses.replace(p, loc=f"enqueue.{number}.{p.loc}") for p in error.problems
            ]
    return found


def baseline(plan: Plan) -> tuple[Values | None, str]:
    """The parameters at which a trial is the base itself, or why there are none."""
    hidden = [p.name for p in plan.space.parameters if p.path is None]
    if hidden:
        return None, f"No baseline: the base settings have no value for {', '.join(hidden)}."
    try:
        base = plan.target.defaults(plan.space.fixed)
    except FoveaError:
        return None, "No baseline: without the space the base settings are not complete."
    outside: list[str] = []

    def look_up(parameter: Any) -> Any:
        value = base.get(parameter.path)
        if not parameter.domain.holds(value):
            outside.append(f"{parameter.path} is {value!r} there, not {parameter.domain}")
        return value

    values = plan.space.walk(look_up)
    if outside:
        return None, (
            f"No baseline: {'; '.join(outside)}. Widen the space to compare with the base settings."
        )
    return plan.space.asked(values), ""
