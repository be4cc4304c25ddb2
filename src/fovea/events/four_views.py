"""A detector scored from four sides: as it is, mirrored, backwards, and both, merged box by box.

Pseudo labels are made from the same four views; here no box is cut to the frame, and only moments
with truth are looked at.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32

from fovea.events.dataset import Recording
from fovea.events.detections import Moment
from fovea.events.inference import Judged
from fovea.events.labelling.merge import merge_views
from fovea.events.labelling.views import Looking, look
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, OBJECTNESS, H, Labels, T, W, X, Y
from fovea.events.model.detector import Detector
from fovea.events.sampling import stream_batches
from fovea.events.sensor import Sensor


def judged_from_four_views(
    detector: Detector,
    recordings: Sequence[Recording],
    sensor: Sensor,
    *,
    batch: int,
    length: int,
    confidence: float,
    iou: float,
    device: torch.device | str = "cpu",
) -> list[Judged]:
    """Every moment with truth, recording after recording; see `inference.judged_moments`.

    Args:
        detector: stands on `device`.
        recordings: of one data set, each read in both directions.
        sensor: theirs.
        batch: readings side by side, each beside its mirror image.
        length: histograms at once.
        confidence: least objectness times class confidence of a box.
        iou: overlap above which the less sure of two boxes goes, within a view and between them.
        device: on which to work.
    """
    # In pixels of the network's input, as everything that is scored.
    seen_as = replace(
        sensor, height=sensor.network_height, width=sensor.network_width, halved=False
    )
    batches = stream_batches(
        recordings, sensor, batch=batch, length=length, double_with_reversed=True
    )
    looking = Looking(confidence, iou, is_mirrored=True)
    elsewhere = {str(recording.folder): _unlabelled(recording) for recording in recordings}
    found: dict[str, list[tuple[int, Labels]]] = defaultdict(list)
    for _, views in look(detector, batches, sensor, looking, known=elsewhere, device=device):
        for seen in views:
            labels = _labels(seen.predictions, seen_as)
            found[seen.path].append(seen.view.undo(seen.frame, labels, seen_as))
    return [
        each
        for recording in recordings
        for each in _judged(recording, found[str(recording.folder)], seen_as, confidence, iou)
    ]


def _unlabelled(recording: Recording) -> set[int]:
    outside = abs(recording.sensor.time_flip_offset)
    frames = range(-outside, recording.n_histograms + outside)
    return set(frames) - set(recording.objframe_to_histogram.tolist())


def _labels(predictions: Float32[np.ndarray, "n 7"], sensor: Sensor) -> Labels:
    rows = np.zeros((len(predictions), 8), np.float32)
    rows[:, X : Y + 1] = predictions[:, :2]
    rows[:, W : H + 1] = predictions[:, 2:4] - predictions[:, :2]
    rows[:, OBJECTNESS] = predictions[:, 4]
    rows[:, CLASS_CONFIDENCE] = predictions[:, 5]
    rows[:, CLASS_ID] = predictions[:, 6]
    return Labels(rows, sensor.height, sensor.width)


def _judged(
    recording: Recording,
    found: Sequence[tuple[int, Labels]],
    sensor: Sensor,
    confidence: float,
    iou: float,
) -> Iterator[Judged]:
    merged = dict(
        merge_views(found, sensor, n_frames=recording.n_histograms, confidence=confidence, iou=iou)
    )
    nothing = Labels.empty(sensor.height, sensor.width)
    for objframe, frame in enumerate(recording.objframe_to_histogram.tolist()):
        labels = recording.labels_at(objframe)
        if not labels.is_truth.any():
            continue
        truth = labels[labels.is_truth].to_structured()
        t_us = int(truth["t"][0])
        boxes = merged.get(frame, nothing)
        boxes.rows[:, T] = t_us
        yield Judged(Moment(recording.name, t_us, boxes.to_structured(), frame), truth)
