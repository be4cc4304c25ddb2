"""Traces: the first examples of what each operator did, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fovea.synth.plan import Handling
from fovea.synth.sample import Sample


@dataclass
class Traces:
    """Examples by operator, in the order of rows."""

    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[Any]])

    def mapped(self, label: str, old: Sample, new: Sample, handling: Handling) -> None:
        """Note a row that a mapper changed; by default whatever changed in it."""
        text = handling.fields.text
        if "traced_texts" in handling.compat and old.get(text) == new.get(text):
            return
        changed = sorted(key for key in {*old, *new} - {text} if old.get(key) != new.get(key))
        found = {"original_text": old.get(text), "processed_text": new.get(text)}
        if changed and "traced_texts" not in handling.compat:
            found["changed"] = {key: [old.get(key), new.get(key)] for key in changed}
        self._add(label, _headed(new, found, handling), handling)

    def dropped(self, label: str, row: Sample, handling: Handling) -> None:
        """Note a row that a filter dropped."""
        self._add(label, _headed(row, row, handling), handling)

    def _add(self, label: str, example: dict[str, Any], handling: Handling) -> None:
        held = self.examples.setdefault(label, [])
        if len(held) < handling.trace_num:
            held.append(example)

    def add(self, other: Mapping[str, list[dict[str, Any]]], most: int) -> None:
        """Take the examples of the next part."""
        for label, examples in other.items():
            held = self.examples.setdefault(label, [])
            held += examples[: max(0, most - len(held))]


def _headed(row: Sample, found: Mapping[str, Any], handling: Handling) -> dict[str, Any]:
    return {key: row.get(key) for key in handling.trace_keys} | dict(found)
