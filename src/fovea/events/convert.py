"""A recording of any format becomes one of another, whole or a part of its time and its sensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fovea.errors import ConfigError, DataError
from fovea.events.formats.door import open_events, write_events
from fovea.events.formats.source import EventSource
from fovea.events.settings.convert import ConvertConfig
from fovea.events.stream import EventStream
from fovea.runs.stage import Context


@dataclass(frozen=True)
class Part:
    """What is kept of a sensor, in its pixels."""

    left: int
    top: int
    height: int
    width: int

    def of(self, events: EventStream) -> EventStream:
        """The events within, by the part's own coordinates."""
        # Columns are unsigned: what lies before the edge becomes very large.
        x, y = events.x - np.uint16(self.left), events.y - np.uint16(self.top)
        keep = (x < self.width) & (y < self.height)
        return EventStream(
            events.t[keep], x[keep], y[keep], events.p[keep], self.height, self.width
        )


def convert(config: ConvertConfig, context: Context) -> dict[str, float]:
    """Write the recording in the chosen format."""
    if config.start_us is not None and config.stop_us is not None:
        _require_span(config.start_us, config.stop_us)
    source = open_events(
        config.recording, height=config.height, width=config.width, mend_times=config.mend_times
    )
    part = _part(config, source)
    path = context.output(config.format)
    kept = _Kept()
    chunks = kept.watched(_chunks(config, context, source, part))
    write_events(path, chunks, height=part.height, width=part.width)
    if not kept.events:
        context.note("no event is left; look at start_us, stop_us and crop", level="warning")
    return {"events": kept.events, "seconds": kept.seconds}


class _Kept:
    """Counts what goes by."""

    def __init__(self) -> None:
        self.events = 0
        self._first = self._last = 0

    @property
    def seconds(self) -> float:
        return (self._last - self._first) / 1e6

    def watched(self, chunks: Iterator[EventStream]) -> Iterator[EventStream]:
        """The same chunks."""
        for chunk in chunks:
            if len(chunk):
                self._first = self._first if self.events else int(chunk.t[0])
                self._last = int(chunk.t[-1])
                self.events += len(chunk)
            yield chunk


def _chunks(
    config: ConvertConfig, context: Context, source: EventSource, part: Part
) -> Iterator[EventStream]:
    """What is kept, chunk by chunk."""
    zero: int | None = None if config.from_zero else 0

    def watch(share: float) -> None:
        context.progress(round(100 * share), 100, "%")

    for chunk in source.chunks(config.chunk, watch=watch):
        if context.should_stop():
            context.stop()
        first = 0 if config.start_us is None else int(np.searchsorted(chunk.t, config.start_us))
        end = len(chunk)
        if config.stop_us is not None:
            end = int(np.searchsorted(chunk.t, config.stop_us))
        kept = part.of(chunk[first:end])
        if zero is None and len(kept):
            zero = int(kept.t[0])
        yield EventStream(kept.t - (zero or 0), kept.x, kept.y, kept.p, part.height, part.width)
        if end < len(chunk):
            return


def _part(config: ConvertConfig, source: EventSource) -> Part:
    """The part of the sensor that is kept.

    Raises:
        DataError: it reaches beyond the sensor.
    """
    crop = config.crop
    height = crop.height or source.height - crop.top
    width = crop.width or source.width - crop.left
    if min(height, width) < 1 or crop.top + height > source.height or (
        crop.left + width > source.width
    ):  # fmt: skip
        raise DataError(
            f"crop keeps columns {crop.left} to {crop.left + width} and rows {crop.top} to"
            f" {crop.top + height}, and {config.recording} is of a sensor of {source.height} x"
            f" {source.width} pixels (height x width). Choose a part of it."
        )
    return Part(crop.left, crop.top, height, width)


def _require_span(start_us: int, stop_us: int) -> None:
    if stop_us <= start_us:
        raise ConfigError(
            f"stop_us must come after start_us, and {stop_us} µs does not come after {start_us} µs."
            " Turn them round."
        )
