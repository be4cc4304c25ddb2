"""From the body of a request to a recipe that may run: settings checked, files found.

A request never says a path. Where a setting takes one, it gives a name that the service looks up:

    uploads/<id>            what was sent before; uploads/<id>/part for a file inside it
    samples/<name>          the scenes that ship with the package
    jobs/<id>/<artifact>    what an earlier job made
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fovea import catalog, dialect
from fovea.config import RECIPES, Config, about, branches, find, resolve
from fovea.errors import ConfigError, Problem
from fovea.runs import recipe as recipes
from fovea.runs.recipe import Recipe
from fovea.runs.stage import Stage
from fovea.service.problems import not_found

Lookup = Callable[[str], Path | None]
"""Where the file of a name, `uploads/1f3c`, stands; None where there is none."""

SOURCE = "the request"
NAMES = "uploads/<id>, samples/<name> or jobs/<id>/<artifact>"


@dataclass(frozen=True)
class Submission:
    """What is to run."""

    kind: str
    body: dict[str, Any]
    recipe: Recipe
    preset: str = ""

    @property
    def digest(self) -> str:
        """The same for the same request."""
        text = json.dumps([self.kind, self.body, self.recipe.to_yaml()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def recipe_names() -> list[str]:
    """The recipes of the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml") if "." not in path.stem)


def kinds() -> list[str]:
    """Everything that can be asked for."""
    return [*catalog.stage_names(), *recipe_names()]


def stages_of(kind: str) -> dict[str, Stage]:
    """The stages of a recipe by key; a stage by itself has the key "".

    Raises:
        RefusedError: there is no such stage or recipe.
    """
    if kind in catalog.stage_names():
        return {"": catalog.stage(kind)}
    if kind not in recipe_names():
        raise not_found("stage or recipe", kind, catalog.nearest(kind, kinds()).strip())
    return recipes.stages_of(RECIPES / f"{kind}.yaml")


def submission(
    kind: str, body: Mapping[str, Any], *, preset: str | None, lookup: Lookup
) -> Submission:
    """Check a request.

    Args:
        kind: a stage's name or a recipe's.
        body: the settings of the stage; of a recipe, those of each stage under its key.
        preset: one of the stage's presets.
        lookup: finds the files that are named.

    Raises:
        RefusedError: there is no such stage or recipe.
        ConfigError: settings are not valid; then all of them are named.
        RecipeError, ArtifactError: the stages do not join, or an input is of another kind.
    """
    stages = stages_of(kind)
    if "" in stages:
        config, _, problems = _checked(stages[""], body, preset, lookup)
        if config is None or problems:
            raise _not_valid(kind, problems)
        recipe = Recipe.single(kind, config)
    else:
        recipe = _recipe(kind, stages, body, preset, lookup)
    return Submission(kind, dict(body), recipe, preset or "")


def schema(kind: str) -> dict[str, Any]:
    """The JSON schema of the body of a request."""
    stages = stages_of(kind)
    if "" in stages:
        return stages[""].config.model_json_schema() | {"title": kind}
    groups = {key: stage.config.model_json_schema() for key, stage in stages.items()}
    definitions: dict[str, Any] = {}
    for group in groups.values():
        definitions |= group.pop("$defs", {})
        group.pop("required", None)  # the recipe gives them, or joins them
    known = dialect.load(RECIPES / f"{kind}.yaml").data.get("vars") or {}
    variables = {name: _variable(value) for name, value in known.items()}
    return {
        "type": "object",
        "title": kind,
        "properties": ({"vars": _closed(variables)} if variables else {}) | groups,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _variable(value: Any) -> dict[str, Any]:
    """The schema of a variable; text may be a path, hence is a name as above."""
    if isinstance(value, str):
        return {"type": "string", "description": NAMES, "fovea": {"place": True}}
    types = {bool: "boolean", int: "integer", float: "number"}
    return {"type": types[type(value)], "default": value} if type(value) in types else {}


def _checked(
    stage: Stage, body: Mapping[str, Any], preset: str | None, lookup: Lookup
) -> tuple[Config | None, dict[str, Any], list[Problem]]:
    """The Config of a stage where it is valid, what was given with files in place, and problems."""
    placed, problems = _placed(stage.config, body, lookup)
    try:
        config = resolve(
            stage.config,
            name=stage.name,
            preset=preset,
            environment=os.environ,
            overrides=placed,
            overrides_source=SOURCE,
        ).config
    except ConfigError as error:
        if not error.problems:
            raise
        known = {problem.loc for problem in problems}
        problems += [problem for problem in error.problems if problem.loc not in known]
        return None, placed, problems
    return config, placed, problems


def _recipe(
    kind: str,
    stages: Mapping[str, Stage],
    body: Mapping[str, Any],
    preset: str | None,
    lookup: Lookup,
) -> Recipe:
    problems: list[Problem] = []
    words: list[str] = []
    if preset:
        message = "is for a single stage; a recipe names the presets of its stages itself"
        problems.append(Problem("preset", "no_preset", message, preset, SOURCE))
    for key, settings in body.items():
        if key == "vars" and isinstance(settings, Mapping):
            known = dialect.load(RECIPES / f"{kind}.yaml").data.get("vars") or {}
            placed, refused = _variables(settings, known, lookup)
        elif key in stages and isinstance(settings, Mapping):
            _, placed, found = _checked(stages[key], settings, None, lookup)
            # What is missing here may stand in the recipe, or be joined.
            refused = [_below(key, problem) for problem in found if problem.code != "missing"]
        else:
            near = catalog.nearest(key, stages).strip() or f"It has: {', '.join(stages)}"
            message = "must be a group of settings" if key in stages else f"unknown stage. {near}"
            placed, refused = {}, [Problem(key, "unknown_stage", message, None, SOURCE)]
        problems += refused
        words += [f"{key}.{path}={value}" for path, value in _leaves(placed)]
    if problems:
        raise _not_valid(kind, problems)
    return recipes.load(kind, words)


def _variables(
    given: Mapping[str, Any], known: Mapping[str, Any], lookup: Lookup
) -> tuple[dict[str, Any], list[Problem]]:
    """Variables of a recipe; a text among them may end as a path, and is looked up like one."""
    placed: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        if name not in known:
            near = catalog.nearest(name, known).strip() or f"It has: {', '.join(known) or 'none'}"
            result = Problem(f"vars.{name}", "unknown", f"unknown variable. {near}", value, SOURCE)
        elif isinstance(value, int | float):
            result = value
        else:
            result = _looked_up(f"vars.{name}", value, True, lookup)
        if isinstance(result, Problem):
            problems.append(result)
        else:
            placed[name] = result
    return placed, problems


def _placed(
    model: type[Config], body: Mapping[str, Any], lookup: Lookup
) -> tuple[dict[str, Any], list[Problem]]:
    """The settings with names of files replaced by where they stand, and what is refused."""
    problems: list[Problem] = []

    def place(data: Mapping[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
        placed: dict[str, Any] = {}
        for key, value in data.items():
            words = (*path, *str(key).split("."))
            found, field, below = find(model, [str(word) for word in words])
            if field and not below and branches(field.annotation) and isinstance(value, Mapping):
                placed[key] = place(value, found)
                continue
            noted = about(field) if field else {}
            name = ".".join(map(str, words))
            if value is not None and noted.get("local_only"):
                result = _looked_up(name, value, "artifact" in noted, lookup)
            else:
                result = _without_references(name, value)
            if isinstance(result, Problem):
                problems.append(result)
            else:
                placed[key] = result
        return placed

    return place(body, ()), problems


def placed(
    model: type[Config], body: Mapping[str, Any], lookup: Lookup
) -> tuple[dict[str, Any], list[Problem]]:
    """The settings with names of files replaced by where they stand, and what is refused."""
    return _placed(model, body, lookup)


def _looked_up(name: str, value: Any, is_artifact: bool, lookup: Lookup) -> str | Problem:
    if not is_artifact:
        message = "is chosen on the machine that runs it and cannot be set over HTTP"
        return Problem(name, "local_only", message, value, SOURCE)
    first, _, rest = str(value).partition("/")
    if not isinstance(value, str) or first not in ("uploads", "samples", "jobs") or not rest:
        message = f"a path of this machine cannot be given over HTTP; name {NAMES}"
        return Problem(name, "local_only", message, value, SOURCE)
    path = lookup(value)
    if path is None:
        message = f"there is no {value}; send it first, or look at the list"
        return Problem(name, "unknown_file", message, value, SOURCE)
    return str(path)


def _without_references(name: str, value: Any) -> Any:
    """The value as it is, unless a recipe would read something else into it."""
    if any("${" in text for text in _texts(value)):
        message = "may not refer to anything with ${...}; write the value itself"
        return Problem(name, "reference", message, str(value), SOURCE)
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (str(key), *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _leaves(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", json.dumps(value)


def _below(key: str, problem: Problem) -> Problem:
    return Problem(**(vars(problem) | {"loc": f"{key}.{problem.loc}"}))


def _not_valid(name: str, problems: list[Problem]) -> ConfigError:
    count = "1 setting" if len(problems) == 1 else f"{len(problems)} settings"
    verb = "is" if len(problems) == 1 else "are"
    return ConfigError(f"{count} of {name} {verb} not valid", tuple(problems))


def below(folder: Path, rest: str) -> Path | None:
    """The file or folder of a relative name, if it stands in that folder and nowhere else."""
    parts = PurePosixPath(rest).parts
    if ".." in parts or PurePosixPath(rest).is_absolute():
        return None
    path = folder.joinpath(*parts)
    inside = path.exists() and path.resolve().is_relative_to(folder.resolve())
    return path if inside else None
