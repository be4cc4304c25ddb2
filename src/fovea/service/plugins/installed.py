"""Which plugins there are, in which order they run, and what they are told.

`plugins.<name>` in the settings of the service is a plugin's own section. Two keys in it are ours:
`enabled` (true), and `order` (100): the smallest runs first, equal ones by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

Kind = Literal["preprocess", "model", "postprocess"]
GROUPS: dict[Kind, str] = {
    "preprocess": "fovea.preprocess",
    "model": "fovea.predictors",
    "postprocess": "fovea.postprocess",
}
MODEL = "plugin:"
"""Before a plugin's name in `model.checkpoint`."""
ORDER = 100


@dataclass(frozen=True)
class Plugin:
    """One entry point of another package."""

    name: str
    kind: Kind
    target: str
    package: str
    version: str
    order: int = ORDER
    enabled: bool = True
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


def installed(sections: Mapping[str, Mapping[str, Any]]) -> list[Plugin]:
    """All plugins, in the order in which they run.

    Args:
        sections: `plugins` of the settings.
    """
    found = [
        _plugin(kind, point, sections.get(point.name, {}))
        for kind, group in GROUPS.items()
        for point in entry_points(group=group)
    ]
    kinds = list(GROUPS)
    return sorted(found, key=lambda one: (kinds.index(one.kind), one.order, one.name))


def enabled(kind: Kind, sections: Mapping[str, Mapping[str, Any]]) -> list[Plugin]:
    """The plugins of a kind that run."""
    return [one for one in installed(sections) if one.kind == kind and one.enabled]


def strangers(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A note for each section that belongs to no plugin."""
    names = {one.name for one in installed(sections)}
    notes: list[str] = []
    for name in sorted(set(sections) - names):
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"There are: {', '.join(names) or 'none'}."
        notes.append(f"plugins.{name} belongs to no plugin that is installed; {hint}")
    return notes


def load(kind: Kind, name: str) -> Any:
    """What a plugin's entry point names, imported."""
    (point,) = entry_points(group=GROUPS[kind], name=name)
    return point.load()


def trouble(plugin: Plugin) -> str:
    """Why it cannot be imported; empty where it can."""
    try:
        found = load(plugin.kind, plugin.name)
    except Exception as error:  # noqa: BLE001 -- whatever another package raises while imported
        return f"{type(error).__name__}: {error}"
    return "" if callable(found) else f"{plugin.target} cannot be called"


def _plugin(kind: Kind, point: EntryPoint, section: Mapping[str, Any]) -> Plugin:
    own = {name: value for name, value in section.items() if name not in ("enabled", "order")}
    return Plugin(
        name=point.name,
        kind=kind,
        target=point.value,
        package=point.dist.name if point.dist else "?",
        version=point.dist.version if point.dist else "?",
        order=int(section.get("order", ORDER)),
        enabled=bool(section.get("enabled", True)),
        settings=own,
    )
