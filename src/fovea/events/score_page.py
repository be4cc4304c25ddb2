"""The page of `events.evaluate`: numbers, curves, and pictures of what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fovea.events.boxes import PSEUDO_DTYPE
from fovea.events.dataset import Recording
from fovea.events.draw import (
    BLACK,
    Picture,
    Style,
    class_color,
    draw_boxes,
    histogram_picture,
    label_lines,
)
from fovea.events.inference import Judged
from fovea.metrics.detection import DetectionMetric
from fovea.scene import page
from fovea.tuning import charts

PICTURE_PX = 420
SHOWN_FROM = 0.1
"""Objectness times class confidence of boxes in pictures, as in `events.detect`."""
OVERLAPS = (0.5, 0.75)
POINTS = {
    "AP": ("AP", "{:.1f}"), "AP_50": ("AP at 0.5", "{:.1f}"), "AP_75": ("AP at 0.75", "{:.1f}"),
    "AP_S": ("small", "{:.1f}"), "AP_M": ("medium", "{:.1f}"), "AP_L": ("large", "{:.1f}"),
    "AR_1": ("AR, 1 box", "{:.1f}"), "AR_10": ("10", "{:.1f}"), "AR_100": ("100", "{:.1f}"),
}  # fmt: skip


HEADS = {
    "AP": "AP, overlaps 0.5 to 0.95", "AP_50": "AP at 0.5", "AP_75": "AP at 0.75",
    "AR_100": "recall, 100 boxes a moment",
}  # fmt: skip


def score_page(
    metric: DetectionMetric,
    scores: Mapping[str, float],
    figures: Iterator[str],
    *,
    title: str,
    lead: str,
) -> str:
    """The whole page.

    Args:
        metric: has seen every moment.
        scores: what `metric.all()` says.
        figures: of some moments.
        title: of the page.
        lead: a sentence below it.
    """
    rows = {"all classes": _points(scores, "")}
    rows |= {name: _points(scores, f"_{name}") for name in metric.classes}
    drawn = f"True boxes black; found ones from {SHOWN_FROM:g} on."
    note = (
        "In points of 100. Small are boxes of less than 32² px of the network's input, large those"
        " above 96²; a class by itself counts only moments that have it."
    )
    tiles = page.tiles({words: f"{100 * scores[name]:.1f}" for name, words in HEADS.items()})
    return page.page(
        title,
        tiles,
        page.section("Scores", page.table(rows, POINTS), note),
        *(page.section(f"At overlap {iou:g}", _curves(metric, iou)) for iou in OVERLAPS),
        page.section("Moments", page.strip(figures, is_wide=True), drawn),
        lead=lead,
    )


def figures(judged: Sequence[Judged], recordings: Sequence[Recording], count: int) -> Iterator[str]:
    """Pictures of moments with truth, evenly spread over all of them."""
    folders = {recording.name: recording for recording in recordings}
    places = np.linspace(0, len(judged) - 1, min(count, len(judged))).round().astype(int)
    for place in np.unique(places).tolist():
        each = judged[place]
        picture = _picture(each, folders[each.found.recording])
        caption = f"{each.found.recording}, {each.found.t_us / 1e6:.2f} s"
        yield page.figure(picture, caption, width_px=PICTURE_PX)


def _points(scores: Mapping[str, float], suffix: str) -> dict[str, Any]:
    """Scores in points; COCO says -1 where there is no such box."""
    named = {name: scores.get(f"{name}{suffix}", -1.0) for name in POINTS}
    return {name: 100 * value for name, value in named.items() if value >= 0}


def _curves(metric: DetectionMetric, iou: float) -> str:
    recalls = np.linspace(0, 100, 101).tolist()
    found = metric.curves(iou)
    lines = [
        (f"s{number % 8}", name, list(zip(recalls, (100 * found[name]).tolist(), strict=True)))
        for number, name in enumerate(metric.classes)
        if name in found
    ]
    svg = charts.curves(lines, x_name="recall x 100", y_name="precision x 100")
    return page.legend((kind, name) for kind, name, _ in lines) + svg


def _picture(judged: Judged, recording: Recording) -> Picture:
    """The events of a moment, its true boxes, and those that were found."""
    sensor, at = recording.sensor, judged.found.histogram
    counts = recording.read(at, at + 1)[0]
    style = Style.fitting(sensor.network_height, sensor.network_width)
    picture = histogram_picture(counts, factor=style.factor)
    found = judged.found.boxes
    found = found[found["objectness"] * found["class_confidence"] >= SHOWN_FROM]
    truth = np.zeros(len(judged.truth), PSEUDO_DTYPE)
    for name in ("x", "y", "w", "h", "class_id"):
        truth[name] = judged.truth[name]
    draw_boxes(picture, truth, [[] for _ in truth], [BLACK] * len(truth), style)
    words = label_lines(found, sensor.classes, wording="short")
    draw_boxes(picture, found, words, [class_color(int(n)) for n in found["class_id"]], style)
    return picture
