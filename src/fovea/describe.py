"""A stage in words: its help text, its YAML file with comments, its JSON Schema.

All three are read from the Config; nothing about a setting is written down a second time.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from fovea import dialect
from fovea.config import Config, about, branches, kind_of, parts, presets
from fovea.console import aligned, bold
from fovea.runs.artifact import kind
from fovea.runs.stage import Stage

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}
_NAMES: dict[Any, str] = {
    int: "int", float: "float", bool: "true|false", str: "text", Path: "path", dict: "map",
    type(None): "null",
}  # fmt: skip


def help_text(stage: Stage, options: str = "") -> str:
    """What `fovea ROOM VERB --help` shows.

    Args:
        stage: the stage.
        options: the help of the options that every run has.
    """
    words = stage.name.replace(".", " ")
    places = " ".join(
        name.upper() if stage.config.model_fields[name].is_required() else f"[{name.upper()}]"
        for name in stage.positional
    )
    usage = f"fovea {words} {places} [key=value ...]".replace("  ", " ")
    blocks = [f"{bold(stage.name)}: {stage.summary}", f"{bold('usage')}  {usage}"]
    blocks += [f"{bold(title)}\n{_wrapped(rows)}" for title, rows in _settings(stage.config)]
    outputs = [[n, o.path, kind(o.kind).help, o.help] for n, o in stage.outputs.items()]
    blocks.append(f"{bold('outputs')}\n{_wrapped(outputs)}")
    found = [[name, _first_comment(path)] for name, path in presets(stage.name).items()]
    if found:
        blocks.append(f"{bold('presets')} (--preset NAME)\n{_wrapped(found)}")
    blocks.append(
        "`key=value`, `--key value` and `--key=value` mean the same; `key+=value` adds to a list;\n"
        "`--flag` and `--no-flag` are true and false; `key=@file` takes what the file holds."
    )
    return "\n\n".join([*blocks, *([options.strip()] if options else [])])


def init_text(stage: Stage) -> str:
    """A YAML file of all settings at their defaults, each with its help, type and bounds."""
    words = stage.name.replace(".", " ")
    head = f"# {stage.name}: {stage.summary}\n# fovea {words} --config THIS_FILE\n"
    return head + "\n".join(_commented(stage.config, "")) + "\n"


def schema(stage: Stage) -> dict[str, Any]:
    """The JSON Schema of the stage's settings."""
    found = stage.config.model_json_schema()
    return (
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | found | {"title": stage.name}
    )


def type_name(info: FieldInfo) -> str:
    """The type and bounds of a field, `float > 0` or `black|white`."""
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in info.metadata
        for name, sign in _BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return " ".join([_type(info.annotation), ", ".join(bounds)]).strip()


def _type(annotation: Any) -> str:
    names: list[str] = []
    for part in parts(annotation):
        origin, inside = get_origin(part), get_args(part)
        if origin is Literal:
            names.append("|".join(str(choice) for choice in inside))
        elif origin in (list, set, frozenset):
            names.append(f"list of {_type(inside[0])}")
        elif origin is tuple:
            names.append(f"[{', '.join(_type(a) if a is not ... else '...' for a in inside)}]")
        else:
            names.append(_NAMES.get(origin or part, getattr(part, "__name__", str(part))))
    return " or ".join(names)


def _settings(model: type[Config]) -> Iterator[tuple[str, list[list[str]]]]:
    """The tables of the help text: inputs, plain settings, and a table for each group or branch."""
    inputs, plain = list[list[str]](), list[list[str]]()
    groups = list[tuple[str, FieldInfo, type[Config]]]()
    for name, info in model.model_fields.items():
        if "artifact" in about(info):
            inputs.append([name, "required" if info.is_required() else "", _help(info)])
        elif branches(info.annotation):
            groups += [(name, info, branch) for branch in branches(info.annotation)]
        else:
            plain.append(_row(name, info))
    yield from (("inputs", inputs),) if inputs else ()
    yield from (("settings", plain),) if plain else ()
    for name, info, branch in groups:
        yield from _group(name, info, branch)


def _group(
    name: str, info: FieldInfo, model: type[Config]
) -> Iterator[tuple[str, list[list[str]]]]:
    several = len(branches(info.annotation)) > 1
    title = f"{name}: {info.description}" + (f", kind {kind_of(model)}" if several else "")
    rows = [
        _row(f"{name}.{key}", field, getattr(info.default, key, ...))
        for key, field in model.model_fields.items()
        if not branches(field.annotation) and not (key == "kind" and not several)
    ]
    yield title, rows
    for key, field in model.model_fields.items():
        for branch in branches(field.annotation):
            yield from _group(f"{name}.{key}", field, branch)


def _row(path: str, info: FieldInfo, default: Any = ...) -> list[str]:
    value = info.get_default(call_default_factory=True) if default is ... else default
    is_open = info.is_required() and default is ...
    return [path if is_open else f"{path}={_short(value)}", type_name(info), _help(info)]


def _help(info: FieldInfo) -> str:
    return (info.description or "") + (" (advanced)" if about(info).get("advanced") else "")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else dialect.line(value)


def _wrapped(rows: list[list[str]]) -> str:
    """Columns, the last one broken into lines that fit the terminal."""
    width = min(shutil.get_terminal_size((110, 24)).columns, 130)
    widths = [min(max(map(len, column)), 34) for column in list(zip(*rows, strict=True))[:-1]]
    room = max(width - sum(widths) - 2 * len(widths) - 2, 30)
    lines: list[list[str]] = []
    for row in rows:
        first, *more = textwrap.wrap(row[-1], room) or [""]
        lines.append([*row[:-1], first])
        lines += [[*[""] * len(widths), line] for line in more]
    return aligned(lines, indent=2)


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _commented(model: type[Config], indent: str, default: Any = None) -> Iterator[str]:
    for name, info in model.model_fields.items():
        value = getattr(default, name, info.get_default(call_default_factory=True))
        inside = branches(info.annotation)
        about_it = f"  ({type_name(info)})" if not inside else ""
        yield f"\n{indent}# {_help(info)}{about_it}" if _help(info) else f"\n{indent}# {about_it}"
        if len(inside) > 1:
            yield f"{indent}# kinds: {', '.join(map(kind_of, inside))}"
        if info.is_required():
            yield f"{indent}# {name}:  (required)"
        elif isinstance(value, Config):
            yield f"{indent}{name}:"
            yield from _commented(type(value), indent + "  ", value)
        else:
            line = dialect.dump({name: to_jsonable_python(value)}).rstrip()
            yield textwrap.indent(line, indent)
