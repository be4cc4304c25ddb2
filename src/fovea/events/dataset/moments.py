"""Boxes by moment, as annotation programs keep them: a picture a moment, boxes in each.

The time of a moment is written in the name of its picture, in microseconds: `000000250000.png`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fovea.errors import DataError
from fovea.events.boxes import BOX_DTYPE, Boxes
from fovea.events.dataset.reader import Recording
from fovea.events.labels import IGNORE

IGNORED = "ignore"
"""The name of the class of boxes that training passes over."""


@dataclass(frozen=True)
class Moment:
    """A labelled moment of a recording."""

    time_us: int
    histogram: int
    """The histogram that ends then."""
    boxes: Boxes


def moments(recording: Recording) -> list[Moment]:
    """All labelled moments of a recording, in order.

    Raises:
        DataError: nothing says at what times they are.
    """
    times = recording.label_times_us
    if times is None:
        times = recording.clock_us[recording.objframe_to_histogram]
    first = [*recording.objframe_to_label.tolist(), len(recording.labels)]
    return [
        Moment(int(time), int(histogram), recording.labels[first[number] : first[number + 1]])
        for number, (time, histogram) in enumerate(
            zip(times, recording.objframe_to_histogram, strict=True)
        )
    ]


def picture_name(time_us: int) -> str:
    """The name of a moment's picture, without ending."""
    return f"{time_us:012d}"


def time_in(name: str, where: str) -> int:
    """The time in the name of a picture: the digits its stem ends in.

    Raises:
        DataError: there are none.
    """
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if digits := re.search(r"(\d+)$", stem):
        return int(digits[1])
    raise DataError(
        f"{where}: '{name}' does not say its time; the name should end in whole microseconds, as"
        " 000000250000.png. Rename it, or give COCO images a 'timestamp_us'."
    )


def class_of(name: str, classes: Iterable[str], where: str) -> int:
    """The id of a class by its name.

    Raises:
        DataError: there is no class of that name.
    """
    known = [known.lower() for known in classes]
    if name.lower() == IGNORED:
        return IGNORE
    if name.lower() not in known:
        raise DataError(
            f"{where}: '{name}' is not one of the classes {', '.join(known)}. Rename it, or name"
            " the classes of your sensor."
        )
    return known.index(name.lower())


def as_boxes(rows: Iterable[tuple[float, ...]]) -> Boxes:
    """Rows of (t, x, y, w, h, class_id, track_id, class_confidence), sorted by time."""
    boxes = np.array([tuple(row) for row in rows], BOX_DTYPE)
    return boxes[np.argsort(boxes["t"], kind="stable")]
