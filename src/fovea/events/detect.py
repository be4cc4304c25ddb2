"""`events.detect`: a recording, or a stream while it comes, gets boxes and a video that shows them.

The stream passes once, in pieces: the detector takes its windows from it and the video its frames,
each at times of its own. A frame shows the newest boxes that were there at its time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from fovea.errors import ConfigError, DataError
from fovea.events import draw
from fovea.events.arriving import Arriving
from fovea.events.boxes import PSEUDO_DTYPE, Boxes
from fovea.events.cadence import Cadence, Window, WindowCutter
from fovea.events.detections import Moment, MomentWriter
from fovea.events.fit import Fit
from fovea.events.formats.door import open_events
from fovea.events.live import LiveDetector
from fovea.events.model.weights import load_detector
from fovea.events.sensor import Sensor, preset
from fovea.events.settings.detect import DetectConfig, LookConfig
from fovea.events.stream import EventStream
from fovea.runs.stage import Context
from fovea.scene.video import write_video
from fovea.training.device import torch_device

CHUNK_EVENTS = 250_000
LEAST_VIDEO_S = 4.0
"""Shorter recordings are shown in slow motion, until they last as long."""
SHOWN_MS, SHOWN_LEAST_MS = 50.0, 5.0
SHOWN_AT_FULL_SPEED_MS = 400.0
STALE_PERIODS = 2.0
"""Boxes are shown for so many periods after their window, when no newer ones come."""


def detect(config: DetectConfig, context: Context) -> dict[str, float]:
    """Look at the recording window by window."""
    wanted = None if config.sensor == "auto" else preset(config.sensor)
    device = torch_device(context.device)
    detector, sensor = load_detector(config.detector, sensor=wanted, device=device)
    source = _opened(config, context)
    pieces = iter(source.pieces)
    first = next(pieces, None)
    if first is None:
        raise DataError(
            f"{source.name} holds no event between {config.start_s:g} s and its end. Give a smaller"
            " start_s, or another recording."
        )
    fit = Fit.of(first.height, first.width, sensor, config.fit)
    if not fit.is_identity:
        context.note(fit.describe())
    period_us = config.period_ms * 1000
    cadence = Cadence(period_us=period_us) if period_us else Cadence.of(sensor)
    live = LiveDetector(
        detector, sensor, cadence=cadence, fit=fit, confidence=config.confidence, device=device
    )
    with ExitStack() as stack:
        about = _about(sensor, fit, cadence, config)
        writer = stack.enter_context(MomentWriter(context.output("boxes"), about))
        followed = _Followed(live, writer, source, context)
        pieces = followed.through([first], pieces)
        if config.video:
            frames = _frames(followed, pieces, _Film.of(config.look, source, fit, sensor, context))
            write_video(context.output("video"), frames, fps=config.look.fps)
        else:
            for _ in pieces:
                pass
    return followed.report()


# Where events come from


@dataclass(frozen=True)
class _Source:
    name: str
    pieces: Iterable[EventStream]
    seconds: float | None
    """How long it lasts, or a lower bound that is long enough; None for a stream."""


def _opened(config: DetectConfig, context: Context) -> _Source:
    if bool(config.recording) == bool(config.stream):
        raise ConfigError(
            "events.detect looks at one recording or at one stream; found"
            f" recording={config.recording} and stream={config.stream or 'nothing'}. Give one of"
            " them."
        )
    if config.recording is None:
        arriving = Arriving(
            config.stream,
            follow_s=config.follow_s,
            height=config.height,
            width=config.width,
            mend_times=config.mend_times,
            asked_to_stop=context.should_stop,
        )
        return _Source(config.stream, _part(arriving.pieces(), config), None)
    recording = open_events(
        config.recording, height=config.height, width=config.width, mend_times=config.mend_times
    )

    def chunks() -> Iterator[EventStream]:
        return _part(recording.chunks(events=CHUNK_EVENTS), config)

    return _Source(str(config.recording), chunks(), _lasts(chunks()))


def _part(chunks: Iterable[EventStream], config: DetectConfig) -> Iterator[EventStream]:
    """The time that is looked at; the clock stays the recording's."""
    start: int | None = None
    for chunk in chunks:
        if not len(chunk):
            continue
        start = int(chunk.t[0]) + round(config.start_s * 1e6) if start is None else start
        end = start + round(config.seconds * 1e6) if config.seconds else int(chunk.t[-1])
        part = chunk.between(start, end)
        if len(part):
            yield part
        if config.seconds and int(chunk.t[-1]) > end:
            return


def _lasts(chunks: Iterator[EventStream]) -> float:
    """How many seconds there are, read no further than is needed to know that it is enough."""
    first, last = None, 0
    for chunk in chunks:
        first, last = int(chunk.t[0]) if first is None else first, int(chunk.t[-1])
        if last - first >= LEAST_VIDEO_S * 1e6:
            break
    return (last - (first or 0)) / 1e6


def _about(sensor: Sensor, fit: Fit, cadence: Cadence, config: DetectConfig) -> dict[str, object]:
    return {
        "classes": list(sensor.classes), "height": fit.height, "width": fit.width,
        "window_us": cadence.length_us, "period_us": cadence.period_us,
        "confidence": config.confidence,
    }  # fmt: skip


# Along the stream


@dataclass
class _Followed:
    """The detector along the stream; what it finds is written down at once."""

    live: LiveDetector
    writer: MomentWriter
    source: _Source
    context: Context
    newest: deque[Moment] = field(default_factory=deque[Moment])
    """Moments that no frame is past yet."""
    events: int = 0
    boxes: int = 0
    start_us: int = 0
    now_us: int = 0

    def through(self, *parts: Iterable[EventStream]) -> Iterator[EventStream]:
        """The pieces, each after the detector has seen it."""
        for part in parts:
            for piece in part:
                if self.context.should_stop():
                    self.context.stop()
                if not self.events:
                    self.start_us = int(piece.t[0])
                self._take(self.live.feed(piece))
                self.events += len(piece)
                self.now_us = int(piece.t[-1])
                yield piece
                self._tell()
        self._take(self.live.finish())

    def _take(self, moments: Iterable[Moment]) -> None:
        for moment in moments:
            self.writer.add(moment)
            self.newest.append(moment)
            self.boxes += len(moment.boxes)

    def _tell(self) -> None:
        done = (self.now_us - self.start_us) // 1000
        latency = self.live.latency()
        self.context.progress(
            done, done, "ms", latency_ms=round(latency.median_ms, 1), boxes=self.boxes
        )

    def boxes_at(self, t_us: int) -> Boxes:
        """The newest boxes at that time; none where they are long past."""
        while len(self.newest) > 1 and self.newest[1].t_us <= t_us:
            self.newest.popleft()
        if not self.newest or self.newest[0].t_us > t_us:
            return np.zeros(0, PSEUDO_DTYPE)
        is_stale = t_us - self.newest[0].t_us > STALE_PERIODS * self.live.cadence.period_us
        return self.newest[0].boxes[:0] if is_stale else self.newest[0].boxes

    def report(self) -> dict[str, float]:
        """How it went, told to whoever watches as well."""
        latency = self.live.latency()
        self.context.note(f"{self.events} events, {self.boxes} boxes; {latency}")
        return {
            "windows": latency.windows,
            "boxes": self.boxes,
            "events": self.events,
            "latency/median_ms": latency.median_ms,
            "latency/p95_ms": latency.p95_ms,
            "real_time": latency.real_time,
        }


# The video


@dataclass(frozen=True)
class _Film:
    """When frames are taken and how they look."""

    cadence: Cadence
    picture: Callable[[EventStream], draw.Picture]
    style: draw.Style
    classes: tuple[str, ...]
    labels: draw.Wording
    decimals: int
    """Of the seconds on the clock; more in slow motion."""
    heading: str

    @classmethod
    def of(
        cls, look: LookConfig, source: _Source, fit: Fit, sensor: Sensor, context: Context
    ) -> _Film:
        speed = look.speed or _speed(source.seconds)
        shown_ms = look.shown_ms or min(
            SHOWN_MS, max(SHOWN_LEAST_MS, SHOWN_AT_FULL_SPEED_MS * speed)
        )
        if speed < 1 and not look.speed:
            context.note(
                f"{source.name} lasts {source.seconds:.3g} s: the video shows it at 1/"
                f"{1 / speed:.3g} of its speed; look.speed=1 shows it as it was"
            )
        style = draw.Style.fitting(fit.height, fit.width, factor=look.factor or None)
        return cls(
            Cadence(round(shown_ms * 1000), max(1.0, 1e6 * speed / look.fps)),
            lambda events: draw.stream_picture(events, factor=style.factor, look=look.events),
            style,
            sensor.classes,
            look.labels,
            max(2, 2 - math.floor(math.log10(speed))),
            "" if math.isclose(speed, 1) else f"  x{speed:.3g}",
        )

    def drawn(self, window: Window, number: int, boxes: Boxes) -> draw.Picture:
        """One frame."""
        picture = self.picture(window.events)
        colors = [draw.class_color(int(kind)) for kind in boxes["class_id"]]
        lines = draw.label_lines(boxes, self.classes, wording=self.labels)
        draw.draw_boxes(picture, boxes, lines, colors, self.style)
        words = draw.clock(window.end_us, number, decimals=self.decimals) + self.heading
        draw.draw_text(picture, words, self.style)
        return picture


def _speed(seconds: float | None) -> float:
    """1, or for a recording that would be over at once, one over a whole number."""
    if not seconds or seconds >= LEAST_VIDEO_S:
        return 1.0
    return 1 / math.ceil(LEAST_VIDEO_S / seconds)


def _frames(
    followed: _Followed, pieces: Iterator[EventStream], film: _Film
) -> Iterator[draw.Picture]:
    """A frame for every so many seconds of the stream."""
    cutter, number = None, 0
    for piece in pieces:
        if cutter is None:
            first_end = int(piece.t[0]) + round(film.cadence.period_us)
            cutter = WindowCutter(film.cadence, first_end_us=first_end)
        for window in cutter.feed(piece):
            yield film.drawn(window, number, followed.boxes_at(window.end_us))
            number += 1
    assert cutter is not None, "there is a first piece"
    for window in cutter.finish():
        yield film.drawn(window, number, followed.boxes_at(window.end_us))
        number += 1
