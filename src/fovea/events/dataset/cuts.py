"""Recordings divided among splits: as a whole by name, or each cut in time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fovea.errors import DataError
from fovea.events.boxes import Boxes
from fovea.events.dataset.layout import SPLITS, Split

LEAD_US = 500_000
"""What is kept before the first box of a recording; evaluation passes over half a second."""


@dataclass(frozen=True)
class Cut:
    """A part of a recording, which becomes a recording of its own."""

    split: Split
    name: str
    start_us: int = 0
    end_us: int | None = None
    """The first time that no longer belongs to it; None for the recording's end."""

    def of_boxes(self, boxes: Boxes) -> Boxes:
        """The boxes of this part, in a time that begins with it."""
        inside = boxes["t"] >= self.start_us
        if self.end_us is not None:
            inside &= boxes["t"] < self.end_us
        part = boxes[inside].copy()
        part["t"] -= self.start_us
        return part


def shares(parts: Mapping[Split, float]) -> dict[Split, float]:
    """The same parts, brought to a sum of 1.

    Raises:
        DataError: nothing goes into any split.
    """
    total = sum(parts.values())
    if total <= 0:
        raise DataError(
            "divide.train, divide.val and divide.test are all 0, so no recording goes into any"
            " split. Make one of them larger."
        )
    return {split: parts[split] / total for split in SPLITS}


def divided_by_name(names: Sequence[str], parts: Mapping[Split, float]) -> list[Cut]:
    """Whole recordings, in the order of their names: first to train, the last to test."""
    ends = np.round(np.cumsum([shares(parts)[split] for split in SPLITS]) * len(names)).astype(int)
    bounds = itertools.pairwise([0, *ends.tolist()])
    return [
        Cut(split, name)
        for split, (first, last) in zip(SPLITS, bounds, strict=True)
        for name in sorted(names)[first:last]
    ]


def divided_in_time(
    name: str, boxes: Boxes, parts: Mapping[Split, float], *, train_seconds: float = 0.0
) -> list[Cut]:
    """One recording from shortly before its first box to its last, cut in time.

    Args:
        name: of the recording; a cut's name has its start and end in µs behind.
        boxes: all of the recording.
        parts: how much of the time goes to each split, in this order.
        train_seconds: about how long recordings for training are; 0 makes one of them.
    """
    if not len(boxes):
        return []
    first, last = int(boxes["t"].min()), int(boxes["t"].max()) + 1
    start = max(0, first - LEAD_US)
    ends = start + np.cumsum([shares(parts)[split] for split in SPLITS]) * (last - start)
    cuts: list[Cut] = []
    for split, end in zip(SPLITS, np.round(ends).astype(int).tolist(), strict=True):
        count = 1
        if split == "train" and train_seconds:
            count = max(1, round((end - start) / (train_seconds * 1e6)))
        bounds = np.linspace(start, end, count + 1).astype(int).tolist()
        cuts += [
            Cut(split, f"{name}_{low:09d}_{high:09d}", low, high)
            for low, high in itertools.pairwise(bounds)
            if high > low
        ]
        start = end
    return cuts
