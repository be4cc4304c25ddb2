"""Boxes as they lie on disk: structured rows, one a box, and the filters they pass.

Notation: `t` microseconds, `x` and `y` the top-left corner, `w` and `h` the size, in pixels of the
sensor. Fields are found by name, so any order and any further fields will do; the names of older
files, `ts` and `confidence`, are read as `t` and `class_confidence`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fovea.errors import DataError
from fovea.events.sensor import Sensor

Boxes = np.ndarray[Any, np.dtype[np.void]]
"""Structured rows, one a box."""


def _dtype(fields: dict[str, str], itemsize: int) -> np.dtype[np.void]:
    offsets = (0, 8, 12, 16, 20, 24, 28, 32)
    return np.dtype(
        {
            "names": list(fields),
            "formats": list(fields.values()),
            "offsets": offsets,
            "itemsize": itemsize,
        }
    )


_CORNERS = {"t": "<i8", "x": "<f4", "y": "<f4", "w": "<f4", "h": "<f4", "class_id": "<u4"}
BOX_DTYPE = _dtype(_CORNERS | {"track_id": "<u4", "class_confidence": "<f4"}, 40)
"""Rows of a `*_bbox.npy`."""
PSEUDO_DTYPE = _dtype(_CORNERS | {"class_confidence": "<f4", "objectness": "<f4"}, 40)
"""Rows of pseudo labels: no track, and the two scores apart."""
OLDER_NAMES = {"ts": "t", "confidence": "class_confidence"}
NEEDED = ("t", "x", "y", "w", "h", "class_id")
WIDEST = (9, 10)
"""A training box may be that part of the sensor wide, at most; wider ones are mistakes."""


def read_boxes(path: Path) -> Boxes:
    """Read a `*_bbox.npy`.

    Rows keep their dtype where it has today's field names, and get `BOX_DTYPE` otherwise.

    Raises:
        DataError: it is no such file, lacks a field, holds a value that is no number, or its times
            fall.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as boxes: {error}. Copy it again.") from error
    return checked_boxes(found, str(path))


def checked_boxes(found: Any, where: str, *, in_order: bool = True) -> Boxes:
    """The same rows under today's field names, if they are boxes.

    Args:
        found: an array read from somewhere.
        where: the name it has in an error.
        in_order: whether times may not fall; pseudo labels have the time 0 among others.

    Raises:
        DataError: as `read_boxes`.
    """
    names: tuple[str, ...] = getattr(getattr(found, "dtype", None), "names", None) or ()
    today = {OLDER_NAMES.get(name, name): name for name in names}
    if missing := [name for name in NEEDED if name not in today]:
        raise DataError(
            f"{where} holds no boxes: a structured array with {', '.join(NEEDED)} is wanted, and"
            f" {', '.join(missing)} is missing. Found: {', '.join(names) or 'no fields'}."
        )
    rows = found if tuple(today) == names and "class_confidence" in today else _today(found, today)
    _require_numbers(rows, where)
    if in_order:
        _require_order(rows, where)
    return rows


def _today(found: Boxes, today: dict[str, str]) -> Boxes:
    """The rows as `BOX_DTYPE`; a box without confidence is certain."""
    rows = np.zeros(len(found), BOX_DTYPE)
    rows["class_confidence"] = 1
    for name in BOX_DTYPE.names or ():
        if name in today:
            rows[name] = found[today[name]]
    return rows


def _require_numbers(rows: Boxes, where: str) -> None:
    corners = np.stack([rows[name].astype(np.float64) for name in ("x", "y", "w", "h")], axis=1)
    finite = np.isfinite(corners).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"{where}: box {row} is not made of numbers: x, y, w, h = {corners[row].tolist()}."
            " Remove it."
        )


def _require_order(rows: Boxes, where: str) -> None:
    falls = np.flatnonzero(np.diff(rows["t"].astype(np.int64)) < 0)
    if len(falls):
        row = int(falls[0]) + 1
        raise DataError(
            f"{where}: the times of boxes may not fall, and box {row} is of {rows['t'][row]} µs"
            f" after {rows['t'][row - 1]} µs. Sort the rows by t."
        )


def require_known_classes(boxes: Boxes, sensor: Sensor, where: str) -> None:
    """Refuse a class id that the sensor has no name for.

    Raises:
        DataError: with the first such box.
    """
    wrong = np.flatnonzero(boxes["class_id"] >= len(sensor.classes))
    if len(wrong):
        row = int(wrong[0])
        names = ", ".join(f"{number} {name}" for number, name in enumerate(sensor.classes))
        raise DataError(
            f"{where}: box {row} is of class {boxes['class_id'][row]}, one of {len(wrong)} such"
            f" boxes, and the classes of {sensor.name} are {names}. Mend the labels, or name the"
            " classes of your sensor."
        )


# The filters of the published data sets


def filtered(boxes: Boxes, sensor: Sensor, *, is_train: bool) -> Boxes:
    """The boxes that a data set of this sensor keeps.

    In this order: unwanted classes go, boxes are cut to the frame, small ones go, and from the
    training split those nearly as wide as the frame.
    """
    rules = sensor.rules
    if rules.most_classes is not None:
        boxes = boxes[boxes["class_id"] < rules.most_classes]
    boxes = cropped(boxes, height=sensor.height, width=sensor.width)
    boxes = large_enough(boxes, diagonal_px=rules.min_diagonal_px, side_px=rules.min_side_px)
    if is_train:
        part, whole = WIDEST
        boxes = boxes[boxes["w"] <= part * sensor.width // whole]
    return boxes


def cropped(boxes: Boxes, *, height: int, width: int) -> Boxes:
    """Cut boxes to the frame, corners to 0..width-1 and 0..height-1; those left flat go."""
    boxes = boxes.copy()
    for corner, size, most in (("x", "w", width - 1), ("y", "h", height - 1)):
        low = np.clip(boxes[corner], 0, most)
        high = np.clip(boxes[corner] + boxes[size], 0, most)
        boxes[corner], boxes[size] = low, high - low
    return boxes[(boxes["w"] > 0) & (boxes["h"] > 0)]


def large_enough(boxes: Boxes, *, diagonal_px: float, side_px: float) -> Boxes:
    """The boxes whose diagonal and sides are at least that long."""
    w, h = boxes["w"], boxes["h"]
    keeps = (w**2 + h**2 >= diagonal_px**2) & (w >= side_px) & (h >= side_px)
    return boxes[keeps]
