"""A study that was checked: its file, its target, its space, and the config of any trial.

All that can be wrong is said at once, before the first trial: settings that the target does not
have, ranges that it forbids, methods that do not go with the space. What is only odd becomes a
note.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from fovea import dialect
from fovea.config import Config, Resolved, find, nearest, preset_file, resolve, to_yaml
from fovea.dialect import Document
from fovea.errors import ConfigError, FoveaError, Problem
from fovea.runs.recipe import Recipe, find_stage
from fovea.runs.stage import Stage
from fovea.tuning import pruner, sampler
from fovea.tuning.definition import Objective, StudyFile, invalid, read
from fovea.tuning.foreign.command import Command
from fovea.tuning.space import Space, Values


@dataclass(frozen=True)
class Goal:
    """A metric with its direction settled."""

    metric: str
    is_max: bool
    reduce: str = "last"

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The direction in Optuna's word."""
        return "maximize" if self.is_max else "minimize"

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value beats another."""
        return value > other if self.is_max else value < other


@dataclass(frozen=True)
class StageTarget:
    """A stage of fovea, run anew for each trial."""

    use: str
    """Its name, or where it is declared."""
    stage: Stage
    base: Document
    """The settings below all trials, without those of the space."""
    folder: Path
    """Where the study file lies."""

    checkpoints = "run/stages/*/ckpt"
    """A glob of what a trial only needs to go on."""

    @property
    def name(self) -> str:
        """What is tuned, in words."""
        return self.stage.name

    @property
    def metrics(self) -> Mapping[str, Literal["min", "max"]]:
        """The metrics whose direction is known."""
        return self.stage.metrics

    def config_of(self, settings: Mapping[str, Any], *, source: str) -> Resolved[Any]:
        """The stage's Config with these settings over the base.

        Raises:
            ConfigError: the stage does not take them.
        """
        return resolve(
            self.stage.config,
            name=self.stage.name,
            files=[self.base],
            overrides=dict(settings),
            overrides_source=source,
        )

    def check(self, settings: Mapping[str, Any], *, source: str) -> None:
        """Refuse settings that the stage does not take.

        Raises:
            ConfigError: it does not.
        """
        self.config_of(settings, source=source)

    def path_problem(self, path: str) -> str:
        """What is wrong with a setting of that name; empty where nothing is."""
        keys, field, left = find(self.stage.config, path.split("."))
        if field is not None:
            return ""
        hint = nearest(self.stage.config, (*keys, *left))
        return f"{self.stage.name} has no setting {path}" + (f"; {hint}" if hint else "")

    def defaults(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """The settings below the space, by path.

        Raises:
            FoveaError: they are not complete.
        """
        return dict(_flat(self.config_of(fixed, source="fixed").config.model_dump(mode="json")))

    def shown(self, settings: Mapping[str, Any], *, source: str) -> str:
        """The config of a trial with these settings, for people."""
        return to_yaml(self.config_of(settings, source=source).config)

    def identity(self) -> dict[str, Any]:
        """What makes it the same target."""
        return {"target.stage": self.use}

    def recipe_of(self, config: Config) -> Recipe:
        """The recipe of a trial with this config.

        Raises:
            ArtifactError: an input of the stage is missing.
        """
        return Recipe.single(self.use, config)


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
        base = dict(_flat(self.target.base.data))
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
        target = _target(file, beside or path.parent)
        space = Space.read(file.space, file.derive, dict(_flat(file.fixed)))
    except ConfigError as error:
        if not error.problems:
            raise
        problems = [_with_line(problem, lines) for problem in error.problems]
        raise invalid(file.study, problems) from None
    goals, problems, notes = _goals(file, target)
    plan = Plan(file, path, target, space, goals)
    problems += sampler.problems(file.search, space, goals=len(goals))
    problems += pruner.problems(file.prune, goals=len(goals))
    problems += _budget_problems(file)
    problems += _path_problems(plan)
    problems += _range_problems(plan) if not problems else []
    problems += _enqueue_problems(plan)
    if isinstance(target, Command):
        metrics, example = [goal.metric for goal in goals], _example_settings(plan)
        problems += target.problems(metrics, example)
        notes += target.notes(metrics, example)
    if problems:
        raise invalid(file.study, [_with_line(problem, lines) for problem in problems])
    baseline, why_not = _baseline(plan) if file.baseline else (None, "")
    if isinstance(target, StageTarget):
        example = plan.space.walk(lambda parameter: parameter.domain.extremes()[0])
        settings = plan.space.settings(example)
        target.recipe_of(target.config_of(settings, source="space").config)
    else:
        target.require()
    notes += [why_not] if why_not else []
    return dataclasses.replace(plan, baseline=baseline, notes=tuple(notes))


def _base(stage: Stage, config: str | None, folder: Path) -> Document:
    """The settings below all trials: of a preset, or of a file."""
    if config is None:
        return Document({}, {})
    is_file = config.endswith((".yaml", ".yml"))
    # Not resolved yet: a required setting may still come from the space or from `fixed`.
    return dialect.load(folder / config if is_file else preset_file(stage.name, config))


def _target(file: StudyFile, folder: Path) -> StageTarget | Command:
    """What is tuned.

    Raises:
        FoveaError: the stage or a file is missing.
    """
    target = file.target
    if (target.stage is None) == (target.command is None):
        text = (
            "needs either a stage of fovea or a command; "
            "write {stage: relight.fit} or {command: {argv: [...]}}"
        )
        raise ConfigError(text, (Problem("target", "either", text),))
    if target.command is not None and target.config is not None:
        text = "belongs to a stage; for a command write command: {config: {base: FILE}}"
        raise ConfigError(text, (Problem("target.config", "misplaced", text),))
    if file.target.command is not None:
        return Command.read(file.target.command, folder)
    use = file.target.stage or ""
    stage = find_stage(use)
    return StageTarget(use, stage, _base(stage, file.target.config, folder), folder)


def _example_settings(plan: Plan) -> dict[str, Any]:
    """All settings of some trial, by path."""
    values = plan.space.walk(lambda parameter: parameter.domain.extremes()[0])
    return plan.target.defaults(plan.space.fixed) | plan.space.settings(values)


def _goals(
    file: StudyFile, target: StageTarget | Command
) -> tuple[tuple[Goal, ...], list[Problem], list[str]]:
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
        text = f"{metric} has no known direction; add goal: min or goal: max"
        problems.append(Problem("objective.goal", "missing", text))
    if declared and objective.goal and objective.goal != declared:
        notes.append(f"{target.name} wants the {declared} of {metric}, this study the other end.")
    if metric.split("/")[0] == "test":
        notes.append(
            f"{metric} picks the winner on the test split; report the winner on other data."
        )
    return Goal(metric, (objective.goal or declared) == "max", objective.reduce)


def _budget_problems(file: StudyFile) -> list[Problem]:
    has_end = file.budget.trials or file.budget.timeout
    if has_end or file.search.method in ("grid", "auto"):
        return []
    text = "the study would never end; write budget: {trials: 30} or give --trials 30"
    return [Problem("budget", "missing", text)]


def _path_problems(plan: Plan) -> list[Problem]:
    """The settings that the stage does not have."""
    found: list[Problem] = []
    wanted = [(f"space.{n.name}", n.path) for n in plan.space.order if n.path]
    wanted += [(f"fixed.{path}", path) for path in plan.space.fixed]
    for loc, path in wanted:
        if text := plan.target.path_problem(path):
            found.append(Problem(loc, "unknown", text))
    return found


def _range_problems(plan: Plan) -> list[Problem]:
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


def _enqueue_problems(plan: Plan) -> list[Problem]:
    found: list[Problem] = []
    for number, given in enumerate(plan.file.enqueue):
        try:
            plan.space.complete(given)
        except ConfigError as error:
            found += [
                dataclasses.replace(p, loc=f"enqueue.{number}.{p.loc}") for p in error.problems
            ]
    return found


def _with_line(problem: Problem, lines: Document) -> Problem:
    """The problem with the line of the study file it stands in."""
    head, _, rest = problem.loc.partition(".")
    paths = [(head, rest), tuple(problem.loc.split(".")), (head,)]
    where = next((w for path in paths if (w := lines.where(path))), "")
    return problem if problem.source else dataclasses.replace(problem, source=where)


def _baseline(plan: Plan) -> tuple[Values | None, str]:
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


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted paths."""
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast(dict[str, Any], value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
