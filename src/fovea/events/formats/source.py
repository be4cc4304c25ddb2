"""A recording that is open: its size, and its events in chunks.

Every reader gives blocks of whatever length suits its format; here they become chunks of the length
that is asked for, and columns from formats that promise nothing are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from fovea.errors import DataError
from fovea.events.formats.decoder import fell, outside
from fovea.events.stream import EventStream
from fovea.scene.raster.compiled import kernels

Watch = Callable[[float], None]
"""Is told what part of the file has been read, from 0 to 1."""
LARGEST_PX = 1 << 16


def ignore(share: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class EventSource:
    """A recording of events; may be gone through any number of times."""

    path: Path
    format: str
    height: int
    width: int
    blocks: Callable[[Watch], Iterator[EventStream]]
    """The reader: events in order, in blocks of any length."""
    about: int = 0
    """About how many events it holds, where that is known before reading."""

    def chunks(self, events: int = 1_000_000, *, watch: Watch = ignore) -> Iterator[EventStream]:
        """All events in order, so many at a time; only the last chunk is shorter.

        Memory is bounded by the chunk, whatever the size of the file. A recording without events
        gives no chunk.

        Raises:
            DataError: an event cannot be read; those before it have been given out.
        """
        return rechunked(self.blocks(watch), events)

    def __enter__(self) -> EventSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held open between two calls of `chunks`."""


def rechunked(blocks: Iterable[EventStream], events: int) -> Iterator[EventStream]:
    """The same events, so many at a time."""
    waiting: list[EventStream] = []
    count = 0
    for block in blocks:
        while count + len(block) >= events:
            part = block[: events - count]
            yield EventStream.joined([*waiting, part]) if waiting else part
            block = block[events - count :]
            waiting, count = [], 0
        if len(block):
            waiting.append(block)
            count += len(block)
    if waiting:
        yield EventStream.joined(waiting)


def collected(source: EventSource) -> EventStream:
    """All events as one stream; room is made for as many as there are about, and then for more."""
    whole = _room(source.about or 1 << 16)
    count = 0
    for block in source.blocks(ignore):
        end = count + len(block)
        if end > len(whole[0]):
            wider = _room(2 * end)
            for old, new in zip(whole, wider, strict=True):
                new[:count] = old[:count]
            whole = wider
        for column, part in zip(whole, (block.t, block.x, block.y, block.p), strict=True):
            column[count:end] = part
        count = end
    t, x, y, p = (column[:count] for column in whole)
    return EventStream(t, x, y, p, source.height, source.width)


def _room(events: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    kinds = (np.int64, np.uint16, np.uint16, np.uint8)
    t, x, y, p = (np.empty(events, kind) for kind in kinds)
    return t, x, y, p


class Columns:
    """Columns of some other format become events, checked; the times go on from block to block."""

    def __init__(
        self, name: str, height: int, width: int, *, unit: str = "event", mend_times: bool = False
    ) -> None:
        self.name, self.height, self.width = name, height, width
        self.unit = unit
        """What an event's number is called in a message."""
        self.mend_times = mend_times
        self.events = 0
        self._last: int | None = None

    def block(self, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> EventStream:
        """Events from columns of any type of number.

        Raises:
            DataError: a pixel lies outside the sensor, or a time falls and is not to be mended.
        """
        self._check_inside(x, y)
        t = self._in_order(np.ascontiguousarray(t, np.int64))
        self.events += len(t)
        return EventStream(
            t,
            np.ascontiguousarray(x, np.uint16),
            np.ascontiguousarray(y, np.uint16),
            (p > 0).astype(np.uint8),
            self.height,
            self.width,
        )

    def _check_inside(self, x: np.ndarray, y: np.ndarray) -> None:
        is_outside = (x < 0) | (x >= self.width) | (y < 0) | (y >= self.height)
        if is_outside.any():
            place = int(is_outside.argmax())
            number = self.events + place
            found = f" at x={x[place]}, y={y[place]},"
            where = f"{self.unit} {number + 1}"
            raise outside(self.name, number, where, self.height, self.width, found)

    def _in_order(self, t: np.ndarray) -> np.ndarray:
        if not len(t):
            return t
        before = int(t[0]) if self._last is None else self._last
        place = kernels("histogram", package="fovea.events").first_fall(t, before)
        if place >= 0:
            if not self.mend_times:
                number = self.events + place
                earlier = int(t[place - 1]) if place else before
                where = f"{self.unit} {number + 1}"
                raise fell(self.name, number, where, int(t[place]), earlier)
            t = np.maximum.accumulate(np.maximum(t, before))
        self._last = int(t[-1])
        return t


def size_of(
    path: Path, height: int | None, width: int | None, found: tuple[int | None, int | None]
) -> tuple[int, int]:
    """The sensor's size: the given one, else the one found in the file.

    Raises:
        DataError: neither is known, or they differ.
    """
    size = (height or found[0], width or found[1])
    if size[0] is None or size[1] is None:
        raise DataError(
            f"{path} does not say how large its sensor is. Give height= and width= in pixels, 240"
            " and 304 for Gen1, 480 and 640 for Gen3, 720 and 1280 for Gen4."
        )
    if None not in found and size != found:
        raise DataError(
            f"{path} is of a sensor of {found[0]} x {found[1]} pixels, and height={size[0]},"
            f" width={size[1]} were given. Leave them out."
        )
    return size[0], size[1]
