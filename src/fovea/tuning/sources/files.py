"""Sources that are read whole whenever they change: JSON, CSV, and the Trainer's own state."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from fovea.tuning.sources.point import Point, number, point


class Whole:
    """The text of a file, given again each time that it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None

    def text(self) -> str | None:
        """The text; None while it is as before, or not there."""
        try:
            about = self.path.stat()
            stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
            if stamp == self._stamp:
                return None
            text = self.path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._stamp = stamp
        return text

    def json(self) -> Any:
        """What the text says; None while it is as before, or only half written."""
        text = self.text()
        if text is None:
            return None
        try:
            return json.loads(text)
        except ValueError:
            self._stamp = None
            return None

    def again(self) -> None:
        """Read it again next time, though it has not changed."""
        self._stamp = None


class JsonFile:
    """One JSON object, or a list of them, with numbers: `path` leads to where they stand."""

    def __init__(self, path: Path, step: str, inside: str | None) -> None:
        self._file, self._step, self._inside = Whole(path), step, inside
        self._count = -1

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points of the file, where it has changed."""
        found = self._file.json()
        for key in self._inside.split(".") if self._inside else ():
            found = _within(found, key)
        if isinstance(found, dict):
            self._count += 1
            record = cast("dict[str, Any]", found)
            yield point(record, step=self._step, otherwise=self._count)
        elif isinstance(found, list):
            for number_, one in enumerate(cast("list[Any]", found)):
                if isinstance(one, dict):
                    record = cast("dict[str, Any]", one)
                    yield point(record, step=self._step, otherwise=number_)

    def close(self) -> None:
        """Nothing is held."""


class Csv:
    """A column a metric, rows that leave most of them empty; rewritten when a column appears.

    Of several files that a pattern finds, as of a trainer that was started again, all are read.
    """

    def __init__(self, folder: Path, pattern: str, step: str) -> None:
        self._folder, self._pattern, self._step = folder, pattern, step
        self._files: dict[Path, Whole] = {}

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points of the whole rows, where a file has changed."""
        for path in sorted(self._folder.glob(self._pattern)):
            file = self._files.setdefault(path, Whole(path))
            if is_over:
                file.again()
            text = file.text()
            if text is None:
                continue
            whole = text if is_over else text[: text.rfind("\n") + 1]
            for count, row in enumerate(csv.DictReader(io.StringIO(whole))):
                yield point(row, step=self._step, otherwise=count)

    def close(self) -> None:
        """Nothing is held."""


class TrainerState:
    """`trainer_state.json` of Hugging Face's Trainer: at the end, and in each checkpoint.

    Its log has an entry for training, for each set that is evaluated, and one for the whole
    training at the last step. They are merged by step.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder, self._pattern = folder, pattern
        self._files: dict[Path, Whole] = {}

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The points of the states that have changed, by step."""
        found: dict[int, list[Point]] = {}
        for path in sorted(self._folder.glob(self._pattern), key=_by_step):
            state = self._files.setdefault(path, Whole(path)).json()
            for entry in cast("list[Any]", _within(state, "log_history") or []):
                one = point(entry, step="step", otherwise=0)
                found.setdefault(one.step, []).append(one)
        for step in sorted(found):
            yield from found[step]

    def close(self) -> None:
        """Nothing is held."""


def _by_step(path: Path) -> tuple[int, str]:
    match = re.search(r"checkpoint-(\d+)", str(path))
    return (int(match[1]) if match else 2**62, str(path))


def _within(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(key)
    if isinstance(value, list) and (at := number(key)) is not None:
        whole = cast("list[Any]", value)
        return whole[int(at)] if -len(whole) <= at < len(whole) else None
    return None
