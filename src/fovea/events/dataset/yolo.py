"""Boxes as YOLO's tools write them: a text file a picture, a line a box.

A line is `class centre_x centre_y width height`, as parts of the picture's size, and sometimes a
confidence. The file's name is that of its picture, whose end is the time in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fovea.errors import DataError
from fovea.events.boxes import Boxes, checked_boxes
from fovea.events.dataset.moments import Moment, as_boxes, picture_name, time_in
from fovea.events.labels import IGNORE
from fovea.events.sensor import Sensor

FIELDS = (5, 6)
"""How many numbers a line may have."""


def write_yolo(folder: Path, moments: Iterable[Moment], sensor: Sensor) -> int:
    """Write a text file for each moment; boxes that training ignores are left out.

    Returns:
        How many boxes were left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left_out = 0
    for moment in moments:
        kept = moment.boxes[moment.boxes["class_id"] != IGNORE]
        left_out += len(moment.boxes) - len(kept)
        lines = ""
        for box in kept:
            lines += f"{box['class_id']} {' '.join(_parts(box, sensor))}\n"
        (folder / f"{picture_name(moment.time_us)}.txt").write_text(lines, encoding="utf-8")
    return left_out


def write_yolo_index(path: Path, sensor: Sensor, splits: Iterable[str]) -> None:
    """Write the `data.yaml` that YOLO's tools start from."""
    # JSON is YAML; a name may hold what YAML alone would read as something else.
    lines = ["path: .", *(f"{split}: images/{split}" for split in splits), "names:"]
    lines += [f"  {number}: {json.dumps(name)}" for number, name in enumerate(sensor.classes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_yolo(folder: Path, sensor: Sensor) -> Boxes:
    """The boxes of a folder of text files, one a moment.

    Raises:
        DataError: there is none, or a line of one is not a box.
    """
    files = [path for path in sorted(folder.glob("*.txt")) if path.stem != "classes"]
    if not files:
        raise DataError(
            f"{folder} holds no text file; YOLO's boxes are one *.txt a picture. Give their folder."
        )
    rows: list[tuple[float, ...]] = []
    for path in files:
        time = time_in(path.name, str(folder))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                rows.append((time, *_box(line, sensor, f"{path} line {number}")))
    return checked_boxes(as_boxes(rows), str(folder))


def _parts(box: Any, sensor: Sensor) -> list[str]:
    """A box as parts of the picture; the confidence only where it is not certain."""
    x, y, w, h = (float(box[name]) for name in ("x", "y", "w", "h"))
    values = [(x + w / 2) / sensor.width, (y + h / 2) / sensor.height]
    values += [w / sensor.width, h / sensor.height]
    if box["class_confidence"] != 1:
        values.append(float(box["class_confidence"]))
    return [f"{value:.9g}" for value in values]


def _box(line: str, sensor: Sensor, where: str) -> tuple[float, ...]:
    """x, y, w, h, class, track and confidence of a line."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    if len(values) not in FIELDS or not values[0].is_integer() or values[0] < 0:
        raise DataError(
            f"{where}: a box is 'class centre_x centre_y width height', five numbers or six with"
            f" the confidence, and the line is '{line.strip()}'. Mend it."
        )
    kind, centre_x, centre_y, w, h = values[:5]
    x, y = (centre_x - w / 2) * sensor.width, (centre_y - h / 2) * sensor.height
    confidence = values[5] if len(values) == FIELDS[1] else 1.0
    return (x, y, w * sensor.width, h * sensor.height, kind, 0, confidence)
