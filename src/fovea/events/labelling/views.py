"""A detector looks at recordings from one side or from four.

Recordings are streamed in order, each lane with a memory of its own. For four views each recording
is also read backwards, and every batch stands beside its mirror image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from fovea.events.inference import judging
from fovea.events.labelling.merge import View
from fovea.events.model.detector import Detector, at_frames
from fovea.events.model.memory import States, reset
from fovea.events.model.postprocess import postprocess
from fovea.events.sampling import Batch
from fovea.events.sensor import Sensor

FRAMES_AT_ONCE = 64
"""Frames that pass the pyramid and the head together, which bounds the memory they take."""


@dataclass(frozen=True)
class Looking:
    """How a detector looks."""

    confidence: float
    """Least objectness times class confidence."""
    iou: float
    """Overlap above which the less sure of two boxes of a view goes."""
    is_mirrored: bool = False
    """Whether mirror images are looked at too."""
    skip_first: int = 0
    """Steps at the start of a stream at which nothing is said."""


@dataclass(frozen=True)
class Seen:
    """What a view says of one histogram."""

    path: str
    view: View
    frame: int
    """The histogram that was read."""
    predictions: Float32[np.ndarray, "n 7"]
    """[x1, y1, x2, y2, objectness, class confidence, class], not cut to the frame."""


def look(
    detector: Detector,
    batches: Iterable[Batch],
    sensor: Sensor,
    looking: Looking,
    *,
    known: Mapping[str, Collection[int]],
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Batch, list[Seen]]]:
    """Batch for batch, what is seen in every view.

    Args:
        detector: stands on `device`.
        batches: of `stream_batches`, from one worker.
        sensor: of the recordings.
        looking: how.
        known: by path, the histograms at which nothing need be said, since truth is visible there.
        device: on which to work.
    """
    states: States | None = None
    steps = np.zeros(0, np.int64)
    with judging(detector):
        for batch in batches:
            steps = np.where(batch.is_first.numpy(), 0, steps if len(steps) else 0)
            places = _places(batch, sensor, looking, known, steps)
            found, states = _step(detector, batch, states, places, looking, device)
            yield batch, found
            steps = steps + len(batch.frames)


Place = tuple[int, int, View]
"""Step, lane and the view it belongs to."""


def _places(
    batch: Batch,
    sensor: Sensor,
    looking: Looking,
    known: Mapping[str, Collection[int]],
    steps: np.ndarray,
) -> list[Place]:
    """Where something is to be said, mirrored views last."""
    offset = sensor.time_flip_offset
    places: list[Place] = []
    for lane, path in enumerate(batch.paths):
        is_reversed = bool(batch.is_reversed[lane])
        for step, frame in enumerate(batch.frames[:, lane].tolist()):
            is_early = steps[lane] + step < looking.skip_first
            if frame < 0 or is_early or frame + offset * is_reversed in known.get(path, ()):
                continue
            places.append((step, lane, View(is_reversed=is_reversed)))
    if looking.is_mirrored:
        places += [(step, lane, View(True, view.is_reversed)) for step, lane, view in places]
    return places


@torch.inference_mode()
def _step(
    detector: Detector,
    batch: Batch,
    states: States | None,
    places: list[Place],
    looking: Looking,
    device: torch.device | str,
) -> tuple[list[Seen], States]:
    """What is seen in one batch, and the memory after it."""
    histograms, is_first = batch.histograms.to(device), batch.is_first
    if looking.is_mirrored:
        histograms = torch.cat([histograms, histograms.flip(-1)], dim=1)
        is_first = torch.cat([is_first, is_first])
    if states is not None:
        states = reset(states, is_first)
    features, states = detector.sequence_features(histograms, states)
    if not places:
        return [], states
    steps = torch.tensor([step for step, _, _ in places])
    lanes = torch.tensor([lane + len(batch) * view.is_flipped for _, lane, view in places])
    rows: list[Tensor] = []
    for part in torch.arange(len(places)).split(FRAMES_AT_ONCE):
        decoded = detector.predict(at_frames(features, steps[part], lanes[part])).float()
        rows += postprocess(decoded, confidence=looking.confidence, iou=looking.iou)
    seen = [
        Seen(batch.paths[lane], view, int(batch.frames[step, lane]), each.cpu().numpy())
        for (step, lane, view), each in zip(places, rows, strict=True)
    ]
    return seen, states
