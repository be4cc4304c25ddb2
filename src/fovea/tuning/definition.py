"""The study file: what is searched, for which goal, with how much patience.

Only the schema stands here; that the words in it fit the stage is checked in `plan.py`. Times are
seconds, or text with a unit: `90s`, `15m`, `6h`, `2d`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, model_validator

from fovea.config import RECIPES, Config, resolve, setting
from fovea.errors import ConfigError, Problem
from fovea.tuning.foreign.settings import CommandSettings
from fovea.tuning.parameter import Form
from fovea.tuning.tracks.settings import Track

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: Any) -> Any:
    """`6h` as 21600.0; what is no duration is handed on for the schema to refuse."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([smhd])", value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


def size(value: Any) -> Any:
    """`2 GB` as 2000000000; what is no size is handed on for the schema to refuse."""
    pattern = r"(\d+(?:\.\d*)?)\s*([kMGT]?)B"
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    return int(float(match[1]) * 1000 ** (" kMGT".index(match[2] or " "))) if match else value


Seconds = Annotated[float, BeforeValidator(seconds)]
Size = Annotated[int, BeforeValidator(size)]

Method = Literal["auto", "bayesian", "gp", "cmaes", "evolution", "quasirandom", "random", "grid"]
Pruning = Literal[
    "median", "percentile", "halving", "hyperband", "threshold", "patience", "wilcoxon", "none"
]


class Target(Config):
    """What one trial runs."""

    stage: str | None = setting(None, "name of a stage, `relight.fit`")
    config: str | None = setting(
        None, "its base settings: a preset, or a YAML file beside the study file"
    )
    command: CommandSettings | None = setting(None, "an external trainer", advanced=True)


class Objective(Config):
    """A metric, and which way is better."""

    metric: str = setting(..., "name of the metric, `test/psnr`")
    goal: Literal["min", "max"] | None = setting(None, "which way is better; what the stage says")
    reduce: str = setting(
        "last",
        "the number that counts of a series: last, best, or mean:K of the last K",
        pattern=r"^(last|best|mean:[1-9]\d*)$",
    )


class Constraint(Config):
    """A bound that a metric must keep for a trial to count as best."""

    metric: str = setting(..., "name of the metric, `mem/peak_gb`")
    max: float | None = setting(None, "largest value that is allowed")
    min: float | None = setting(None, "smallest value that is allowed")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Constraint:
        if self.max is None and self.min is None:
            raise ValueError("needs max or min")
        return self

    def excess(self, value: float) -> float:
        """By how much a value breaks it; at most 0 where it is kept."""
        over = value - self.max if self.max is not None else -float("inf")
        under = self.min - value if self.min is not None else -float("inf")
        return over if over > under else under


class Search(Config):
    """How the next trial is chosen."""

    method: Method = setting("bayesian", "how the next trial is chosen")
    seed: int = setting(0, "the same seed and one worker give the same trials", ge=0)
    startup: int = setting(10, "random trials before a model of the others is trusted", ge=0)
    options: dict[str, Any] = setting({}, "further options of the method")


class Prune(Config):
    """When a trial is ended early."""

    method: Pruning | None = setting(
        None, "rule; median for one objective and none for several when left out"
    )
    unit: Literal["step", "epoch"] = setting("step", "what trials are compared at")
    startup: int = setting(5, "finished trials before the first is pruned", ge=0)
    warmup: int = setting(0, "steps of a trial before it may be pruned", ge=0)
    min_trials: int = setting(1, "trials that must have reached a step to judge it", ge=1)
    percentile: float = setting(50.0, "a trial must be among this best part, in %", ge=0, le=100)
    min: int | None = setting(None, "fewest steps of a trial: halving, hyperband", ge=1)
    max: int | None = setting(None, "most steps of a trial: hyperband", ge=1)
    factor: int | None = setting(None, "one in so many goes on: halving (4), hyperband (3)", ge=2)
    lower: float | None = setting(None, "pruned below it: threshold")
    upper: float | None = setting(None, "pruned above it: threshold")
    patience: int = setting(5, "points without a gain: patience", ge=0)
    min_delta: float = setting(0.0, "what counts as a gain: patience", ge=0)
    wraps: Literal["median", "percentile", "none"] = setting(
        "none", "the rule that decides once patience has run out"
    )
    p_value: float = setting(0.1, "of the test: wilcoxon", gt=0, lt=1)
    nan: Literal["prune", "ignore"] = setting("prune", "what becomes of a trial that reports NaN")


class Budget(Config):
    """When a study is over; whichever comes first."""

    trials: int | None = setting(None, "finished trials, over all starts of the study", ge=1)
    timeout: Seconds | None = setting(None, "time of one start of the study", gt=0)
    finished: Literal["completed", "any"] = setting(
        "completed",
        "which trials count: complete and pruned ones, or any that ended",
    )


class Retries(Config):
    """How often the same parameters are tried again, by what happened."""

    stale: int = setting(2, "its process was lost: a kill, a power cut", ge=0)
    oom: int = setting(0, "memory ran out", ge=0)
    error: int = setting(0, "any other error", ge=0)


class TrialRules(Config):
    """How one trial is run and what is kept of it."""

    timeout: Seconds | None = setting(None, "most time for a trial", gt=0)
    stall: Seconds | None = setting(None, "most time without any word from a trial", gt=0)
    timeout_as: Literal["fail", "prune"] = setting(
        "fail", "what a trial is that ran into one of the two, after it reported something"
    )
    grace: Seconds = setting(20.0, "time to save and leave when asked to stop", gt=0)
    retries: Retries = setting(Retries(), "how often the same parameters are tried again")
    keep: str = setting(
        "best:3",
        "trials that keep their checkpoints: all, or best:K",
        pattern=r"^(all|best:\d+)$",
    )
    abort_after: int = setting(5, "failures of one kind in a row that end the study", ge=1)
    isolation: Literal["process", "inline"] = setting(
        "process", "a process for each trial; inline is for tests", advanced=True
    )


class Resources(Config):
    """Where trials run."""

    workers: int = setting(1, "trials at a time", ge=1)
    gpus_per_trial: int = setting(1, "GPUs for one trial, where there are any", ge=0)
    threads: int | Literal["auto"] = setting("auto", "CPU threads for one trial")
    min_free: Size = setting(
        2_000_000_000, "no new trial begins while less is free on the study's disk", ge=0
    )
    executor: Literal["local", "ray"] = setting("local", "where the work of a trial is done")
    cluster: str = setting("auto", "of Ray: auto for this machine's, host:6379, or local")


class StudyFile(Config):
    """What is searched, for which goal, with how much patience."""

    study: str = setting(..., "name of the study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    target: Target = setting(..., "what one trial runs")
    objective: Objective | None = setting(None, "the goal, where there is one")
    objectives: tuple[Objective, ...] = setting((), "the goals, where there are several")
    space: dict[str, Form] = setting(..., "what may be tried, by the setting's path", min_length=1)
    derive: dict[str, str] = setting({}, "settings that follow from others, by a formula")
    fixed: dict[str, Any] = setting({}, "settings that are the same for all trials")
    constraints: tuple[Constraint, ...] = setting((), "bounds that the best trial must keep")
    search: Search = setting(Search(), "how the next trial is chosen")
    prune: Prune = setting(Prune(), "when a trial is ended early")
    budget: Budget = setting(Budget(), "when the study is over")
    trial: TrialRules = setting(TrialRules(), "how one trial is run")
    resources: Resources = setting(Resources(), "where trials run")
    storage: str = setting(
        "auto",
        "auto is SQLite in the study's folder; sqlite:///PATH, postgresql://USER@HOST/DATABASE, "
        "mysql://USER@HOST/DATABASE, journal:PATH, grpc://HOST:PORT",
    )
    track: Track = setting(Track(), "where numbers go besides metrics.jsonl")
    seeds: int | tuple[int, ...] = setting(1, "how many, or which, seeds each config is run with")
    enqueue: tuple[dict[str, Any], ...] = setting((), "parameters to try first")
    baseline: bool = setting(True, "whether the base settings are the first trial")

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds that each config is run with; none where the target's own is to hold."""
        if isinstance(self.seeds, tuple):
            return self.seeds
        return tuple(range(self.seeds)) if self.seeds > 1 else ()

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives, however they were written."""
        return ((self.objective,) if self.objective else ()) + self.objectives


def locate(path_or_name: Path | str) -> Path:
    """The study file at a path, in a study's folder, or by its name among those of the package.

    Raises:
        ConfigError: there is none.
    """
    path = Path(path_or_name)
    for candidate in (path, path / "study.yaml", RECIPES / f"study.{path_or_name}.yaml"):
        if candidate.is_file():
            return candidate
    known = [file.stem.removeprefix("study.") for file in sorted(RECIPES.glob("study.*.yaml"))]
    raise ConfigError(
        f"a study file is wanted, and {path} is neither a file, nor the folder of a study, nor one "
        f"of those that come with fovea: {', '.join(known) or 'none'}."
    )


def read(path: Path, changes: Mapping[str, Any] | Iterable[str] = ()) -> StudyFile:
    """Read a study file.

    Args:
        path: the file.
        changes: what the command line says over it: values by dotted path, or `key=value` words.

    Raises:
        ConfigError: it cannot be read, or is not valid; then all that is wrong is named.
    """
    given: Mapping[str, Any] = {}
    words: Iterable[str] = ()
    if isinstance(changes, Mapping):
        given = cast(Mapping[str, Any], changes)
    else:
        words = changes
    resolved = resolve(
        StudyFile,
        name="tune",
        files=[path],
        environment={},
        arguments=words,
        overrides=given,
        overrides_source="the caller",
    )
    return resolved.config


def invalid(study: str, problems: Sequence[Problem]) -> ConfigError:
    """All that is wrong with a study, as one error."""
    lines = [f"study {study} has {len(problems)} problem{'s' if len(problems) > 1 else ''}"]
    widest = max(len(problem.loc) for problem in problems)
    for problem in problems:
        origin = f"   from {problem.source}" if problem.source else ""
        lines.append(f"  {problem.loc:{widest}}   {problem.message}{origin}")
    return ConfigError("\n".join(lines), tuple(problems))
