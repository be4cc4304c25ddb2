"""Sources that are code: a function of one's own, and a run of fovea's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from fovea.errors import BackendError, ConfigError
from fovea.runs.events import Follower
from fovea.tuning.sources.point import Point, point


class FoveaRun:
    """The metrics of a run folder, of all its stages, as their names say."""

    def __init__(self, folder: Path) -> None:
        self._follower = Follower(folder / "events.jsonl")

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points since the last call; final scores stand at the step after the last."""
        for event in self._follower.new():
            if event["kind"] == "metric":
                yield Point(event["step"], event["metrics"], event.get("epoch"))

    def close(self) -> None:
        """Nothing is held."""


class Function:
    """A function that is given the trial's folder, and gives records: `{"step": 10, "loss": 2.5}`.

    It may give the same records again. Modules beside the place where fovea was called are found.
    """

    def __init__(self, place: str, folder: Path) -> None:
        self._function, self._folder = find_function(place), folder

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points it gives now."""
        for count, record in enumerate(self._function(self._folder)):
            yield point(record, step="step", otherwise=count)

    def close(self) -> None:
        """Nothing is held."""


def find_function(place: str) -> Callable[[Path], Iterable[Mapping[str, Any]]]:
    """The function that `package.module:function` names.

    Raises:
        ConfigError: that is no such name, or the module has no such function.
        BackendError: there is no such module.
    """
    module, _, name = place.partition(":")
    if not module or not name:
        raise ConfigError(f"a function is named package.module:function, and {place!r} is not.")
    here = str(Path.cwd())
    try:
        sys.path.insert(0, here)
        found: Any = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"the metric source python: {place} needs the module {error.name}, which is not found "
            f"from {here}. Install it, or call fovea where it lies."
        ) from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ConfigError(f"{module} has no function {name}, which the metric source names.")
    return cast("Callable[[Path], Iterable[Mapping[str, Any]]]", found)
