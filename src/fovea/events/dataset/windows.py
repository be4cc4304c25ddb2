"""Windows of a stream of events, with no more of it in memory than a window and a chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Int64

from fovea.errors import DataError
from fovea.events.stream import EventStream


def windows(
    chunks: Iterable[EventStream],
    ends_us: Int64[np.ndarray, " n"],
    *,
    length_us: int,
    height: int,
    width: int,
) -> Iterator[EventStream]:
    """The events from each end minus `length_us` to that end, both included.

    Args:
        chunks: a recording in order, in pieces of any size.
        ends_us: rising.
        length_us: of a window.
        height: of the sensor.
        width: of the sensor.

    Raises:
        DataError: the chunks are of another size, times fall, or events lie outside the sensor.
    """
    source = iter(checked(chunks, height=height, width=width))
    held: deque[EventStream] = deque()
    is_over = False
    for end in map(int, ends_us):
        while not is_over and not (held and held[-1].t[-1] > end):
            if (chunk := next(source, None)) is None:
                is_over = True
            elif chunk.t[-1] >= end - length_us:
                held.append(chunk)
        while held and held[0].t[-1] < end - length_us:
            held.popleft()
        parts = [part.between(end - length_us, end) for part in held]
        match [part for part in parts if len(part)]:
            case []:
                yield EventStream.empty(height, width)
            case [part]:
                yield part
            case several:
                yield EventStream.joined(several)


def span(chunks: Iterable[EventStream], start_us: int, end_us: int | None) -> Iterator[EventStream]:
    """The events from `start_us` on and before `end_us`, in a time that begins at `start_us`."""
    for chunk in chunks:
        part = (
            chunk.between(start_us, chunk.t[-1] if end_us is None else end_us - 1)
            if len(chunk)
            else chunk
        )
        if len(part):
            yield EventStream(part.t - start_us, part.x, part.y, part.p, part.height, part.width)
        if end_us is not None and len(chunk) and chunk.t[-1] >= end_us:
            return


def checked(chunks: Iterable[EventStream], *, height: int, width: int) -> Iterator[EventStream]:
    """The chunks that hold events, as long as they are what they should be.

    Raises:
        DataError: as `windows`.
    """
    seen, last = 0, -(2**63)
    for chunk in chunks:
        if (chunk.height, chunk.width) != (height, width):
            raise DataError(
                f"the events are of a sensor of {chunk.height} x {chunk.width} pixels, and the data"
                f" set is of one of {height} x {width}. Name the right sensor."
            )
        if not len(chunk):
            continue
        times = np.concatenate([[last], chunk.t])
        if (falls := np.flatnonzero(times[1:] < times[:-1])).size:
            at = int(falls[0])
            raise DataError(
                f"times may not fall, and event {seen + at} is of {times[at + 1]} µs after"
                f" {times[at]} µs. Sort the recording by time."
            )
        outside = (chunk.x >= width) | (chunk.y >= height)
        if outside.any():
            at = int(np.argmax(outside))
            raise DataError(
                f"event {seen + at} is at x={chunk.x[at]} y={chunk.y[at]}, and {outside.sum()} such"
                f" events lie outside the sensor of {height} x {width} pixels. Name the right"
                " sensor, or drop them."
            )
        seen, last = seen + len(chunk), int(chunk.t[-1])
        yield chunk
