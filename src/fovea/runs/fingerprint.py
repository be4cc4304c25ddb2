"""Fingerprints: what a stage's result depends on, as one digest.

The identity of a stage in a recipe is its name and version, its Config without the settings that
cannot change the result, and its inputs: a file by its content, another stage's output by that
stage's fingerprint. Where files stand, what the recipe is called and which door it came through do
not matter, and neither does the code: a stage whose results change raises its version.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, cast

from pydantic import BaseModel

from fovea.dialect import mapping
from fovea.runs.cache import Cache
from fovea.runs.recipe import Step

Identity = dict[str, Any]


def identity(step: Step, upstream: Mapping[str, str], cache: Cache) -> Identity:
    """What the result of a step depends on; `upstream` are the fingerprints before it."""
    settings = settings_that_count(step.config)
    for name in step.stage.inputs:
        settings.pop(name, None)
    inputs: dict[str, Any] = {}
    for name, (_, path) in step.stage.given(step.config).items():
        join = step.joins.get(name)
        inputs[name] = (
            {"stage": upstream[join.key], "output": join.output}
            if join
            else {"content": cache.content(path)}
        )
    return {
        "stage": step.stage.name,
        "version": step.stage.version,
        "config": settings,
        "inputs": inputs,
    }


def digest(value: Identity) -> str:
    """The fingerprint of an identity."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def settings_that_count(config: BaseModel) -> dict[str, Any]:
    """The settings of a Config that can change a result, as plain values."""
    return {
        name: plain(getattr(config, name))
        for name, info in type(config).model_fields.items()
        if _counts(info.json_schema_extra)
    }


def plain(value: Any) -> Any:
    """A setting's value in words of JSON; equal values give equal text.

    Floats keep their shortest form that reads back equal; infinities and not-a-number become words.
    """
    if isinstance(value, BaseModel):
        return settings_that_count(value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in mapping(value).items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, cast("set[Any]", value)))
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in cast("list[Any]", value)]
    if isinstance(value, PurePath):
        return value.as_posix()
    return value if isinstance(value, str | int | bool | None) else str(value)


def differences(old: Identity, new: Identity) -> list[str]:
    """What changed between two identities, a phrase each: `iterations 300 -> 3000`."""
    before, after = _leaves(old), _leaves(new)
    found: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name, "unset"), after.get(name, "unset")
        if was != now:
            found.append(_phrase(name, was, now))
    return list(dict.fromkeys(found))


def _phrase(name: str, was: Any, now: Any) -> str:
    head, _, rest = name.partition(".")
    if head == "inputs":
        return f"input {rest.split('.')[0]} changed"
    return f"{'stage ' + name if head != 'config' else rest} {was} -> {now}"


def _leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, inner in mapping(value).items():
        found |= _leaves(inner, f"{prefix}.{name}" if prefix else name)
    return found


def _counts(extra: Any) -> bool:
    return bool(mapping(mapping(extra).get("fovea")).get("in_fingerprint", True))
