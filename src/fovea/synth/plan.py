"""A plan: operators checked and bound, and cut into segments at each that must see all rows.

A segment is a run of local operators, done fused and part by part; what ends it is a barrier, or an
operator so costly that its work is kept by itself.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from fovea.config import nearest
from fovea.errors import ConfigError
from fovea.synth.needs import Needs
from fovea.synth.operator import QUIRKS, Deduplicator, Filter, Operator, Selector
from fovea.synth.operators import operator_class
from fovea.synth.sample import Fields
from fovea.synth.settings.data import DataConfig
from fovea.synth.validators import check_validators

VERSION = 1
"""Raised when operators give other results than before, so that kept work is done again."""
_OF_SOUND = "no operator here listens or looks at videos"
_OF_TALK = "no operator here reads conversations by field"
_WHOLE = "operators are fused: np, and what they need together, bound the processes"
IDLE_PARAMETERS: Mapping[str, str] = {
    **dict.fromkeys(["audio_key", "video_key", "video_bytes_key", "audio_bytes_key"], _OF_SOUND),
    **dict.fromkeys(["query_key", "response_key", "history_key", "system_key"], _OF_TALK),
    **dict.fromkeys(["num_proc", "auto_op_parallelism", "ray_execution_mode"], _WHOLE),
    "batch_size": "rows that need no network go through a thousand at a time",
    "accelerator": "it asks no network",
    "turbo": "a batch is tried whole first, and row by row only where it fails",
    "batch_mode": "rows always go through in batches",
    "work_dir": "a run has a folder of its own",
    "ray_serialization": "parts and rows stay in files",
}
"""Parameters of every operator of data-juicer that say how, not what, and why they say nothing."""
NEEDS = frozenset(
    ["num_cpus", "cpu_required", "num_gpus", "gpu_required", "memory", "mem_required"]
)
"""Parameters of every operator that say what a process of it needs."""
REFUSED_PARAMETERS: Mapping[str, str] = {
    "stats_export_path": "the statistics of kept rows are in res_stats.jsonl, and those of all rows"
    " in synth.analyze with export_original_dataset",
    "index_key": "the place of a row stands in errors.jsonl and duplicates.jsonl",
    "runtime_env": "nothing is installed while it runs; install it before",
}
"""Parameters of every operator of data-juicer that ask for what is not done here."""
MODEL = "{model}"
"""Stands in a parameter of an operator for the folder that the setting `model` names."""
ROWS = {"cheap": 20_000, "head": 5_000, "pixels": 1_000, "model": 128}
"""Rows of a part by the dearest operator."""


@dataclass(frozen=True)
class Step:
    """An operator of the recipe, and its place in it."""

    place: int
    operator: Operator

    @property
    def label(self) -> str:
        """How it is called in reports: operators of one name are told apart by their place."""
        return f"{self.place + 1:02d}.{self.operator.name}"

    @property
    def is_barrier(self) -> bool:
        """Whether it must see all rows."""
        found = self.operator
        return isinstance(found, Deduplicator | Selector) or (
            isinstance(found, Filter) and found.waits
        )


@dataclass(frozen=True)
class Segment:
    """Local operators, and the barrier at their end where there is one."""

    steps: tuple[Step, ...]
    barrier: Step | None = None

    def settled(self, limits: Mapping[str, float]) -> Segment:
        """Itself, the first operator knowing what its scout found."""
        if not limits:
            return self
        first = replace(self.steps[0], operator=self.steps[0].operator.settled_by(limits))
        return replace(self, steps=(first, *self.steps[1:]))


@dataclass(frozen=True)
class Handling:
    """How rows are read, checked and written, whatever the operators."""

    fields: Fields
    root: Path
    lenient: bool = True
    skip_errors: bool = True
    validators: tuple[Mapping[str, Any], ...] = ()
    compat: frozenset[str] = frozenset()
    most_pixels: int = 178_956_970
    keeps_stats: bool = False
    keeps_hashes: bool = False
    paths: str = "given"
    traced: tuple[str, ...] | None = None
    """Names of the operators that are traced; empty traces all, None none."""
    trace_num: int = 10
    trace_keys: tuple[str, ...] = ()
    result: Path | None = None
    """Folder of the result, for paths relative to it."""


@dataclass(frozen=True)
class Plan:
    """All that is to be done with a data set."""

    steps: tuple[Step, ...]
    handling: Handling
    custom: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    """Parameters in the recipe that have no effect here."""
    needs: Needs = field(default_factory=Needs)
    only_measures: bool = False
    """Filters drop nothing, and nothing waits for all rows: for `synth.analyze`."""

    @property
    def segments(self) -> list[Segment]:
        """The steps cut at barriers and behind costly operators; the last has no barrier."""
        found: list[Segment] = []
        held: list[Step] = []
        for step in self.steps:
            if step.is_barrier and not self.only_measures:
                found.append(Segment(tuple(held), step))
                held = []
                continue
            held.append(step)
            if step.operator.cost == "model":
                found.append(Segment(tuple(held)))
                held = []
        if held or not found or found[-1].barrier:
            found.append(Segment(tuple(held)))
        return found

    @property
    def part_rows(self) -> int:
        """Rows of a part, fewer the more one costs."""
        costs = [step.operator.cost for step in self.steps]
        return min((ROWS[cost] for cost in costs), default=ROWS["cheap"])

    def key(self, segment: int, before: str) -> str:
        """The address of a segment's work on content of the digest `before`."""
        here = self.segments[segment]
        last = segment == len(self.segments) - 1
        handling = replace(self.handling, result=None)
        if not last:
            handling = replace(handling, keeps_stats=False, paths="given")
        told = {
            "version": VERSION,
            "before": before,
            "steps": [_told(step, limits=not self.only_measures) for step in here.steps],
            "measures": self.only_measures,
            "barrier": here.barrier and _told(here.barrier),
            "handling": repr(handling),
            "last": last,
            "waits": segment > 0 and bool(self.segments[segment - 1].barrier),
        }
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def _told(step: Step, *, limits: bool = True) -> list[Any]:
    told = step.operator.model_dump(mode="json")
    if not limits and isinstance(step.operator, Filter):
        told = {key: told[key] for key in told if key not in step.operator.deciding()}
    return [step.place, step.operator.name, told]


def plan_of(config: DataConfig, *, seed: int, root: Path, **handling: Any) -> Plan:
    """Check what a config says and make the plan.

    Args:
        config: of the stage.
        seed: of random choices.
        root: folder that relative image paths start from.
        handling: fields of `Handling` that differ from the config's.

    Raises:
        ConfigError: an operator or a parameter is not known or not valid; all are named.
    """
    fields = Fields(
        text=config.text_keys[0] if config.text_keys else "text",
        images=config.image_key,
        image_bytes=config.image_bytes_key,
        image_token=config.image_special_token,
        audio_token=config.audio_special_token,
        video_token=config.video_special_token,
        eoc_token=config.eoc_special_token,
    )
    compat = quirks(config.compat)
    check_validators(config.validators)
    load_custom(config.custom_operator_paths)
    process, laid_over = (with_model(v, config.model) for v in (config.process, config.operators))
    steps, idle = operators_of(process, laid_over)
    needs = Needs.of([*_parameters(process), *laid_over.values()])
    steps = tuple(with_scouts(steps))
    for step in steps:
        step.operator.bind(fields, compat, seed=seed, place=step.place)
    given: dict[str, Any] = {
        "fields": fields,
        "root": root,
        "lenient": config.load_jsonl_lenient,
        "skip_errors": config.skip_op_error,
        "validators": tuple(config.validators),
        "compat": compat,
        "most_pixels": config.most_pixels,
    }
    custom = tuple(config.custom_operator_paths)
    return Plan(steps, Handling(**given | handling), custom, idle, needs)


def with_scouts(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, each behind the one that measures for it where there is such."""
    for step in steps:
        if scout := step.operator.scout():
            yield Step(step.place, scout.called(f"{step.operator.name}.scout"))
        yield step


def _parameters(process: Sequence[Any]) -> list[Mapping[str, Any]]:
    """What operators are told, a mapping each."""
    found = [given for entry in process if isinstance(entry, Mapping) for given in entry.values()]
    return [given for given in found if isinstance(given, Mapping)]


def with_model(value: Any, model: Path | None) -> Any:
    """Parameters of operators with the model's folder where they say `{model}`.

    Raises:
        ConfigError: one says so and there is no model.
    """
    if isinstance(value, Mapping):
        return {key: with_model(inner, model) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_model(inner, model) for inner in value]
    if not isinstance(value, str) or MODEL not in value:
        return value
    if model is None:
        raise ConfigError(
            f"an operator asks for {MODEL}, the folder of the setting model: {value!r}. Set model."
        )
    return value.replace(MODEL, str(model))


def quirks(named: Sequence[str]) -> frozenset[str]:
    """The habits of these names; `all` is every one.

    Raises:
        ConfigError: one is not known.
    """
    unknown = sorted(set(named) - {*QUIRKS, "all"})
    if unknown:
        raise ConfigError(f"compat knows no '{unknown[0]}'. It knows: all, {', '.join(QUIRKS)}.")
    return frozenset(QUIRKS if "all" in named else named)


def operators_of(
    process: Sequence[Any], laid_over: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The operators that a recipe lists.

    Args:
        process: `{name: parameters}` each, or a bare name.
        laid_over: parameters that replace those of all operators of a name.

    Returns:
        The steps, and parameters without effect, each once.

    Raises:
        ConfigError: what is wrong, all of it.
    """
    problems: list[str] = []
    idle: set[str] = set()
    steps: list[Step] = []
    for place, entry in enumerate(process):
        name, given = _entry(entry, place, problems)
        if not name:
            continue
        idle |= {key for key in given if key in IDLE_PARAMETERS}
        over = laid_over.get(name, {})
        operator = _made(name, {**given, **over}, f"process[{place}]", problems)
        if operator is not None:
            idle -= set(type(operator).model_fields)
            steps.append(Step(place, operator))
    named = {step.operator.name for step in steps}
    problems += [
        f"operators.{name}: process has no such operator; it has {', '.join(sorted(named))}"
        for name in laid_over
        if name not in named and not problems
    ]
    if problems:
        count = (
            "1 operator is" if len(problems) == 1 else f"{len(problems)} settings of operators are"
        )
        raise ConfigError(
            f"{count} not valid\n  "
            + "\n  ".join(problems)
            + "\nEvery operator with its parameters: docs/synth-operators.md"
        )
    return tuple(steps), tuple(sorted(idle))


def _entry(entry: Any, place: int, problems: list[str]) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, given),) = entry.items()
        if given is None or isinstance(given, Mapping):
            return str(name), dict(given or {})
    problems.append(
        f"process[{place}]: must be one `name: {{parameter: value}}`; got {str(entry)[:60]!r}"
    )
    return "", {}


def _made(name: str, given: dict[str, Any], where: str, problems: list[str]) -> Operator | None:
    try:
        model = operator_class(name)
    except ConfigError as error:
        problems.append(f"{where}: {error}")
        return None
    for key, instead in REFUSED_PARAMETERS.items():
        if key not in model.model_fields and given.pop(key, None) is not None:
            problems.append(f"{where} {name}.{key}: is not done here: {instead}")
    idle = {*IDLE_PARAMETERS, *NEEDS} - set(model.model_fields)
    wanted = {key: value for key, value in given.items() if key not in idle}
    wanted = {model.renamed.get(key, key): value for key, value in wanted.items()}
    # A parameter that is left empty has its default, as in data-juicer.
    wanted = {
        key: value
        for key, value in wanted.items()
        if value is not None or key not in model.model_fields
    }
    try:
        return model(**wanted).called(name)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problems.append(f"{where} {name}{_said(model, detail)}")
    return None


def _said(model: type[Operator], detail: Any) -> str:
    key = ".".join(str(word) for word in detail["loc"][:1])
    message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if detail["type"] == "extra_forbidden":
        hint = nearest(model, (key,))
        return f".{key}: unknown parameter{hint and f'; {hint}'}"
    if detail["type"] == "missing":
        return f".{key}: is required"
    found = f"; got {detail['input']!r}" if key and "; got " not in message else ""
    return f"{key and f'.{key}'}: {message}{found}"


def load_custom(paths: Sequence[str]) -> None:
    """Import the files and packages that register operators.

    Raises:
        ConfigError: nothing is there.
    """
    for path in paths:
        file = Path(path)
        if file.is_dir():
            file = file / "__init__.py"
        if not file.is_file():
            raise ConfigError(
                f"custom_operator_paths names {path}, and there is no such file or package. Give a"
                " .py file or a folder with __init__.py."
            )
        name = f"fovea_operators_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:12]}"
        if name not in sys.modules:
            _imported(name, file)


def _imported(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
