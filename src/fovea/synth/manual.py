"""The page of all operators, made from their declarations: `docs/synth-operators.md`.

python -c "from fovea.synth.manual import write; write('docs/synth-operators.md')"
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fovea.synth.operator import (
    Deduplicator,
    Filter,
    Mapper,
    Operator,
    Selector,
)
from fovea.synth.operators import names, operator_class
from fovea.synth.thresholds import Limit

KINDS: dict[str, tuple[type[Operator], str]] = {
    "Filters": (Filter, "A filter measures a row, then keeps it or not. Every filter also takes"),
    "Mappers": (Mapper, "A mapper changes rows. Every mapper also takes"),
    "Deduplicators": (
        Deduplicator,
        "A deduplicator keeps one row of each group that says the same. Every one also takes",
    ),
    "Selectors": (Selector, "A selector picks rows by a value of all. Every selector also takes"),
}
COSTS = {
    "cheap": "nothing to speak of",
    "head": "a look at a file's head",
    "pixels": "a decoded picture",
    "model": "a network",
}
HEAD = """# Operators of `synth`

Made by `fovea.synth.manual` from the operators themselves; a test holds it to them. Names,
parameters and statistics are data-juicer's; what it does not have is marked *ours*. A limit is a
number, or a place in the distribution of what reaches the filter: `q0.25` (a quarter lies below),
`mean-3sd` (three standard deviations below the mean).
"""
OURS = frozenset({
    "repeat_selector", "balanced_selector", "head_selector", "stat_range_filter",
    "recaption_below",
})  # fmt: skip


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, (kind, said) in KINDS.items():
        common = ", ".join(f"`{name}`" for name in kind.model_fields)
        parts.append(f"## {title}\n\n{said}: {common}.\n")
        for name in names():
            model = operator_class(name)
            if issubclass(model, kind):
                parts.append(_entry(name, model, kind))
    return "\n".join(parts)


def write(path: str | Path) -> None:
    """Write the page into a file."""
    Path(path).write_text(page(), encoding="utf-8")


def _entry(name: str, model: type[Operator], kind: type[Operator]) -> str:
    doc = (model.__doc__ or "").strip().split("\n\n")
    summary = " ".join(" ".join(part.split()) for part in doc)
    notes: list[str] = []
    if issubclass(model, Filter) and model.metrics:
        notes.append("measures " + ", ".join(f"`{metric}`" for metric in model.metrics))
    notes.append(f"costs {COSTS[model.cost]}")
    if model.extras:
        notes.append("needs the packages " + ", ".join(f"`{name}`" for name in model.extras))
    if model.quirks:
        notes.append("`compat`: " + ", ".join(f"`{quirk}`" for quirk in model.quirks))
    ours = " *(ours)*" if name in OURS else ""
    lines = [f"### `{name}`{ours}", "", summary, "", f"{'; '.join(notes).capitalize()}.", ""]
    own = {key: info for key, info in model.model_fields.items() if key not in kind.model_fields}
    if own:
        lines += ["| parameter | default | what |", "| --- | --- | --- |"]
        lines += [_row(key, info) for key, info in own.items()]
        lines.append("")
    return "\n".join(lines)


def _row(name: str, info: FieldInfo) -> str:
    default = "required" if info.default is PydanticUndefined else f"`{_written(info.default)}`"
    said = (info.description or "").replace("|", "\\|")
    choices = _choices(info.annotation)
    if choices:
        said += f": {', '.join(f'`{choice}`' for choice in choices)}"
    return f"| `{name}` | {default.replace('|', chr(92) + '|')} | {said} |"


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    if isinstance(value, int) and value > 10**15:
        return ".inf"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _choices(annotation: Any) -> tuple[Any, ...]:
    if annotation == Limit:
        return ()
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _choices(part))), ())
    return ()
