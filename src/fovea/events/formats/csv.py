"""Text: one event a line, four numbers apart by commas, semicolons, tabs or spaces.

A header names the columns (`x,y,p,t` or `timestamp_us x y polarity`) in any order. Without one the
order is `t x y p`, or `x y p t` where the last column holds the large numbers. Times are
microseconds; seconds where the header says so, or, without a word of it, where they have decimals.
Lines that begin with # or % are comments; one may say `height=240 width=304`, and so may a first
line of two numbers, width and height.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from fovea.errors import DataError
from fovea.events.formats.source import Columns, EventSource, Watch, size_of
from fovea.events.stream import EventStream

BLOCK_LINES = 1 << 17
NAMES = {
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "x": ("x", "column", "col"),
    "y": ("y", "row"),
    "p": ("p", "pol", "polarity", "on"),
}
UNITS = {"us": 1.0, "µs": 1.0, "s": 1e6, "sec": 1e6, "ms": 1e3, "ns": 1e-3}
_SPLIT = re.compile(r"[,;\s]+")


@dataclass(frozen=True)
class _Layout:
    """Where the columns stand, and what is known of time and sensor."""

    first_line: int
    """Lines before the first event."""
    order: tuple[int, int, int, int] | None
    """The places of t, x, y and p; None until the first events tell."""
    to_us: float | None
    """What a time is multiplied by; None until the first events tell."""
    height: int | None
    width: int | None


def open_csv(
    path: Path, *, height: int | None, width: int | None, mend_times: bool = False
) -> EventSource:
    """Open a text file of events.

    Raises:
        DataError: its columns cannot be told apart, or nothing says how large the sensor is.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        layout = _layout(path, file)
    size = size_of(path, height, width, (layout.height, layout.width))
    total = path.stat().st_size

    def blocks(watch: Watch) -> Iterator[EventStream]:
        known = layout
        line = layout.first_line
        columns = Columns(str(path), *size, mend_times=mend_times)
        read = 0
        with path.open(encoding="utf-8", errors="replace") as file:
            read += sum(len(text) for text in islice(file, line))
            while lines := list(islice(file, BLOCK_LINES)):
                numbers = _numbers(path, lines, line)
                known = _settled(known, numbers)
                yield _events(columns, numbers, known)
                line += len(lines)
                read += sum(map(len, lines))
                watch(min(1.0, read / total))

    return EventSource(path, "csv", *size, blocks)


def header(height: int, width: int) -> bytes:
    """The first lines of a file that is written: the sensor and the names of the columns."""
    return f"# height={height} width={width}\nt,x,y,p\n".encode()


class CsvEncoder:
    """Events become lines `t,x,y,p`, times in µs."""

    def feed(self, events: EventStream) -> bytes:
        """The lines of some events."""
        columns = (events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist())
        return "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in zip(*columns, strict=True)).encode()


def _layout(path: Path, file: IO[str]) -> _Layout:
    """What the lines before the first event say."""
    height = width = None
    for number, line in enumerate(file):
        text = line.strip()
        if not text or text[0] in "#%":
            said = dict(re.findall(r"(height|width)\s*[=:]?\s*(\d+)", text.lower()))
            height = int(said["height"]) if "height" in said else height
            width = int(said["width"]) if "width" in said else width
            continue
        words = _SPLIT.split(text)
        if all(map(_is_number, words)):
            if len(words) == 2:
                return _Layout(number + 1, None, None, int(words[1]), int(words[0]))
            if len(words) < 4:
                raise DataError(
                    f"{path} line {number + 1}: an event is four numbers, t, x, y and p, and here"
                    f" are {len(words)}: '{text[:60]}'. Export all four columns."
                )
            return _Layout(number, None, None, height, width)
        order, to_us = _named(path, number, words)
        return _Layout(number + 1, order, to_us, height, width)
    return _Layout(0, None, None, height, width)


def _named(
    path: Path, number: int, words: list[str]
) -> tuple[tuple[int, int, int, int], float | None]:
    """The order of the columns and the unit of time, as their header says."""
    plain = [re.sub(r"[^a-zµ_]", "_", word.lower()).strip("_") for word in words]
    stems = [re.sub(rf"_+({'|'.join(UNITS)})$", "", word) for word in plain]
    places: list[int] = []
    for column, names in NAMES.items():
        found = [place for place, stem in enumerate(stems) if stem in names]
        if not found:
            raise DataError(
                f"{path} line {number + 1}: a header that names t, x, y and p was wanted, and"
                f" '{' '.join(words)[:80]}' has no column for {column}. Call it one of"
                f" {', '.join(names)}."
            )
        places.append(found[0])
    unit = plain[places[0]].removeprefix(stems[places[0]]).strip("_")
    return (places[0], places[1], places[2], places[3]), UNITS.get(unit)


def _numbers(path: Path, lines: list[str], before: int) -> np.ndarray:
    """The numbers of some lines, [n, columns] of float64."""
    separator = next((sign for sign in ",;" if sign in lines[0]), None)
    try:
        return np.loadtxt(lines, delimiter=separator, comments=("#", "%"), ndmin=2)
    except ValueError as error:
        for number, line in enumerate(lines, start=before + 1):
            text = line.strip()
            words = _SPLIT.split(text)
            if (
                text
                and text[0] not in "#%"
                and not (len(words) > 3 and all(map(_is_number, words)))
            ):
                raise DataError(
                    f"{path} line {number}: an event is four numbers, and this line is"
                    f" '{text[:60]}'. Mend or remove the line."
                ) from None
        raise DataError(
            f"{path} after line {before}: lines have different numbers of columns ({error}). Write"
            " one event a line."
        ) from None


def _settled(layout: _Layout, numbers: np.ndarray) -> _Layout:
    """The layout with what only the events can tell."""
    order = layout.order
    if order is None and len(numbers):
        is_last = abs(numbers[-1, 3]) > abs(numbers[-1, 0]) and set(np.unique(numbers[:, 2])) <= {
            -1, 0, 1,
        }  # fmt: skip
        order = (3, 0, 1, 2) if is_last else (0, 1, 2, 3)
    to_us = layout.to_us
    if to_us is None and len(numbers) and order is not None:
        t = numbers[:, order[0]]
        to_us = 1e6 if np.any(t != np.floor(t)) else 1.0
    return replace(layout, order=order, to_us=to_us)


def _events(columns: Columns, numbers: np.ndarray, layout: _Layout) -> EventStream:
    if not len(numbers):
        return EventStream.empty(columns.height, columns.width)
    assert layout.order is not None, "the first events told it"
    assert layout.to_us is not None, "and this"
    t, x, y, p = (numbers[:, place] for place in layout.order)
    return columns.block(np.rint(t * layout.to_us).astype(np.int64), x, y, p)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
