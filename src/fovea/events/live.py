"""A detector on a live stream: events of any number in, boxes of every finished window out.

    live = LiveDetector(detector, sensor)
    while data := camera.read():
        for moment in live.feed(decoder.feed(data)):
            ...                                # moment.t_us, moment.boxes
    live.finish()

The boxes do not depend on how many events come at a time: on a CPU they are the same bit for bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fovea.errors import DataError
from fovea.events.cadence import Cadence, Window, WindowCutter
from fovea.events.detections import Moment, from_predictions, scaled
from fovea.events.fit import Fit, Fitter
from fovea.events.model.detector import Detector
from fovea.events.model.memory import States
from fovea.events.model.postprocess import NMS_IOU, postprocess
from fovea.events.representation import Histogrammer, halve
from fovea.events.sensor import Sensor
from fovea.events.stream import EventStream

CONFIDENCE = 0.1
REMEMBERED = 36_000
"""Windows whose latency is kept; those before are only counted."""


@dataclass(frozen=True)
class Latency:
    """How long boxes took, from the end of a window being known to its boxes being there."""

    windows: int
    median_ms: float
    p95_ms: float
    worst_ms: float
    real_time: float
    """Seconds of recording for a second of work; below 1 a live stream cannot be followed."""

    def __str__(self) -> str:
        return (
            f"{self.windows} windows, latency {self.median_ms:.1f} ms median, {self.p95_ms:.1f} ms"
            f" p95, {self.worst_ms:.1f} ms worst; {self.real_time:.1f} times real time"
        )


class LiveDetector:
    """Follows one stream of events.

    Args:
        detector: ready to predict; stands on `device`.
        sensor: the detector's.
        cadence: when windows end; left out, as in the data sets of that sensor.
        fit: how a recording of another size is looked at; left out, streams are of the sensor's.
        confidence: objectness times class confidence from which a box is given out.
        iou: overlap above which the less sure of two boxes of a class goes.
        device: on which the network runs.
        first_end_us: the end of the first window; left out, it is one window after the first event.
    """

    def __init__(
        self,
        detector: Detector,
        sensor: Sensor,
        *,
        cadence: Cadence | None = None,
        fit: Fit | None = None,
        confidence: float = CONFIDENCE,
        iou: float = NMS_IOU,
        device: torch.device | str = "cpu",
        first_end_us: int | None = None,
    ) -> None:
        self.sensor = sensor
        self.cadence = cadence or Cadence.of(sensor)
        self.fit = fit or Fit(sensor.height, sensor.width, sensor.height, sensor.width)
        self.confidence, self.iou = confidence, iou
        self._detector, self._device = detector.eval(), device
        self._fitted = Fitter(self.fit)
        self._cutter = WindowCutter(self.cadence, first_end_us=first_end_us)
        self._histogrammer = Histogrammer(sensor.height, sensor.width)
        self._states: States | None = None
        self._latencies_ms: deque[float] = deque(maxlen=REMEMBERED)
        self._windows = 0
        self._busy_s = 0.0
        self._followed_us = 0

    def feed(self, events: EventStream) -> list[Moment]:
        """Take the next events; gives the windows that are finished.

        Raises:
            DataError: the events are of another size than the stream's, or times fall.
        """
        started = time.perf_counter()
        if (events.height, events.width) != (self.fit.height, self.fit.width):
            raise DataError(
                f"the stream is of {self.fit.height} x {self.fit.width} pixels, and events of"
                f" {events.height} x {events.width} came. Give fit=Fit.of(height, width, sensor)"
                " for a recording of another size."
            )
        windows = self._cutter.feed(self._fitted(events), events.t)
        self._busy_s += time.perf_counter() - started
        return self._seen(windows)

    def advance(self, now_us: int) -> list[Moment]:
        """Say that nothing up to `now_us` is still to come, where a camera sees nothing move."""
        return self._seen(self._cutter.advance(now_us))

    def finish(self) -> list[Moment]:
        """Say that nothing follows; gives what was still open."""
        return self._seen(self._cutter.finish())

    def latency(self) -> Latency:
        """What following the stream has cost so far."""
        known = np.array(self._latencies_ms or [0.0])
        median, p95 = np.percentile(known, [50, 95])
        followed_s = self._followed_us / 1e6
        return Latency(
            windows=self._windows,
            median_ms=float(median),
            p95_ms=float(p95),
            worst_ms=float(known.max()),
            real_time=followed_s / self._busy_s if self._busy_s else 0.0,
        )

    def _seen(self, windows: Sequence[Window]) -> list[Moment]:
        return [self._look(window) for window in windows]

    @torch.inference_mode()
    def _look(self, window: Window) -> Moment:
        started = time.perf_counter()
        events = window.events
        histogram = self._histogrammer.window(events.t, events.x, events.y, events.p)
        if self.sensor.halved:
            histogram = halve(histogram)
        planes = torch.from_numpy(histogram)[None].to(self._device)
        states = None if window.is_first else self._states
        decoded, self._states = self._detector(planes, states)
        (rows,) = postprocess(decoded.float(), confidence=self.confidence, iou=self.iou)
        boxes = from_predictions(rows, window.end_us)
        boxes = self.fit.back(scaled(boxes, 2.0) if self.sensor.halved else boxes)
        spent_s = time.perf_counter() - started
        self._latencies_ms.append(1000 * spent_s)
        self._busy_s += spent_s
        self._windows += 1
        self._followed_us += round(self.cadence.period_us)
        return Moment("", window.end_us, boxes)
