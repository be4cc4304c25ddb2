"""Boxes that a detector found, moment by moment, in memory and as a JSON file.

Notation: boxes are rows of `PSEUDO_DTYPE`: `t` in microseconds, the top-left corner and the size in
pixels, and the two probabilities whose product is how sure the detector is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.events.boxes import PSEUDO_DTYPE, Boxes

COLUMNS = ("x", "y", "w", "h", "class_id", "class_confidence", "objectness")
"""What a box of the JSON file holds, in order."""
DECIMALS = (3, 3, 3, 3, 0, 6, 6)


@dataclass(frozen=True)
class Moment:
    """What was found at one time of one recording."""

    recording: str
    t_us: int
    boxes: Boxes
    histogram: int = -1
    """Its number in the data set; -1 where there is none."""


def from_predictions(predictions: Float32[Tensor, "n 7"], t_us: int) -> Boxes:
    """Boxes from rows [x1, y1, x2, y2, objectness, class confidence, class], not cut to a frame."""
    rows = predictions.detach().cpu().float().numpy()
    boxes = np.zeros(len(rows), PSEUDO_DTYPE)
    boxes["t"] = t_us
    boxes["x"], boxes["y"] = rows[:, 0], rows[:, 1]
    boxes["w"], boxes["h"] = rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1]
    boxes["objectness"], boxes["class_confidence"] = rows[:, 4], rows[:, 5]
    boxes["class_id"] = rows[:, 6].astype(np.uint32)
    return boxes


def sureness(boxes: Boxes) -> Float32[np.ndarray, " n"]:
    """Objectness times class confidence: what thresholds are held against."""
    return boxes["objectness"] * boxes["class_confidence"]


def scaled(boxes: Boxes, factor: float, *, left: float = 0.0, top: float = 0.0) -> Boxes:
    """The boxes in pixels of another size: `x factor + left`, `y factor + top`."""
    other = boxes.copy()
    for side in ("x", "y", "w", "h"):
        other[side] = boxes[side] * np.float32(factor)
    other["x"] += np.float32(left)
    other["y"] += np.float32(top)
    return other


class MomentWriter:
    """One JSON document, a line for each moment, written as moments come.

    with MomentWriter(path, {"classes": [...]}) as writer:
        writer.add(moment)

    Args:
        path: a `.json` file.
        about: what else the document says: classes, size, and so on.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.boxes = 0
        self._is_empty = True
        self._file = path.open("w", encoding="utf-8")
        head = json.dumps({**about, "columns": list(COLUMNS)}, indent=1)
        self._file.write(head.removesuffix("\n}") + ',\n "moments": [')

    def __enter__(self) -> Self:
        return self

    def add(self, moment: Moment) -> None:
        """Write the next one; it can be read from the file at once."""
        self._file.write("\n  " if self._is_empty else ",\n  ")
        self._file.write(json.dumps(_plain(moment)))
        self._file.flush()
        self._is_empty = False
        self.boxes += len(moment.boxes)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._file.write("\n ]\n}\n")
        self._file.close()


def write_detections(path: Path, moments: Iterable[Moment], about: Mapping[str, Any]) -> int:
    """Write moments as one document; returns how many boxes there are."""
    with MomentWriter(path, about) as writer:
        for moment in moments:
            writer.add(moment)
    return writer.boxes


def _plain(moment: Moment) -> dict[str, Any]:
    columns = [
        [round(value, digits) for value in moment.boxes[name].tolist()]
        for name, digits in zip(COLUMNS, DECIMALS, strict=True)
    ]
    about: dict[str, Any] = {"t_us": moment.t_us}
    if moment.recording:
        about = {"recording": moment.recording, **about}
    if moment.histogram >= 0:
        about["histogram"] = moment.histogram
    return about | {"boxes": [list(row) for row in zip(*columns, strict=True)]}


def read_detections(path: Path) -> tuple[list[Moment], dict[str, Any]]:
    """Read what `write_detections` wrote.

    Returns:
        The moments, and what else the document says.

    Raises:
        DataError: it is no such file.
    """
    try:
        document = mapping(json.loads(path.read_text(encoding="utf-8")))
        columns = list(document["columns"])
        moments = [_moment(mapping(each), columns) for each in document.pop("moments")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no boxes of events.evaluate or events.detect:"
            f" {type(error).__name__} {error}. Give their .json."
        ) from error
    return moments, dict(document)


def _moment(found: Mapping[str, Any], columns: Sequence[str]) -> Moment:
    rows: Any = found["boxes"]
    boxes = np.zeros(len(rows), PSEUDO_DTYPE)
    boxes["t"] = found["t_us"]
    for name, values in zip(columns, zip(*rows, strict=True), strict=False):
        boxes[name] = values
    return Moment(
        str(found.get("recording", "")), int(found["t_us"]), boxes, int(found.get("histogram", -1))
    )


def by_recording(moments: Iterable[Moment]) -> Iterator[tuple[str, list[Moment]]]:
    """The moments of each recording, recordings in the order of their names."""
    found: dict[str, list[Moment]] = {}
    for moment in moments:
        found.setdefault(moment.recording, []).append(moment)
    yield from sorted(found.items())
