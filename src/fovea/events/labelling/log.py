"""What became of every box of a pseudo data set, as a table: a line a box, in the order of files.

Columns: recording, frame, x, y, w, h (sensor px), class_id and class as they were before the
filter, class_confidence, objectness, track, length and backward_length (frames that its track
spans), fate (truth, kept, removed, inpainted), reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fovea.errors import DataError
from fovea.events.labelling.filter import Fate, Filtered

COLUMNS: dict[str, Any] = {
    "recording": str, "frame": int, "x": float, "y": float, "w": float, "h": float,
    "class_id": int, "class": str, "class_confidence": float, "objectness": float,
    "track": int, "length": int, "backward_length": int, "fate": str, "reason": str,
}  # fmt: skip


def write_part(path: Path, recording: str, found: Filtered, classes: Sequence[str]) -> None:
    """Write the lines of one recording, without a heading."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number in range(len(found.boxes)):
            _, x, y, w, h, _, confidence, objectness = found.boxes.labels.rows[number].tolist()
            class_id, fate = int(found.class_id[number]), Fate(int(found.fate[number]))
            name = classes[class_id] if class_id < len(classes) else "ignored"
            box = [f"{value:.3f}" for value in (x, y, w, h)]
            scores = [f"{value:.6f}" for value in (confidence, objectness)]
            tracks = [found.track[number], found.length[number], found.backward_length[number]]
            kind = (class_id, name)
            verdict = (fate.word, fate.reason)
            frame = found.boxes.frames[number]
            writer.writerow([recording, frame, *box, *kind, *scores, *tracks, *verdict])


def join_parts(path: Path, parts: Iterable[Path]) -> None:
    """Write the whole table from the lines of each recording."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        for part in parts:
            file.write(part.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Log:
    """The table as columns."""

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def of(self, recording: str) -> Log:
        """The lines of one recording."""
        which = self["recording"] == recording
        return Log({name: values[which] for name, values in self.columns.items()})


def read_log(path: Path) -> Log:
    """Read what `join_parts` wrote.

    Raises:
        DataError: it is another table.
    """
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(file)
        heading = next(reader, [])
        rows = list(reader)
    if heading != list(COLUMNS) or any(len(row) != len(COLUMNS) for row in rows):
        found = ", ".join(heading)[:120] or "none"
        raise DataError(
            f"{path} is no log of events.label: its columns are {found}."
            " Give the log that was made with the labels, or leave it out."
        )
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    try:
        return Log(
            {
                name: np.array(values, dtype=None if kind is str else kind)
                for (name, kind), values in zip(COLUMNS.items(), columns, strict=True)
            }
        )
    except ValueError as error:
        raise DataError(
            f"{path} holds something that is no number: {error}. Label again, or leave it out."
        ) from error
