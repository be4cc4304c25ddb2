"""Recipes: stages in order with their configs, joined before anything starts.

    name: bear-relight
    vars: {scene: data/bear}
    stages:
      fit:      {use: relight.fit, preset: fast, with: {capture: "${vars.scene}"}}
      evaluate: {use: relight.evaluate, with: {capture: "${vars.scene}"}}
      film:     {use: relight.film, matrix: {path: [orbit, spiral]}, with: {path: "${matrix.path}"},
                 on_error: continue}

An artifact setting takes a path, or `${fit.out.scene}`, an output of an earlier stage; left unset
it is joined to the newest earlier output of its kind, one of the same name before others. `matrix`
makes a stage for each combination, `film[path=orbit]`. A `use` is a stage's name or `module:STAGE`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fovea import catalog, dialect
from fovea.config import RECIPES, Config, resolve
from fovea.dialect import Document, mapping
from fovea.errors import RecipeError
from fovea.runs.artifact import kind
from fovea.runs.stage import Stage

ENTRY_KEYS = ("use", "preset", "with", "needs", "matrix", "on_error", "launch")
RECIPE_KEYS = ("name", "summary", "vars", "stages")
_REFERENCE = re.compile(r"\$\{([\w-]+(?:\[[^\]]*\])?)\.out\.(\w+)\}")
_VALUE = re.compile(r"\$\{(vars|matrix)\.(\w+)\}")


@dataclass(frozen=True)
class Join:
    """An input that is an earlier stage's output."""

    key: str
    output: str


@dataclass(frozen=True)
class Step:
    """One stage of a recipe, with its config and what it waits for."""

    key: str
    use: str
    """The stage's name, or where it is declared, `package.module:STAGE`."""
    stage: Stage
    config: Config
    """Joined inputs hold their reference, `${fit.out.scene}`, until the run puts the path there."""
    joins: Mapping[str, Join] = field(default_factory=dict[str, Join])
    needs: tuple[str, ...] = ()
    """The keys of all stages that must be done before."""
    goes_on: bool = False
    """Whether the run goes on with what does not need this stage when it fails."""
    gpus: int = 0
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    def bound(self, paths: Mapping[str, Path]) -> Config:
        """The config with the joined inputs in place."""
        return self.config.model_copy(update=dict(paths))


@dataclass(frozen=True)
class Recipe:
    """Stages in order, each joined to those before it."""

    name: str
    steps: tuple[Step, ...]
    given: str = ""
    """The file as its author wrote it."""

    @classmethod
    def single(
        cls,
        stage: Stage | str,
        config: Config | Mapping[str, Any],
        *,
        sources: Mapping[str, str] | None = None,
    ) -> Recipe:
        """A recipe of one stage; `sources` say where its settings came from."""
        use = stage if isinstance(stage, str) else declaration(stage)
        declared = find_stage(use) if isinstance(stage, str) else stage
        if not isinstance(config, Config):
            layer = Document(dict(config), {})
            resolved = resolve(declared.config, name=declared.name, files=[layer])
            config, sources = resolved.config, resolved.sources
        key = declared.name.rpartition(".")[2]
        whole = _with_whole_paths(declared, config)
        step = Step(key, use, declared, whole, sources=sources or {})
        _check_files(step)
        return cls(declared.name.replace(".", "-"), (step,))

    @property
    def id(self) -> str:
        """What makes two recipes the same work: the graph of their stages, not the values."""
        graph = [
            [s.key, s.use, {name: [j.key, j.output] for name, j in sorted(s.joins.items())}]
            for s in self.steps
        ]
        return hashlib.sha256(json.dumps(graph).encode()).hexdigest()[:16]

    def step(self, key: str) -> Step:
        """The step of that key."""
        return next(step for step in self.steps if step.key == key)

    def to_yaml(self) -> str:
        """The recipe with everything filled in; loading it gives the same recipe."""
        stages = {
            step.key: {
                "use": step.use,
                "with": step.config.model_dump(mode="json"),
                "needs": list(step.needs),
                "on_error": "continue" if step.goes_on else "stop",
                "launch": {"gpus": step.gpus},
            }
            for step in self.steps
        }
        return dialect.dump({"name": self.name, "stages": stages})


def load(
    path_or_name: Path | str,
    overrides: Sequence[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
) -> Recipe:
    """Read a recipe by its path, or by its name among those of the package.

    Args:
        path_or_name: `bear.yaml`, or `demo`.
        overrides: `stage.key=value` and `vars.name=value`, as typed on the command line.
        environment: the variables that may set settings.

    Raises:
        RecipeError: there is no such recipe, or its stages do not join.
        ConfigError: it is not valid YAML, or settings in it are wrong.
        ArtifactError: an input is missing or of another kind.
    """
    path = _find(path_or_name)
    document = dialect.load(path)
    _refuse_unknown(document.data, RECIPE_KEYS, str(path))
    entries = mapping(document.data.get("stages"))
    if not entries:
        raise RecipeError(f"{path} has no stages. Give `stages: {{fit: {{use: relight.fit}}}}`.")
    typed = _by_stage(overrides, entries, str(path))
    variables = mapping(document.data.get("vars")) | {
        name: dialect.parse(value) for name, value in typed.pop("vars", [])
    }
    builder = _Builder(document, variables, typed, environment)
    for key in entries:
        builder.add(key)
    name = str(document.data.get("name") or path.stem)
    return Recipe(name, tuple(builder.steps.values()), path.read_text(encoding="utf-8"))


def find_stage(use: str) -> Stage:
    """The stage of that name, or declared at `module:STAGE`.

    Raises:
        RecipeError: there is none.
    """
    module, _, attribute = use.partition(":")
    if not attribute:
        return catalog.stage(use)
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise RecipeError(f"stage '{use}' cannot be loaded: {error}. Check its module.") from error
    if not isinstance(found, Stage):
        raise RecipeError(f"'{use}' is no stage: {module} has no Stage named {attribute}.")
    return found


def declaration(stage: Stage) -> str:
    """How a recipe names this stage, so that another process finds it.

    Raises:
        RecipeError: it is neither in the catalog nor a global of an imported module.
    """
    if stage.name in catalog.STAGES and catalog.stage(stage.name) is stage:
        return stage.name
    for name, module in list(sys.modules.items()):
        for attribute, value in vars(module).items() if name != "__main__" and module else ():
            if value is stage:
                return f"{name}:{attribute}"
    raise RecipeError(
        f"stage '{stage.name}' is not in the catalog, and no imported module has it as a global. "
        "Declare it at the top of a module."
    )


class _Builder:
    """Joins the entries of a recipe one after the other."""

    def __init__(
        self,
        document: Document,
        variables: Mapping[str, Any],
        typed: Mapping[str, list[tuple[str, str]]],
        environment: Mapping[str, str],
    ) -> None:
        self.document = document
        self.variables = variables
        self.typed = typed
        self.environment = environment
        self.steps: dict[str, Step] = {}
        self.expanded: dict[str, list[str]] = {}

    def add(self, key: str) -> None:
        """Add the stages of one entry, several when it has a matrix."""
        entry = self.document.at("stages", key)
        where = self.document.where(("stages", key))
        _refuse_unknown(entry.data, ENTRY_KEYS, where)
        if "use" not in entry.data:
            raise RecipeError(f"{where}: stage '{key}' does not say which. Give `use: room.verb`.")
        self.expanded[key] = []
        for choice in _combinations(entry.data.get("matrix") or {}, where):
            label = ",".join(f"{name}={value}" for name, value in choice.items())
            full_key = f"{key}[{label}]" if label else key
            self.steps[full_key] = self._step(full_key, key, entry, choice, where)
            self.expanded[key].append(full_key)

    def _step(
        self, key: str, base: str, entry: Document, choice: Mapping[str, Any], where: str
    ) -> Step:
        use = str(entry.data["use"])
        stage = find_stage(use)
        needs = self._needs(key, entry.data.get("needs") or (), where)
        typed = [*self.typed.get(base, ()), *(self.typed.get(key, ()) if key != base else ())]
        given = entry.at("with")
        filled = _filled(given.data, {"vars": self.variables, "matrix": choice}, where)
        layer = Document(filled, given.sources)
        named = {name.partition(".")[0] for name, _ in typed} | set(filled)
        joined = self._joined(key, stage, named, needs, entry.data.get("preset"))
        resolved = resolve(
            stage.config,
            name=stage.name,
            preset=entry.data.get("preset"),
            files=[Document(joined, dict.fromkeys([(n,) for n in joined], "joined")), layer],
            environment=self.environment,
            arguments=[f"{name}={value}" for name, value in typed],
        )
        config = _with_whole_paths(stage, resolved.config)
        joins = dict(self._references(key, stage, config))
        launch = mapping(entry.data.get("launch"))
        step = Step(
            key=key,
            use=use,
            stage=stage,
            config=config,
            joins=joins,
            needs=tuple(dict.fromkeys([*needs, *(join.key for join in joins.values())])),
            goes_on=entry.data.get("on_error", "stop") == "continue",
            gpus=int(launch.get("gpus", 0)),
            sources=resolved.sources,
        )
        _check_files(step)
        return step

    def _needs(self, key: str, wanted: Any, where: str) -> list[str]:
        found: list[str] = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            found += self._earlier(name, f"{where}: stage '{key}' needs '{name}'")
        return found

    def _earlier(self, name: str, claim: str) -> list[str]:
        if name in self.steps:
            return [name]
        if self.expanded.get(name):
            return self.expanded[name]
        if name in self.document.data["stages"]:
            raise RecipeError(f"{claim}, which comes later. Move '{name}' before it.")
        raise RecipeError(f"{claim}, and no stage has that name.{_near(name, self.steps)}")

    def _joined(
        self, key: str, stage: Stage, named: set[str], needs: Sequence[str], preset: str | None
    ) -> dict[str, str]:
        """References for the inputs nobody named; an optional one is joined by its name only."""
        joined: dict[str, str] = {}
        for name, wanted in stage.inputs.items():
            if name in named:
                continue
            is_required = stage.config.model_fields[name].is_required()
            match = self._newest(name, wanted, needs, by_name_only=not is_required)
            if match:
                joined[name] = f"${{{match.key}.out.{match.output}}}"
            elif is_required and not preset:
                before = ", ".join(self.steps) or "none"
                raise RecipeError(
                    f"stage '{key}' needs '{name}' ({kind(wanted).help}) and no earlier stage "
                    f"makes it. Stages before it: {before}.{_maker(wanted)} "
                    f"Or give {key}.{name}=PATH."
                )
        return joined

    def _newest(
        self, name: str, wanted: str, needs: Sequence[str], *, by_name_only: bool
    ) -> Join | None:
        order = [*needs, *(key for key in reversed(self.steps) if key not in needs)]
        fitting = [
            Join(key, output)
            for key in order
            for output, made in self.steps[key].stage.outputs.items()
            if made.kind == wanted and not made.optional
        ]
        same_name = [join for join in fitting if join.output == name]
        return next(iter(same_name if by_name_only else [*same_name, *fitting]), None)

    def _references(self, key: str, stage: Stage, config: Config) -> Iterator[tuple[str, Join]]:
        for name in type(config).model_fields:
            value = getattr(config, name)
            match = _REFERENCE.fullmatch(str(value)) if isinstance(value, str | Path) else None
            if not match:
                continue
            claim = f"stage '{key}' takes '{name}' from {match[0]}"
            if name not in stage.inputs:
                names = ", ".join(stage.inputs) or "none"
                raise RecipeError(f"{claim}, but '{name}' is no input of it. Inputs: {names}.")
            found = self._earlier(match[1], claim)
            if len(found) > 1:
                raise RecipeError(f"{claim}, which are several. Say which: {', '.join(found)}.")
            yield name, self._checked(claim, Join(found[0], match[2]), stage.inputs[name])

    def _checked(self, claim: str, join: Join, wanted: str) -> Join:
        outputs = self.steps[join.key].stage.outputs
        if join.output not in outputs:
            raise RecipeError(
                f"{claim}, and '{join.key}' makes no '{join.output}'. "
                f"It makes: {', '.join(outputs)}."
            )
        made = outputs[join.output].kind
        if made != wanted:
            raise RecipeError(
                f"{claim}, which is {kind(made).help} ({made}); "
                f"wanted is {kind(wanted).help} ({wanted})."
            )
        return join


def _find(path_or_name: Path | str) -> Path:
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise RecipeError(f"there is no recipe {path}. Check the path.")
        return path
    names = sorted(p.stem for p in RECIPES.glob("*.yaml") if "." not in p.stem)
    if str(path_or_name) not in names:
        raise RecipeError(
            f"'{path_or_name}' is not a recipe.{_near(str(path_or_name), names)} "
            f"Recipes: {', '.join(names) or 'none'}; or give the path of a .yaml file."
        )
    return RECIPES / f"{path_or_name}.yaml"


def _by_stage(
    overrides: Sequence[str], entries: Mapping[str, Any], where: str
) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word in overrides:
        match = re.fullmatch(r"(?:--)?([\w-]+(?:\[[^\]]*\])?)\.([\w.-]+\+?)=(.*)", word, re.DOTALL)
        if not match:
            raise RecipeError(
                f"'{word}' is not understood. Write stage.key=value or vars.name=value."
            )
        key, name, value = match.groups()
        if key != "vars" and key not in entries and key.partition("[")[0] not in entries:
            raise RecipeError(f"'{word}': {where} has no stage '{key}'.{_near(key, entries)}")
        found.setdefault(key, []).append((name, value))
    return found


def _combinations(matrix: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    for name, values in matrix.items():
        if not isinstance(values, list) or not values:
            raise RecipeError(f"{where}: matrix '{name}' is {values!r}; give a list of values.")
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def _filled(value: Any, known: Mapping[str, Mapping[str, Any]], where: str) -> Any:
    """Put variables in place: a value that is only `${vars.x}` keeps its type."""
    if isinstance(value, dict):
        return {key: _filled(inner, known, where) for key, inner in mapping(value).items()}
    if isinstance(value, list):
        return [_filled(inner, known, where) for inner in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> Any:
        group, name = match.groups()
        if name not in known[group]:
            names = ", ".join(known[group]) or "none"
            raise RecipeError(f"{where}: {match[0]} is not defined. Known {group}: {names}.")
        return known[group][name]

    whole = _VALUE.fullmatch(value)
    return lookup(whole) if whole else _VALUE.sub(lambda match: str(lookup(match)), value)


def _with_whole_paths(stage: Stage, config: Config) -> Config:
    """Inputs by absolute path, so that the run can be resumed from another folder."""
    given = {name: getattr(config, name) for name in stage.inputs}
    whole = {
        name: path.expanduser().absolute()
        for name, path in given.items()
        if isinstance(path, Path) and not _REFERENCE.fullmatch(str(path))
    }
    return config.model_copy(update=whole)


def _check_files(step: Step) -> None:
    for name, wanted in step.stage.inputs.items():
        path = getattr(step.config, name)
        if name not in step.joins and path is not None:
            kind(wanted).check(path, wanted_by=f"stage '{step.key}' ({name})")


def _refuse_unknown(data: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in data:
        if name not in known:
            raise RecipeError(
                f"{where}: '{name}' is not understood here.{_near(name, known)} "
                f"Known: {', '.join(known)}."
            )


def _maker(wanted: str) -> str:
    makers = [
        stage.name
        for stage in catalog.all_stages()
        if any(output.kind == wanted for output in stage.outputs.values())
    ]
    return f" Add {' or '.join(makers)} before it." if makers else ""


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
