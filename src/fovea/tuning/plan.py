"""A study that was checked: its file, its target, its space, and the config of any trial.

All that can be wrong is said at once, before the first trial: settings that the target does not
have, ranges that it forbids, methods that do not go with the space. What is only odd becomes a
note.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.dialect import Document
from fovea.errors import ConfigError, Problem, RecipeError
from fovea.tuning import checks, pruner, sampler
from fovea.tuning.definition import StudyFile, invalid, read
from fovea.tuning.foreign.command import Command
from fovea.tuning.goal import Goal
from fovea.tuning.space import Space, Values
from fovea.tuning.target import StageTarget, flat, read_target


@dataclass(frozen=True)
class Plan:
    """A study file together with the target it tunes."""

    file: StudyFile
    source: Path
    """The study file."""
    target: StageTarget | Command
    space: Space
    goals: tuple[Goal, ...]
    baseline: Values | None = None
    """The parameters of the base settings, where the space holds them."""
    notes: tuple[str, ...] = ()
    """What is odd about the study, in sentences."""

    @property
    def goal(self) -> Goal:
        """The first goal; pruning and `best` follow it."""
        return self.goals[0]

    @property
    def use(self) -> str:
        """What is tuned: a stage, or a command."""
        return self.target.use

    def portable_target(self) -> dict[str, Any]:
        """`target` as it is written into the study's folder: its files by absolute path."""
        target = self.file.target
        if isinstance(self.target, Command) and target.command is not None:
            return {"command": self.target.portable(target.command)}
        data = target.model_dump(mode="json", exclude_defaults=True)
        if target.config and target.config.endswith((".yaml", ".yml")):
            data["config"] = str((self.target.folder / target.config).absolute())
        return data

    def identity(self) -> dict[str, Any]:
        """What makes two study files the same study; `budget` and patience may change."""
        searched = {node.path for node in self.space.order if node.path}
        base = dict(flat(self.target.base.data))
        return {
            **self.target.identity(),
            **{
                f"objective {i}": f"{g.metric} {g.direction} ({g.reduce})"
                for i, g in enumerate(self.goals)
            },
            **{
                f"base.{path}": _plain(value)
                for path, value in (base | dict(self.space.fixed)).items()
                if path not in searched
            },
            **{f"space.{p.name}": str(p.domain) for p in self.space.parameters},
            **{f"derive.{path}": text for path, text in self.file.derive.items()},
        }


def load(
    path: Path,
    changes: Mapping[str, Any] | Iterable[str] = (),
    *,
    beside: Path | None = None,
) -> Plan:
    """Read a study file and check it against its stage.

    Args:
        path: the study file.
        changes: what the command line says over it: values by dotted path, or `key=value` words.
        beside: the folder that `target.config` is relative to, where it is not the file's own.

    Raises:
        ConfigError: something in it is wrong; then all of it is named.
        FoveaError: the stage or its input is missing, or the command.
    """
    file = read(path, changes)
    lines = dialect.load(path)
    try:
        target = read_target(file, beside or path.parent)
        space = Space.read(file.space, file.derive, dict(flat(file.fixed)))
    except RecipeError as error:
        where = lines.where(("target", "stage")) or path.name
        raise RecipeError(f"{where}: {error}") from None
    except ConfigError as error:
        if not error.problems:
            raise
        problems = [_with_line(problem, lines, path) for problem in error.problems]
        raise invalid(file.study, problems) from None
    goals, problems, notes = checks.goals_of(file, target)
    plan = Plan(file, path, target, space, goals)
    problems += sampler.problems(file.search, space, goals=len(goals))
    problems += pruner.problems(file.prune, goals=len(goals))
    problems += checks.budget_problems(file)
    problems += checks.storage_problems(file)
    problems += checks.path_problems(plan)
    problems += checks.range_problems(plan) if not problems else []
    problems += checks.enqueue_problems(plan)
    problems += checks.seed_problems(plan)
    if isinstance(target, Command):
        metrics, example = [goal.metric for goal in goals], _example_settings(plan)
        problems += target.problems(metrics, example)
        notes += target.notes(metrics, example)
    if problems:
        raise invalid(file.study, [_with_line(problem, lines, path) for problem in problems])
    baseline, why_not = checks.baseline(plan) if file.baseline else (None, "")
    if isinstance(target, StageTarget):
        example = plan.space.walk(lambda parameter: parameter.domain.extremes()[0])
        settings = plan.space.settings(example)
        target.recipe_of(target.config_of(settings, source="space").config)
    else:
        target.require()
    notes += [why_not] if why_not else []
    return dataclasses.replace(plan, baseline=baseline, notes=tuple(notes))


def _example_settings(plan: Plan) -> dict[str, Any]:
    """All settings of some trial, by path."""
    values = plan.space.walk(lambda parameter: parameter.domain.extremes()[0])
    return plan.target.defaults(plan.space.fixed) | plan.space.settings(values)


def _with_line(problem: Problem, lines: Document, source: Path) -> Problem:
    """The problem with the line of the study file it stands in."""
    head, _, rest = problem.loc.partition(".")
    paths = [(head, rest), tuple(problem.loc.split(".")), (head,)]
    where = next((w for path in paths if (w := lines.where(path))), source.name)
    return problem if problem.source else dataclasses.replace(problem, source=where)


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
