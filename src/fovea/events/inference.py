"""Recordings of a data set through a detector: its boxes at every moment that has truth.

Recordings stand side by side as the lanes of a batch; each lane's memory goes on from window to
window and begins anew with the next recording.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fovea.events.boxes import Boxes
from fovea.events.dataset import Recording
from fovea.events.detections import Moment, from_predictions
from fovea.events.model.detector import Detector, at_frames
from fovea.events.model.memory import States, reset
from fovea.events.model.postprocess import postprocess
from fovea.events.sampling import Batch, stream_batches
from fovea.events.sensor import Sensor

Watch = Callable[[int, int], None]
"""Called with how many moments are done, and of how many."""


@dataclass(frozen=True)
class Judged:
    """A moment with truth and what was found there; boxes in pixels of the network's input."""

    found: Moment
    truth: Boxes


def judged_moments(
    detector: Detector,
    recordings: Sequence[Recording],
    sensor: Sensor,
    *,
    batch: int,
    length: int,
    confidence: float,
    device: torch.device | str = "cpu",
    reverse: bool = False,
    threads: int = 1,
) -> Iterator[Judged]:
    """Every moment with truth, recording beside recording, in the order of time in each.

    Args:
        detector: stands on `device`.
        recordings: of one data set.
        sensor: theirs.
        batch: recordings side by side.
        length: histograms at once; the first is that many before a recording's first label.
        confidence: least objectness times class confidence of a box.
        device: on which to work.
        reverse: read recordings backwards, labels moved accordingly.
        threads: that read ahead.
    """
    batches = stream_batches(
        recordings, sensor, batch=batch, length=length, reverse=reverse, threads=threads
    )
    memory: dict[int, States | None] = {}
    with judging(detector):
        for part in batches:
            states = memory.get(part.worker)
            rows, memory[part.worker] = _step(detector, part, states, confidence, device)
            for (step, lane), each in zip(_with_truth(part), rows, strict=True):
                yield _judged(part, step, lane, each)


@torch.inference_mode()
def _step(
    detector: Detector,
    part: Batch,
    states: States | None,
    confidence: float,
    device: torch.device | str,
) -> tuple[list[Tensor], States]:
    """What is found at the moments with truth of one batch, and the memory after it."""
    if states is not None:
        states = reset(states, part.is_first)
    histograms = part.histograms.to(device, non_blocking=True)
    features, states = detector.sequence_features(histograms, states)
    places = _with_truth(part)
    if not places:
        return [], states
    steps, lanes = torch.tensor(places).unbind(1)
    decoded = detector.predict(at_frames(features, steps, lanes))
    return postprocess(decoded.float(), confidence=confidence), states


@contextmanager
def judging(detector: nn.Module) -> Generator[None]:
    """Normalisation as learnt, and afterwards as it was."""
    was_training = detector.training
    detector.eval()
    try:
        yield
    finally:
        detector.train(was_training)


def _with_truth(part: Batch) -> list[tuple[int, int]]:
    return [
        (step, lane)
        for step, lanes in enumerate(part.labels)
        for lane, labels in enumerate(lanes)
        if labels is not None and labels.is_truth.any()
    ]


def _judged(part: Batch, step: int, lane: int, rows: Tensor) -> Judged:
    labels = part.labels[step][lane]
    assert labels is not None, "places with truth have labels"
    truth = labels[labels.is_truth].to_structured()
    t_us = int(truth["t"][0])
    name = part.paths[lane].rstrip("/").rpartition("/")[2]
    found = Moment(name, t_us, from_predictions(rows, t_us), int(part.frames[step, lane]))
    return Judged(found, truth)
