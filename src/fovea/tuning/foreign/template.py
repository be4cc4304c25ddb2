"""Words with placeholders: `{config} {trial_dir} {study} {number} {seed} {gpu} {port}`.

`{param:PATH}` is a setting of the trial.

`{{` and `}}` are braces. Values are written as JSON writes them, floats so that they read back the
same.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLACES = ("config", "trial_dir", "study", "number", "seed", "gpu", "port")
ARGS = "{args}"
"""The word of an argv that stands for the settings as arguments."""
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def problem(text: str, known: tuple[str, ...] = PLACES) -> str:
    """What is wrong with the placeholders of a text; empty where nothing is."""
    for match in _TOKEN.finditer(text):
        token, name = match[0], match[1]
        if token in ("{{", "}}") or (name or "").startswith("param:"):
            continue
        if name is None:
            return f"has a lone {token} in {text!r}; write {token * 2} for a brace"
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {{{near[0]}}}? " if near else ""
            listed = " ".join(f"{{{one}}}" for one in known)
            return (
                f"has no placeholder {{{name}}}; {hint}there are {listed} {{param:PATH}}, and "
                "{{ }} for braces"
            )
    return ""


def parameters(text: str) -> Iterator[str]:
    """The settings that a text asks for with `{param:PATH}`."""
    for match in _TOKEN.finditer(text):
        if (match[1] or "").startswith("param:"):
            yield match[1].removeprefix("param:")


def fill(text: str, places: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The text with its placeholders filled in; a setting that is not asked now gives nothing."""

    def value(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        name = match[1]
        if name.startswith("param:"):
            path = name.removeprefix("param:")
            return written(settings[path]) if path in settings else ""
        return str(places[name])

    return _TOKEN.sub(value, text)


def fill_all(data: Any, places: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """Plain data with the placeholders of all its texts filled in."""
    if isinstance(data, str):
        return fill(data, places, settings)
    if isinstance(data, Mapping):
        return {key: fill_all(value, places, settings) for key, value in data.items()}
    return [fill_all(v, places, settings) for v in data] if isinstance(data, list) else data


def written(value: Any) -> str:
    """One value as a word: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
