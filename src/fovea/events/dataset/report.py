"""What a check found, as JSON and as one page that works from a disk."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fovea.events.colors import color, legend
from fovea.events.dataset.layout import Split
from fovea.events.dataset.reader import EventSet, Recording
from fovea.events.dataset.validation import Findings, Problem
from fovea.events.labels import IGNORE
from fovea.events.sensor import Sensor
from fovea.scene import page

MOST_POINTS = 2_000
"""Boxes in the plot of their sizes."""
BAR_PX = 220
PICTURE_PX = 480
Pictures = Sequence[tuple[str, UInt8[np.ndarray, "h w 3"]]]
Counts = Mapping[Split, "SplitCounts"]


@dataclass
class SplitCounts:
    """What a split holds, as far as it can be read."""

    recordings: int = 0
    histograms: int = 0
    frames: int = 0
    boxes: int = 0
    by_class: Counter[int] = field(default_factory=Counter[int])
    sizes: list[np.ndarray[Any, np.dtype[np.float32]]] = field(
        default_factory=list[np.ndarray[Any, np.dtype[np.float32]]]
    )
    """[class_id, w, h] of every box, an array a recording."""

    def add(self, recording: Recording) -> None:
        """Count one recording more; what cannot be read was noted before, and counts as none."""
        self.recordings += 1
        quiet = Findings(recording.folder)
        self.histograms += quiet.tried(recording.folder, lambda: recording.n_histograms) or 0
        boxes = quiet.tried(recording.folder, lambda: recording.labels)
        if boxes is None:
            return
        self.frames += len(recording)
        self.boxes += len(boxes)
        self.by_class.update(boxes["class_id"].tolist())
        columns = [boxes[name].astype(np.float32) for name in ("class_id", "w", "h")]
        self.sizes.append(np.stack(columns, axis=1))


def report_document(found: EventSet, problems: Sequence[Problem], counts: Counts) -> dict[str, Any]:
    """Everything as JSON, the errors before the warnings."""
    ordered = sorted(problems, key=lambda problem: problem.level)
    return {
        "errors": sum(problem.level == "error" for problem in problems),
        "warnings": sum(problem.level == "warning" for problem in problems),
        "problems": [dataclasses.asdict(problem) for problem in ordered],
        "sensor": dataclasses.asdict(found.sensor),
        "splits": {
            split: {
                "recordings": one.recordings,
                "histograms": one.histograms,
                "frames": one.frames,
                "boxes": one.boxes,
                "classes": {
                    _name(found.sensor, number): total
                    for number, total in sorted(one.by_class.items())
                },
            }
            for split, one in counts.items()
        },
    }


def report_page(
    found: EventSet, problems: Sequence[Problem], counts: Counts, pictures: Pictures
) -> str:
    """Everything as a page."""
    sensor = found.sensor
    errors = sum(problem.level == "error" for problem in problems)
    verdict = f"{errors} errors" if errors else "no errors"
    note = (
        f"{sensor.name}, {sensor.height} x {sensor.width} px,"
        f" {'halved' if sensor.halved else 'full size'}; {', '.join(sensor.classes)}"
    )
    ordered = sorted(problems, key=lambda problem: problem.level)
    body = [
        page.tiles(_headline(counts, errors, len(problems) - errors)),
        page.section("What is wrong", _problem_table(ordered)),
        page.section("Splits", _split_table(sensor, counts)),
        page.section(
            "Box sizes",
            _size_plot(sensor, counts),
            "width and height in px of the sensor, on logarithmic axes; a dot a box",
        ),
    ]
    if pictures:
        figures = [
            page.figure(picture, caption, width_px=PICTURE_PX) for caption, picture in pictures
        ]
        inner = legend(sensor.classes) + page.strip(figures)
        body.append(page.section("Moments", inner, "white brighter, black darker, in 50 ms"))
    return page.page(f"{found.root.name}: {verdict}", *body, lead=note)


def _name(sensor: Sensor, class_id: int) -> str:
    if class_id == IGNORE:
        return "ignored"
    return sensor.classes[class_id] if class_id < len(sensor.classes) else f"class {class_id}"


def _headline(counts: Counts, errors: int, warnings: int) -> dict[str, str]:
    total = {
        name: sum(getattr(one, name) for one in counts.values())
        for name in ("recordings", "histograms", "frames", "boxes")
    }
    said = {"errors": errors, "warnings": warnings} | total
    return {name.replace("frames", "labelled frames"): f"{value:,}" for name, value in said.items()}


def _problem_table(problems: Sequence[Problem]) -> str:
    if not problems:
        return "<p>Nothing was found.</p>"
    rows = [
        (f'<span class="{one.level}">{one.level}</span>', escape(one.file), escape(one.message))
        for one in problems
    ]
    return page.listing(("", "where", "what"), rows, is_text=True)


def _split_table(sensor: Sensor, counts: Counts) -> str:
    """A row a split, with a bar for each class."""
    ids = sorted({number for one in counts.values() for number in one.by_class})
    most = max((total for one in counts.values() for total in one.by_class.values()), default=1)
    columns = ["", "recordings", "histograms", "labelled frames", "boxes"]
    rows: list[list[str]] = []
    for split, one in counts.items():
        numbers = (one.recordings, one.histograms, one.frames, one.boxes)
        cells = [split, *(f"{number:,}" for number in numbers)]
        for number in ids:
            total = one.by_class[number]
            width = round(BAR_PX * total / most)
            cells.append(
                f'<span class="bar" style="width:{width}px;background:{color(number)}"></span>'
                f" {total:,}"
            )
        rows.append(cells)
    return page.listing([*columns, *(_name(sensor, number) for number in ids)], rows)


def _size_plot(sensor: Sensor, counts: Counts) -> str:
    """Dots of width and height as SVG, at most `MOST_POINTS`, evenly taken."""
    arrays = [sizes for one in counts.values() for sizes in one.sizes if len(sizes)]
    if not arrays:
        return ""
    boxes = np.concatenate(arrays)
    boxes = boxes[(boxes[:, 1:] > 0).all(axis=1) & np.isfinite(boxes).all(axis=1)]
    boxes = boxes[:: max(1, math.ceil(len(boxes) / MOST_POINTS))]
    side, edge = 380, 34
    top = math.log2(max(sensor.height, sensor.width))
    scale = (side - 2 * edge) / top

    def place(value: float) -> float:
        return edge + scale * min(max(math.log2(value), 0.0), top)

    lines = ""
    for power in range(0, int(top) + 1, 2):
        at = edge + scale * power
        lines += (
            f'<line class="axis" x1="{at:.1f}" y1="{edge}" x2="{at:.1f}" y2="{side - edge}"/>'
            f'<line class="axis" x1="{edge}" y1="{side - at:.1f}" x2="{side - edge}"'
            f' y2="{side - at:.1f}"/>'
            f'<text x="{at:.1f}" y="{side - edge + 15}" text-anchor="middle">{2**power}</text>'
            f'<text x="{edge - 6}" y="{side - at + 4:.1f}" text-anchor="end">{2**power}</text>'
        )
    dots = "".join(
        f'<circle cx="{place(w):.1f}" cy="{side - place(h):.1f}" r="1.8"'
        f' fill="{color(int(number))}" fill-opacity="0.45"/>'
        for number, w, h in boxes.tolist()
    )
    names = "".join(
        f'<text x="{side - edge + 12}" y="{edge + 16 * row + 8}" style="fill:{color(row)}">'
        f"{escape(name)}</text>"
        for row, name in enumerate(sensor.classes)
    )
    return f'<svg viewBox="0 0 {side + 90} {side}" width="{side + 90}">{lines}{dots}{names}</svg>'
