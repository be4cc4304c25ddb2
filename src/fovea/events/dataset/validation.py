"""What may be wrong with a data set, looked for without stopping at the first find.

What makes a recording unreadable is said by the readers themselves; here it is caught and noted,
and the parts that can be read are held against each other. An error makes results wrong or stops
a training; a warning is worth a look.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from fovea.errors import BackendError, DataError
from fovea.events.boxes import WIDEST, Boxes
from fovea.events.dataset.hdf5 import histogram_storage
from fovea.events.dataset.layout import BLOSC, IN_PROGRESS, SPLITS, STORED_OPTIONS, Split
from fovea.events.dataset.objframes import APART_US, Times
from fovea.events.dataset.reader import EventSet, Recording
from fovea.events.labels import IGNORE
from fovea.events.sensor import FILE_NAME, Sensor

T = TypeVar("T")
ROUNDING_PX = 1e-3
"""How far a box may leave the frame by the rounding of float32."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    level: Literal["error", "warning"]
    file: str
    """Relative to the data set."""
    message: str
    index: int | None = None
    """Of the row, entry or histogram in it, where one is meant."""


@dataclass
class Findings:
    """The problems of a data set, as they are found."""

    root: Path
    problems: list[Problem] = field(default_factory=list[Problem])

    def error(self, file: Path, message: str, index: int | None = None) -> None:
        """Note what makes results wrong or stops a training."""
        self.problems.append(Problem("error", self._name(file), message, index))

    def warning(self, file: Path, message: str, index: int | None = None) -> None:
        """Note what is worth a look."""
        self.problems.append(Problem("warning", self._name(file), message, index))

    def tried(self, file: Path, read: Callable[[], T]) -> T | None:
        """What `read` gives, or None with its error noted."""
        try:
            return read()
        except (DataError, BackendError) as error:
            self.error(file, str(error).removeprefix(f"{file} ").removeprefix(f"{file}: "))
            return None

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self.root)) if file.is_relative_to(self.root) else str(file)


# The data set as a whole


def recordings_of(found: EventSet, findings: Findings) -> dict[Split, list[Recording]]:
    """The recordings of each split, and what is wrong with how they lie there."""
    splits: dict[Split, list[Recording]] = {}
    for split in SPLITS:
        folder = found.root / split
        if folder.is_symlink() and not folder.exists():
            findings.error(folder, f"is a link to {folder.readlink()}, where nothing is.")
        elif not folder.is_dir():
            findings.warning(folder, "is missing; the data set has no such split.")
        else:
            splits[split] = findings.tried(folder, lambda split=split: found.split(split)) or []
            _check_names(folder, findings)
    _check_sensor(found, findings)
    _check_overlap(splits, findings)
    return splits


def _check_names(folder: Path, findings: Findings) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.exists():
            findings.error(path, f"is a link to {path.readlink()}, where nothing is.")
        elif path.name.startswith(".draft-"):
            findings.warning(path, "is a recording left unfinished; remove it.")
        elif not path.is_dir():
            findings.warning(path, "is no recording, which would be a folder; remove it.")


def _check_sensor(found: EventSet, findings: Findings) -> None:
    path = found.root / FILE_NAME
    if path.is_file() and (noted := findings.tried(path, lambda: Sensor.of(found.root))):
        ours, theirs = (
            (one.height, one.width, one.halved, one.classes) for one in (found.sensor, noted)
        )
        if ours != theirs:
            findings.error(
                path,
                f"says {noted.name}: {noted.height} x {noted.width}, halved {noted.halved},"
                f" {', '.join(noted.classes)}; it is looked at as {found.sensor.name}:"
                f" {found.sensor.height} x {found.sensor.width}, halved {found.sensor.halved},"
                f" {', '.join(found.sensor.classes)}. Leave out sensor=.",
            )


def _check_overlap(splits: dict[Split, list[Recording]], findings: Findings) -> None:
    """Find recordings that two splits share, by name, by file, or by the time in their names."""
    seen: dict[object, tuple[Split, Recording]] = {}
    spans: dict[str, list[tuple[int, int, Split, Recording]]] = {}
    for split, recordings in splits.items():
        for recording in recordings:
            for key in (recording.name, recording.histogram_file.resolve()):
                other, first = seen.setdefault(key, (split, recording))
                if other != split:
                    findings.error(
                        recording.folder,
                        f"is also in the split '{other}', as {first.name}; scores on it mean"
                        " nothing.",
                    )
                    break
            if span := re.fullmatch(r"(.+)_(\d{6,})_(\d{6,})", recording.name):
                spans.setdefault(span[1], []).append((int(span[2]), int(span[3]), split, recording))
    for entries in spans.values():
        entries.sort(key=lambda entry: entry[:2])
        for (_, end, split, before), (start, _, other, after) in itertools.pairwise(entries):
            if start < end and split != other and before.name != after.name:
                findings.error(
                    after.folder,
                    f"overlaps {split}/{before.name} in time by {(end - start) / 1e6:.1f} s, by"
                    " what their names say; scores on it mean nothing.",
                )


# One recording


def check_recording(recording: Recording, findings: Findings, *, unpack: int) -> None:
    """Look through one recording.

    Args:
        recording: any.
        findings: where problems are noted.
        unpack: how many histograms are unpacked; 0 for all.
    """
    for path in sorted(recording.folder.rglob(f"*{IN_PROGRESS}*")):
        findings.error(path, "was never finished; preprocess this recording again.")
    layout = recording.layout
    boxes = findings.tried(layout.labels, lambda: recording.labels)
    count = findings.tried(recording.histogram_file, lambda: recording.n_histograms)
    if boxes is not None:
        _check_boxes(recording, boxes, findings)
        _check_times(recording, count, findings)
    if count is not None:
        _check_storage(recording, findings)
        _check_unpacked(recording, count, unpack, findings)


def _check_boxes(recording: Recording, boxes: Boxes, findings: Findings) -> None:
    """Classes, places and scores."""
    sensor, path = recording.sensor, recording.layout.labels
    names = boxes.dtype.names or ()
    is_pseudo = "objectness" in names
    ids = boxes["class_id"].astype(np.int64)
    wrong = (ids >= len(sensor.classes)) & ~(is_pseudo & (ids == IGNORE))
    known = ", ".join(f"{number} {name}" for number, name in enumerate(sensor.classes))
    _all(findings.error, path, wrong, lambda row: f"is of class {ids[row]}; there are {known}.")
    x, y, w, h = (boxes[name].astype(np.float64) for name in ("x", "y", "w", "h"))
    corners = np.stack([x, y, x + w, y + h], axis=1)

    def at(row: int) -> str:
        return f"spans {np.round(corners[row], 2).tolist()} (left, top, right, bottom)"

    flat = (w <= 0) | (h <= 0)
    _all(findings.error, path, flat, lambda row: f"{at(row)} and is empty.")
    most_x, most_y = sensor.width - 1, sensor.height - 1
    gone = (x >= most_x) | (y >= most_y) | (x + w <= 0) | (y + h <= 0)
    size = f"the frame of {sensor.height} x {sensor.width}"
    _all(findings.error, path, gone & ~flat, lambda row: f"{at(row)}, outside {size}.")
    leaves = (np.minimum(x, y) < -ROUNDING_PX) | (x + w > most_x + ROUNDING_PX)
    leaves |= y + h > most_y + ROUNDING_PX
    _all(findings.warning, path, leaves & ~gone & ~flat, lambda row: f"{at(row)}, leaves {size}.")
    part, whole = WIDEST
    if recording.folder.parent.name == "train":
        wide = w > part * sensor.width // whole
        _all(findings.warning, path, wide, lambda row: f"{at(row)}, nearly the whole width.")
    for name in ("class_confidence", "objectness"):
        if name in names:
            beyond = ~((boxes[name] >= 0) & (boxes[name] <= 1))
            _all(
                findings.error, path, beyond,
                lambda row, name=name: f"has a {name} of {boxes[name][row]}, not from 0 to 1.",
            )  # fmt: skip


def _check_times(recording: Recording, count: int | None, findings: Findings) -> None:
    """Labels, objframes and histograms must be of the same moments."""
    layout = recording.layout
    places = findings.tried(layout.objframe_to_histogram, lambda: recording.objframe_to_histogram)
    ends = findings.tried(layout.times, lambda: recording.times_us)
    labelled = findings.tried(layout.label_times, lambda: recording.label_times_us)
    is_link = recording.histogram_file.is_symlink()
    for path in (layout.times, layout.label_times):
        if not path.exists() and not is_link:
            findings.error(path, "is missing; preprocess this recording again.")
    if places is not None and count is not None:
        taken = places
        beyond = (taken < 0) | (taken >= count)
        _all(
            findings.error, layout.objframe_to_histogram, beyond,
            lambda row: f"is histogram {taken[row]}, and there are {count}.", noun="objframe",
        )  # fmt: skip
        if beyond.any():
            places = None
    for path, times in ((layout.times, ends), (layout.label_times, labelled)):
        if times is not None:
            falls = np.diff(times, prepend=-1) <= 0
            _all(
                findings.error, path, falls,
                lambda row, times=times: f"is {times[row]} µs, which is not after the one before.",
                noun="time",
            )  # fmt: skip
    if ends is not None and count is not None and len(ends) != count:
        findings.error(layout.times, f"has {len(ends)} times, and there are {count} histograms.")
        ends = None
    if labelled is not None:
        _check_labelled(recording, labelled, places, ends, findings)


def _check_labelled(
    recording: Recording,
    labelled: Times,
    places: Times | None,
    ends: Times | None,
    findings: Findings,
) -> None:
    """The times of objframes against their boxes, each other, and their histograms."""
    layout = recording.layout
    _check_rows(recording, labelled, findings)
    close = np.diff(labelled, prepend=labelled[:1] - 2 * APART_US) <= APART_US
    _all(
        findings.warning, layout.label_times, close & ~(np.diff(labelled, prepend=-1) <= 0),
        lambda row: f"is {(labelled[row] - labelled[row - 1]) / 1000:.1f} ms after the one before;"
        f" published sets keep more than {APART_US // 1000} ms.", noun="objframe",
    )  # fmt: skip
    if places is not None and ends is not None:
        expected = ends[places]
        _all(
            findings.error, layout.label_times, labelled != expected,
            lambda row: f"is at {labelled[row]} µs, and its histogram ends at {expected[row]} µs.",
            noun="objframe",
        )  # fmt: skip


def _check_rows(recording: Recording, labelled: Times, findings: Findings) -> None:
    boxes = recording.labels
    first = recording.objframe_to_label
    owner = np.searchsorted(first, np.arange(len(boxes)), side="right") - 1
    times = boxes["t"].astype(np.int64)
    off = (times != labelled[owner]) & (times != 0)
    _all(
        findings.error, recording.layout.labels, off,
        lambda row: f"is of {times[row]} µs, and its objframe {owner[row]} is at"
        f" {labelled[owner[row]]} µs.",
    )  # fmt: skip


def _check_storage(recording: Recording, findings: Findings) -> None:
    stored = histogram_storage(recording.histogram_file)
    path = recording.histogram_file
    if stored.chunk != (1, *stored.shape[1:]):
        findings.warning(
            path, f"is stored in chunks of {stored.chunk}; one histogram a chunk reads fastest."
        )
    options = stored.filters.get(BLOSC, ())
    if (options[:3], options[4:]) != (STORED_OPTIONS[:3], STORED_OPTIONS[4:]):
        findings.warning(
            path,
            f"is packed with {stored.filters or 'nothing'}; published sets have filter {BLOSC}.",
        )


def _check_unpacked(recording: Recording, count: int, unpack: int, findings: Findings) -> None:
    wanted = min(unpack, count) if unpack else count
    places = np.unique(np.linspace(0, count - 1, wanted).round().astype(int)).tolist()
    path, empty = recording.histogram_file, 0
    for place in places:
        counts = findings.tried(path, lambda place=place: recording.read(place, place + 1))
        if counts is None:
            return
        empty += not counts.any()
    if empty == len(places):
        findings.warning(path, f"holds no event in any of the {empty} histograms unpacked.")


def _all(
    note: Callable[[Path, str, int | None], None],
    path: Path,
    wrong: Any,
    sentence: Callable[[int], str],
    *,
    noun: str = "box",
) -> None:
    """Note the first of the rows that are wrong, and how many more there are."""
    rows: Iterable[int] = np.flatnonzero(wrong).tolist()
    for row in list(rows)[:1]:
        more = int(np.sum(wrong)) - 1
        tail = f" So it is with {more} more." if more else ""
        note(path, f"{noun} {row} {sentence(row)}{tail}", row)
