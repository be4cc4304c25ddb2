"""Data sets as they are written: recording by recording, each whole or not there at all.

A recording is made in a folder whose name begins with a dot, its histograms in a file whose name
ends in `_in_progress`; both get their names when they are finished.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8

from fovea.errors import DataError
from fovea.events.boxes import Boxes, checked_boxes, filtered, require_known_classes
from fovea.events.dataset.hdf5 import require_filter
from fovea.events.dataset.layout import (
    BINS,
    BLOSC,
    BLOSC_OPTIONS,
    HDF5_KEY,
    SPLITS,
    WINDOW_US,
    Layout,
    Split,
)
from fovea.events.dataset.objframes import Cadence, Schedule, schedule
from fovea.events.dataset.reader import EventSet, Recording
from fovea.events.dataset.windows import windows
from fovea.events.sensor import FILE_NAME, Sensor
from fovea.events.stream import EventStream
from fovea.runs.durable import publish, saying_when_full


@runtime_checkable
class Chunked(Protocol):
    """A recording that is read in pieces, such as an open file."""

    def chunks(self) -> Iterator[EventStream]:
        """The events in order."""
        ...


@dataclass(frozen=True)
class Written:
    """What became of a recording."""

    histograms: int = 0
    objframes: int = 0
    boxes: int = 0
    was_there: bool = False
    """It was finished before, and was left as it is."""


class DatasetWriter:
    """Writes recordings of one sensor into a data set, in RVT's layout.

    Args:
        root: the folder of the data set; made where it is missing.
        sensor: noted in the folder.
        cadence: when histograms end, as the published sets have it or 50 ms apart.
        cutoff: the largest count; None is 255.
        exact: whether counts are exact; else they wrap at 256 as in the published sets.

    Raises:
        DataError: the folder holds a data set of another sensor.
    """

    def __init__(
        self,
        root: Path,
        sensor: Sensor,
        *,
        cadence: Cadence = "paper",
        cutoff: int | None = 10,
        exact: bool = False,
    ) -> None:
        require_filter()
        self.root, self.sensor = root, sensor
        self.cadence: Cadence = cadence
        self.cutoff, self.exact = cutoff, exact
        root.mkdir(parents=True, exist_ok=True)
        if not (root / FILE_NAME).is_file():
            sensor.write(root)
        elif (other := Sensor.of(root)) != sensor:
            raise DataError(
                f"{root} is a data set of the sensor {other.name}, {other.height} x {other.width}"
                f" pixels, with {', '.join(other.classes)}; one of {sensor.name},"
                f" {sensor.height} x {sensor.width}, with {', '.join(sensor.classes)}, cannot be"
                " added. Write into another folder."
            )

    def add(
        self,
        split: Split,
        name: str,
        events: Chunked | Iterable[EventStream],
        boxes: Boxes,
        *,
        watch: Callable[[int, int], None] | None = None,
    ) -> Written:
        """Write one recording, unless it is there already or no box of it is left.

        Args:
            split: `train` has one filter more.
            name: of the recording.
            events: the recording from its beginning, in pieces; read once and never held as a
                whole.
            boxes: as in a `*_bbox.npy`, before the filters.
            watch: told the histograms made and wanted.

        Raises:
            DataError: the boxes or the events cannot be used; then nothing is left behind.
        """
        folder = self.root / split / name
        where = f"{split}/{name}"
        boxes = filtered(checked_boxes(boxes, where), self.sensor, is_train=split == "train")
        require_known_classes(boxes, self.sensor, where)
        if folder.is_dir():
            return _already(Recording(folder, self.sensor))
        plan = schedule(boxes["t"], self.sensor.rules, self.cadence)
        boxes = boxes[np.isin(boxes["t"], plan.objframes_us)]
        if not len(boxes):
            return Written()
        try:
            with drafted(folder) as draft:
                self._fill(draft, plan, boxes, events, watch)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        return Written(len(plan.histograms_us), len(plan.objframes_us), len(boxes))

    def _fill(
        self,
        draft: Layout,
        plan: Schedule,
        boxes: Boxes,
        events: Chunked | Iterable[EventStream],
        watch: Callable[[int, int], None] | None,
    ) -> None:
        write_index(
            draft,
            labels=boxes,
            objframe_to_label=np.searchsorted(boxes["t"], plan.objframes_us).astype(np.int64),
            objframe_to_histogram=plan.objframe_to_histogram,
            label_times_us=plan.objframes_us,
            times_us=plan.histograms_us,
        )
        total = len(plan.histograms_us)
        with growing(draft.histograms(is_halved=self.sensor.halved), self._shape) as append:
            for number, counts in enumerate(self._histograms(events, plan.histograms_us)):
                append(counts)
                if watch is not None:
                    watch(number + 1, total)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return 2 * BINS, self.sensor.network_height, self.sensor.network_width

    def _histograms(
        self, events: Chunked | Iterable[EventStream], ends_us: Int64[np.ndarray, " n"]
    ) -> Iterator[UInt8[np.ndarray, "channels h w"]]:
        from fovea.events.representation import halve, stacked_histogram  # compiles kernels

        chunks = events.chunks() if isinstance(events, Chunked) else events
        size: dict[str, Any] = {"height": self.sensor.height, "width": self.sensor.width}
        for window in windows(chunks, ends_us, length_us=WINDOW_US, **size):
            counts = stacked_histogram(window, bins=BINS, cutoff=self.cutoff, exact=self.exact)
            yield halve(counts) if self.sensor.halved else counts


def _already(recording: Recording) -> Written:
    return Written(recording.n_histograms, len(recording), len(recording.labels), was_there=True)


# The parts of a recording


@contextlib.contextmanager
def drafted(folder: Path) -> Generator[Layout]:
    """The recording's folder under another name, which appears under its own when it is full."""
    draft = folder.with_name(f".draft-{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    layout = Layout(draft)
    layout.labels.parent.mkdir(parents=True)
    layout.histogram_folder.mkdir(parents=True)
    try:
        with saying_when_full(f"the recording {folder.name}", folder):
            yield layout
            publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_index(
    layout: Layout,
    *,
    labels: Boxes,
    objframe_to_label: Int64[np.ndarray, " m"],
    objframe_to_histogram: Int64[np.ndarray, " m"],
    label_times_us: Int64[np.ndarray, " m"] | None = None,
    times_us: Int64[np.ndarray, " n"] | None = None,
) -> None:
    """Write everything of a recording but its histograms; pseudo sets have no times."""
    np.savez(layout.labels, labels=labels, objframe_idx_2_label_idx=objframe_to_label)
    np.save(layout.objframe_to_histogram, objframe_to_histogram)
    if label_times_us is not None:
        np.save(layout.label_times, label_times_us)
    if times_us is not None:
        np.save(layout.times, times_us)


@contextlib.contextmanager
def growing(
    path: Path, shape: tuple[int, int, int]
) -> Generator[Callable[[UInt8[np.ndarray, "channels h w"]], None]]:
    """A histogram file that grows by one histogram a call, and gets its name when it is full."""
    import h5py

    written = 0
    with h5py.File(Layout.in_progress(path), "w") as file:
        counts = file.create_dataset(
            HDF5_KEY,
            shape=(1, *shape),
            maxshape=(None, *shape),
            chunks=(1, *shape),
            dtype=np.uint8,
            shuffle=False,
            compression=BLOSC,
            compression_opts=BLOSC_OPTIONS,
        )

        def append(histogram: UInt8[np.ndarray, "channels h w"]) -> None:
            nonlocal written
            if written:
                counts.resize(written + 1, axis=0)
            counts[written] = histogram
            written += 1

        yield append
    Layout.in_progress(path).rename(path)


# Data sets made from others


def write_recording(
    folder: Path,
    *,
    labels: Boxes,
    objframe_to_label: Int64[np.ndarray, " m"],
    objframe_to_histogram: Int64[np.ndarray, " m"],
    source: Recording,
) -> None:
    """Write a recording with other labels; its histograms are a link to those of `source`."""
    with drafted(folder) as draft:
        write_index(
            draft,
            labels=labels,
            objframe_to_label=objframe_to_label.astype(np.int64),
            objframe_to_histogram=objframe_to_histogram.astype(np.int64),
        )
        link = draft.histograms(is_halved=source.sensor.halved)
        link.symlink_to(source.histogram_file.resolve(strict=True))


def link_splits(root: Path, source: EventSet, splits: Iterable[Split] = SPLITS[1:]) -> None:
    """Let splits of a data set be those of another, by links; those it lacks are left out."""
    for split in splits:
        origin, link = source.root / split, root / split
        if origin.is_dir() and not link.exists():
            link.symlink_to(origin.resolve(), target_is_directory=True)
