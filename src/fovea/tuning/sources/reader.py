"""A metric source at work: points that are new, under the names the study knows them by.

A series only goes forward: a point at or below the last step of its metric was seen before, in a
file that was written anew or beside it, and is left out. `rewind` takes a series back to the
checkpoint that a resumed trainer goes on from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from fovea.tuning.foreign.settings import MetricSource
from fovea.tuning.sources.point import Point


class Format(Protocol):
    """Reads one kind of source."""

    def read(self, *, is_over: bool) -> Iterable[Point]:
        """The points since the last call, perhaps some that were given before."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Reader:
    """One metric source of one trial."""

    def __init__(self, source: MetricSource, folder: Path) -> None:
        self.source = source
        self.seen: set[str] = set()
        """Every name of a number that was there, taken or not."""
        self._last: dict[str, int] = {}
        self._format = open_format(source, folder)

    def new(self, *, is_over: bool = False) -> Iterator[Point]:
        """The points that were not given before.

        Args:
            is_over: the trainer has ended, so that a last line without its end counts.
        """
        for point in self._format.read(is_over=is_over):
            self.seen |= point.metrics.keys()
            metrics = {
                self.source.rename.get(name, name): value
                for name, value in point.metrics.items()
                if not self.source.take or name in self.source.take
            }
            fresh = {n: v for n, v in metrics.items() if point.step > self._last.get(n, -1)}
            self._last |= dict.fromkeys(fresh, point.step)
            if fresh:
                yield Point(point.step, fresh, point.epoch)

    def rewind(self, step: int) -> None:
        """Take points beyond the step once more: the trainer goes on from there."""
        self._last = {name: min(last, step) for name, last in self._last.items()}

    def close(self) -> None:
        """Let go of files."""
        self._format.close()


def open_format(source: MetricSource, folder: Path) -> Format:
    """What reads a source of this kind in a trial's folder."""
    from fovea.tuning.sources import files, functions, lines

    place, step = source.place, source.step
    match source.kind:
        case "jsonl":
            return lines.JsonLines(folder / place, step)
        case "regex":
            return lines.Regex(folder / source.file, place)
        case "json":
            return files.JsonFile(folder / place, step, source.path)
        case "csv":
            return files.Csv(folder, place, step)
        case "trainer_state":
            return files.TrainerState(folder, place)
        case "tensorboard":
            from fovea.tuning.sources.tensorboard import EventFiles

            return EventFiles(folder, place)
        case "fovea":
            return functions.FoveaRun(folder / place)
        case "python":
            return functions.Function(place, folder)
