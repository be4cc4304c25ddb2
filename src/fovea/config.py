"""Config: the choices of one stage, declared once, set in many places, checked in one.

A Config is frozen, refuses unknown keys, and says each field's type, default, bounds and help once.
The command line's flags, the YAML file, the environment, the HTTP body, the search space and the
record of a run are all read from it.

`resolve` lays the layers over each other, low to high: the model's defaults, a preset, files, the
environment, the command line, overrides of a study or a request. It merges key by key and remembers
where every value came from. What the model then refuses is said in one ConfigError.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from fovea import dialect
from fovea.declaration import (
    Config,
    about,
    artifact,
    branches,
    fields,
    find,
    kind_of,
    nearest,
    parts,
    setting,
    values,
)
from fovea.dialect import Document, Keys, mapping
from fovea.errors import ConfigError, Problem
from fovea.layers import Layer, Merger, arguments_layer, environment_layers

__all__ = [
    "RECIPES", "Config", "Path", "Resolved", "about", "artifact", "branches", "fields", "find",
    "kind_of", "nearest", "parts", "preset_file", "presets", "resolve", "setting", "to_yaml",
    "values",
]  # fmt: skip
RECIPES = Path(__file__).parent / "recipes"

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Resolved(Generic[C]):
    """A Config, and where each of its values came from."""

    config: C
    sources: Mapping[str, str]
    """For every value, by its dotted path: `bear.yaml:14`, `env NAME`, `--key`, `default`."""
    notes: tuple[str, ...] = ()
    """What was dropped, renamed or meant for other stages."""


def resolve(
    model: type[C],
    *,
    name: str,
    preset: str | None = None,
    files: Iterable[Path | str | Document] = (),
    environment: Mapping[str, str] = os.environ,
    arguments: Iterable[str] = (),
    positional: Iterable[str] = (),
    prefix: str = "",
    overrides: Mapping[str, Any] | None = None,
    overrides_source: str = "override",
) -> Resolved[C]:
    """Lay all layers over each other, and check the result.

    Args:
        model: the Config of the stage.
        name: of the stage, `room.verb`.
        preset: the name of one of `presets(name)`.
        files: YAML files or documents, low to high.
        environment: the variables; an empty mapping leaves them out.
        arguments: words of the command line.
        positional: the settings that bare words stand for, in order.
        prefix: what stood before each word where it was typed, for the sentence about its source.
        overrides: what a study or a request sets: values by name, nested or dotted.
        overrides_source: what to call them.

    Raises:
        ConfigError: a layer cannot be read, or settings are not valid; then all of them are named.
    """
    merger = Merger(model)
    if preset is not None:
        for document in dialect.layers(preset_file(name, preset)):
            merger.lay(document)
    for file in files:
        for document in [file] if isinstance(file, Document) else dialect.layers(file):
            merger.lay(document)
    found, notes = environment_layers(model, name, environment)
    typed, problems = arguments_layer(model, arguments, positional, prefix)
    last = Layer(model)
    last.give(overrides or {}, overrides_source)
    for document in (*found, typed, last.document):
        merger.lay(document)
    try:
        config = model.model_validate(merger.tree)
    except ValidationError as error:
        raise _refusal(name, [*problems, *_problems(model, error, merger)]) from None
    if problems:
        raise _refusal(name, problems)
    leaves = {".".join(map(str, path)): merger.where(path) for path, _ in values(config)}
    return Resolved(config, leaves, (*notes, *merger.notes))


def to_yaml(config: Config) -> str:
    """The whole Config as YAML, byte for byte the same for equal ones; `resolve` reads it back."""
    return dialect.dump(config.model_dump(mode="json"))


def presets(name: str) -> dict[str, Path]:
    """The presets of a stage: name -> file."""
    files = sorted(RECIPES.glob(f"{name}.*.yaml"))
    return {file.name.removeprefix(f"{name}.").removesuffix(".yaml"): file for file in files}


def preset_file(name: str, preset: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: the stage has none of that name.
    """
    known = presets(name)
    if preset not in known:
        near = difflib.get_close_matches(preset, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(known) or "none"
        raise ConfigError(f"{name} has no preset '{preset}'.{hint} Its presets: {listed}.")
    return known[preset]


_WANTED = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "path": "must be a path",
    "list": "must be a list",
    "tuple": "must be a list",
    "dict": "must be a mapping",
    "model": "must be a group of settings",
}


def _problems(model: type[Config], error: ValidationError, merger: Merger) -> list[Problem]:
    found: dict[Keys, Problem] = {}
    for detail in error.errors(include_url=False):
        code, given, path = detail["type"], detail["input"], _path_in(merger.tree, detail)
        message = _message(model, code, path, detail)
        if code == "union_tag_invalid":
            path, given = (*path, "kind"), given["kind"]
        if code not in ("missing", "extra_forbidden", "union_tag_not_found"):
            message += f"; got {_short(given)}"
        if path in found:  # one value, refused by each type it might have had
            message = (
                f"{found[path].message.split('; got ')[0]} or {message.removeprefix('must be ')}"
            )
        source = "" if code == "missing" else merger.where(path)
        plain = given if isinstance(given, str | int | float) else None
        found[path] = Problem(".".join(map(str, path)), code, message, plain, source)
    return list(found.values())


def _path_in(tree: Any, detail: Any) -> Keys:
    """The place of an error in what was given; pydantic's own also names types and branches."""
    path, node = list[str | int](), tree
    for part in detail["loc"]:
        is_list = isinstance(node, list | tuple)
        inside = dict[Any, Any](enumerate(list[Any](node)) if is_list else mapping(node))
        if part in inside:
            path, node = [*path, part], inside[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            path.append(part)
    return tuple(path)


def _message(model: type[Config], code: str, path: Keys, detail: Any) -> str:
    said = str(detail["msg"]).removeprefix("Value error, ")
    said = said.replace("Input should be ", "must be ").split(", unable to")[0]
    if code == "missing":
        field = find(model, [str(word) for word in path])[1]
        return f"is required: {field.description}" if field else "is required"
    if code == "extra_forbidden":
        near = nearest(model, path)
        return f"unknown setting{near and f'; {near}'}"
    if code.startswith("union_tag"):
        choices = detail["ctx"].get("expected_tags", "")
        return f"must be one of {choices}" if choices else "needs a `kind`"
    if code in ("string_type", "path_type") and isinstance(detail["input"], int | float):
        return "must be text (put it in quotes)"
    kind, _, how = code.partition("_")
    return (
        _WANTED[kind]
        if kind in _WANTED and how.endswith(("type", "parsing", "from_float"))
        else said
    )


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else dialect.line(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refusal(name: str, problems: Sequence[Problem]) -> ConfigError:
    count = "1 setting" if len(problems) == 1 else f"{len(problems)} settings"
    lines = [f"{count} of {name} {'is' if len(problems) == 1 else 'are'} not valid"]
    first = max(len(problem.loc) for problem in problems)
    second = max(len(problem.message) for problem in problems)
    for p in problems:
        origin = f"   from {p.source}" if p.source else ""
        lines.append(f"  {p.loc:{first}}   {p.message:{second}}{origin}".rstrip())
    lines.append(f"Every setting with its bounds: fovea {name.replace('.', ' ')} --help")
    return ConfigError("\n".join(lines), tuple(problems))
