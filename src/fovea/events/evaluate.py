"""`events.evaluate`: a detector is held against the boxes of a data set.

Recordings are streamed in order, and boxes found at every moment with truth are scored by
Prophesee's protocol. A box counts from its objectness times its class confidence, and is ranked by
its class confidence alone, as everywhere in this field.

Source: Perot et al., "Learning to Detect Objects with a 1 Megapixel Event Camera" (2020); the
options of Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fovea.errors import DataError
from fovea.events.boxes import PSEUDO_DTYPE
from fovea.events.dataset import EventSet, Recording
from fovea.events.detections import Moment, scaled, write_detections
from fovea.events.four_views import judged_from_four_views
from fovea.events.inference import Judged, Watch, judged_moments
from fovea.events.model.detector import Detector
from fovea.events.model.weights import load_detector
from fovea.events.sampling.budget import evenly
from fovea.events.score_page import figures, score_page
from fovea.events.sensor import Sensor
from fovea.events.settings.evaluate import EvaluateConfig
from fovea.metrics.detection import DetectionMetric, DetectionProtocol
from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context
from fovea.training.device import torch_device

SHOWN = ("/AP", "/AP_50", "/AP_75", "/AR_100")
"""Scores that are told at the end; the others stand in the file."""


def evaluate_detector(
    detector: Detector,
    recordings: Sequence[Recording],
    sensor: Sensor,
    *,
    batch: int,
    length: int,
    confidence: float,
    device: torch.device | str = "cpu",
    watch: Watch = lambda done, total: None,
) -> dict[str, float]:
    """Score a detector on recordings; what `DetectionMetric.all` says.

    Args:
        detector: stands on `device`; its mode, training or not, is left as it was.
        recordings: of one data set.
        sensor: theirs.
        batch: recordings side by side.
        length: histograms at once.
        confidence: objectness times class confidence from which a box counts.
        device: on which to work.
        watch: told after every moment how many are done, and of how many.

    Raises:
        DataError: no box of these recordings counts.
    """
    metric = detection_metric(sensor)
    judged = judged_moments(
        detector, recordings, sensor,
        batch=batch, length=length, confidence=confidence, device=device,
    )  # fmt: skip
    total = sum(map(len, recordings))
    for done, each in enumerate(judged, start=1):
        metric.update(each.found.boxes, each.truth)
        watch(done, total)
    return scores_of(metric, recordings)


def detection_metric(sensor: Sensor) -> DetectionMetric:
    """What scores boxes of a sensor, in pixels of the network's input."""
    halves = 2 if sensor.halved else 1
    protocol = DetectionProtocol(
        min_diagonal_px=sensor.rules.evaluation_diagonal_px / halves,
        min_side_px=sensor.rules.evaluation_side_px / halves,
    )
    return DetectionMetric(sensor.classes, protocol)


def scores_of(metric: DetectionMetric, recordings: Sequence[Recording]) -> dict[str, float]:
    """Every number the metric says.

    Raises:
        DataError: there was nothing to score against.
    """
    moments = sum(map(len, recordings))
    if not moments or not metric.moments:
        where = recordings[0].folder.parent if recordings else "the split"
        raise DataError(
            f"a detector is scored against boxes, and of the {len(recordings)} recordings in"
            f" {where} with {moments} labelled moments none has a box that counts: later than"
            f" {metric.protocol.skip_us / 1e6:g} s, with sides of"
            f" {metric.protocol.min_side_px:g} px and a diagonal of"
            f" {metric.protocol.min_diagonal_px:g} px at least. Take longer recordings, or a split"
            " with labels."
        )
    return metric.all()


def evaluate(config: EvaluateConfig, context: Context) -> dict[str, float]:
    """Score a split, some recordings at a time; those that are done stay done."""
    data = EventSet.open(config.data, config.sensor)
    device = torch_device(context.device)
    detector, _ = load_detector(config.detector, sensor=data.sensor, device=device)
    recordings = evenly(data.split(config.split), config.ratio)
    groups = _groups(recordings, config.batch)
    for key in context.each(groups):
        _write_part(
            _part(context, key), _looked(detector, groups[key], data.sensor, config, device)
        )
    judged = [each for key in groups for each in _read_part(_part(context, key))]
    metric = detection_metric(data.sensor)
    for each in judged:
        metric.update(each.found.boxes, each.truth)
    scores = scores_of(metric, recordings)
    counts = {
        "recordings": len(recordings),
        "moments": len(judged),
        "moments_that_count": metric.moments,
        "boxes": sum(len(each.truth) for each in judged),
        "detections": sum(len(each.found.boxes) for each in judged),
    }
    about = {"split": config.split, "sensor": data.sensor.name, "confidence": config.confidence}
    document = {"scores": scores, "tags": config.tags, "about": about, "counts": counts}
    write_json(context.output("scores"), document)
    title = f"{config.detector.name} on {config.data.name}, {config.split}"
    lead = f"{len(recordings)} recordings, {metric.moments} moments with boxes that count"
    shown = figures(judged, recordings, config.pictures)
    page = score_page(metric, scores, shown, title=title, lead=lead)
    write_text(context.output("page"), page)
    _write_found([each.found for each in judged], data.sensor, about, context)
    logged = {f"{config.split}/{name}": value for name, value in scores.items()}
    context.log(0, logged)
    return {name: value for name, value in logged.items() if name.endswith(SHOWN)}


def _looked(
    detector: Detector,
    recordings: Sequence[Recording],
    sensor: Sensor,
    config: EvaluateConfig,
    device: torch.device,
) -> list[Judged]:
    given: dict[str, Any] = {"batch": config.batch, "length": config.length, "device": device}
    given["confidence"] = config.confidence
    if config.tta.enable:
        return judged_from_four_views(detector, recordings, sensor, iou=config.tta.iou, **given)
    return list(judged_moments(detector, recordings, sensor, reverse=config.reverse, **given))


def _groups(recordings: Sequence[Recording], batch: int) -> dict[str, list[Recording]]:
    """Recordings that are streamed together; those of like length, so that no lane waits."""
    ordered = sorted(recordings, key=lambda recording: (-recording.n_histograms, recording.name))
    starts = range(0, len(ordered), batch)
    return {f"{start:05d}": ordered[start : start + batch] for start in starts}


def _write_found(
    found: Sequence[Moment], sensor: Sensor, about: Mapping[str, Any], context: Context
) -> None:
    """The boxes in pixels of the sensor, recording after recording."""
    back = 2.0 if sensor.halved else 1.0
    ordered = sorted(found, key=lambda moment: (moment.recording, moment.t_us))
    moments = (replace(moment, boxes=scaled(moment.boxes, back)) for moment in ordered)
    size = {"height": sensor.height, "width": sensor.width, "classes": list(sensor.classes)}
    write_detections(context.output("detections"), moments, {**about, **size})


# What a group of recordings gave, on disk until all are through


def _part(context: Context, key: str) -> Path:
    return context.folder / "parts" / f"{key}.npz"


def _write_part(path: Path, judged: Sequence[Judged]) -> None:
    path.parent.mkdir(exist_ok=True)
    none = [np.zeros(0, PSEUDO_DTYPE)]
    np.savez(
        path,
        recording=np.array([each.found.recording for each in judged], dtype=np.str_),
        t_us=np.array([each.found.t_us for each in judged], np.int64),
        histogram=np.array([each.found.histogram for each in judged], np.int64),
        found=np.concatenate(none + [each.found.boxes for each in judged]),
        truth=np.concatenate(none + [each.truth for each in judged]),
        n_found=np.array([len(each.found.boxes) for each in judged], np.int64),
        n_truth=np.array([len(each.truth) for each in judged], np.int64),
    )


def _read_part(path: Path) -> list[Judged]:
    with np.load(path, allow_pickle=False) as file:
        part = {name: file[name] for name in file.files}
    found = np.split(part["found"], np.cumsum(part["n_found"])[:-1])
    truth = np.split(part["truth"], np.cumsum(part["n_truth"])[:-1])
    rows = zip(part["recording"], part["t_us"], part["histogram"], found, truth, strict=False)
    return [
        Judged(Moment(str(name), int(t_us), boxes, int(histogram)), true)
        for name, t_us, histogram, boxes, true in rows
    ]
