"""Sources that are read line by line: JSON lines, and text that an expression picks apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from fovea.tuning.sources.point import Point, number, point
from fovea.tuning.sources.tail import Tail


class JsonLines:
    """A line of JSON a point. Lines that are none are passed over: consoles mix into such files."""

    def __init__(self, path: Path, step: str) -> None:
        self._tail, self._step, self._count = Tail(path), step, 0

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points of the whole lines since the last call."""
        for line in self._tail.lines(is_over=is_over):
            try:
                record: Any = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                self._count += 1
                whole = cast("dict[str, Any]", record)
                yield point(whole, step=self._step, otherwise=self._count)

    def close(self) -> None:
        """Let go of the file."""
        self._tail.close()


class Regex:
    """Text in which an expression finds numbers.

    The groups `name` and `value` give one metric; without them each named group but `step` and
    `epoch` is a metric of its own. A match without a step counts as the next one.
    """

    def __init__(self, path: Path, expression: str) -> None:
        self._tail, self._expression, self._count = Tail(path), re.compile(expression), 0

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points of the whole lines since the last call."""
        for line in self._tail.lines(is_over=is_over):
            # A progress bar overwrites its line: each of its states counts.
            for text in line.decode(errors="replace").split("\r"):
                for match in self._expression.finditer(text):
                    self._count += 1
                    yield self._point(match)

    def close(self) -> None:
        """Let go of the file."""
        self._tail.close()

    def _point(self, match: re.Match[str]) -> Point:
        found = {name: text for name, text in match.groupdict().items() if text is not None}
        if "value" in found:
            found[found.pop("name", "value")] = found.pop("value")
        found = {name: text.replace(",", "") for name, text in found.items()}
        step = number(found.get("step"))
        if step is None:
            found.pop("step", None)
        return point(found, step="step", otherwise=self._count)
