"""Data sets and recordings as they are read: small index arrays, histograms when asked for.

Nothing is read before it is needed, so a data set of thousands of recordings opens at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from fovea.errors import DataError
from fovea.events.boxes import Boxes, checked_boxes
from fovea.events.dataset.hdf5 import histogram_shape, read_histograms
from fovea.events.dataset.layout import SPLITS, Layout, Split, root_of
from fovea.events.labels import Labels
from fovea.events.sensor import FILE_NAME, Sensor


@dataclass(frozen=True)
class EventSet:
    """A data set of histograms and boxes, of one sensor."""

    root: Path
    sensor: Sensor

    @classmethod
    def open(cls, root: str | Path, sensor: str = "auto") -> EventSet:
        """Open a data set by its folder, or by that of one of its splits.

        Args:
            root: its folder.
            sensor: `gen1` or `gen4`, as published data sets do not say it; `auto` takes what the
                data set says of itself, or the one its splits are links to.

        Raises:
            DataError: it is no data set, or its sensor is not known.
            ConfigError: there is no sensor of that name.
        """
        root = root_of(Path(root))
        present = [root / split for split in SPLITS if (root / split).is_dir()]
        if not present:
            raise DataError(
                f"{root} is no data set: it has none of the folders {', '.join(SPLITS)}. Found:"
                f" {_listing(root)}. Make one with events.preprocess or events.simulate."
            )
        origins = [root, *(folder.resolve().parent for folder in present if folder.is_symlink())]
        noted = next((place for place in origins if (place / FILE_NAME).is_file()), root)
        return cls(root, Sensor.of(noted, sensor))

    def split(self, name: Split | str) -> list[Recording]:
        """The recordings of a split, sorted by name.

        Raises:
            DataError: there is no such split, or no recording in it.
        """
        folder = self.root / name
        if not folder.is_dir():
            have = [split for split in SPLITS if (self.root / split).is_dir()]
            gone = f", a link to nothing at {folder.readlink()}" if folder.is_symlink() else ""
            raise DataError(f"{self.root} has no split '{name}'{gone}. It has {', '.join(have)}.")
        found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not found:
            raise DataError(f"{folder} holds no recording. Make the data set again.")
        return [Recording(path, self.sensor) for path in found]


@dataclass(frozen=True)
class Recording:
    """One recording of a data set: its histograms, and the boxes at some of them."""

    folder: Path
    sensor: Sensor

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return Layout(self.folder)

    # Histograms

    @property
    def histogram_file(self) -> Path:
        """The HDF5 file, which in pseudo sets is a link."""
        return self.layout.histograms(is_halved=self.sensor.halved)

    @cached_property
    def n_histograms(self) -> int:
        """How many there are.

        Raises:
            DataError: the file is missing or damaged, or of another sensor.
        """
        count, channels, *size = histogram_shape(self.histogram_file)
        wanted = [self.sensor.network_height, self.sensor.network_width]
        if size != wanted:
            raise DataError(
                f"{self.histogram_file} has histograms of {size[0]} x {size[1]} pixels, and those"
                f" of the sensor {self.sensor.name} are {wanted[0]} x {wanted[1]}. Name the right"
                " sensor, or preprocess the recordings again."
            )
        if channels % 2 or not count:
            raise DataError(
                f"{self.histogram_file} holds {count} histograms of {channels} channels; at least"
                " one is wanted, with as many channels for each polarity. Preprocess it again."
            )
        return count

    def read(self, first: int, last: int) -> UInt8[np.ndarray, "n channels h w"]:
        """The histograms `first` up to, but without, `last`.

        Raises:
            DataError: there are not that many, or they cannot be read.
        """
        if not 0 <= first <= last <= self.n_histograms:
            raise DataError(
                f"{self.folder} has histograms 0 to {self.n_histograms - 1}, and {first} to"
                f" {last - 1} are asked for. Run events.check on the data set."
            )
        return read_histograms(self.histogram_file, first, last)

    @cached_property
    def times_us(self) -> Int64[np.ndarray, " n"] | None:
        """The END of each histogram; None in pseudo sets."""
        path = self.layout.times
        return _index(path) if path.exists() else None

    @cached_property
    def clock_us(self) -> Int64[np.ndarray, " n"]:
        """The END of each histogram, in pseudo sets that of the recording they were made from.

        Raises:
            DataError: neither says it.
        """
        if self.times_us is not None:
            return self.times_us
        path = self.histogram_file.resolve().with_name(self.layout.times.name)
        if not path.is_file():
            raise DataError(
                f"{self.folder} does not say when its histograms end, and there is no {path}"
                " either. Make it again from a data set that has this file."
            )
        return _index(path)

    # Labels

    @cached_property
    def objframe_to_histogram(self) -> Int64[np.ndarray, " m"]:
        """The histogram that ends at each objframe.

        Raises:
            DataError: it is missing, or does not match the labels.
        """
        found = _index(self.layout.objframe_to_histogram)
        self._require_as_many(found, self.layout.objframe_to_histogram)
        _require_rising(found, self.layout.objframe_to_histogram)
        return found

    @property
    def objframe_to_label(self) -> Int64[np.ndarray, " m"]:
        """The first box of each objframe."""
        return self._stored_labels[1]

    @property
    def labels(self) -> Boxes:
        """All boxes as on disk, those of an objframe together."""
        return self._stored_labels[0]

    @cached_property
    def label_times_us(self) -> Int64[np.ndarray, " m"] | None:
        """The time of each objframe; None in pseudo sets."""
        path = self.layout.label_times
        if not path.exists():
            return None
        found = _index(path)
        self._require_as_many(found, path)
        return found

    def __len__(self) -> int:
        """The number of objframes."""
        return len(self.objframe_to_label)

    def labels_at(self, objframe: int) -> Labels:
        """The boxes of an objframe, cut to the sensor and in pixels of the network's input."""
        ends = self.objframe_to_label
        first = ends[objframe]
        last = ends[objframe + 1] if objframe + 1 < len(ends) else len(self.labels)
        found = self._clamped[first:last]
        return found.scaled(0.5) if self.sensor.halved else found

    @cached_property
    def _clamped(self) -> Labels:
        found = Labels.from_structured(self.labels, self.sensor.height, self.sensor.width)
        try:
            return found.clamped()
        except DataError as error:
            raise DataError(f"{self.layout.labels}: {error}") from error

    @cached_property
    def _stored_labels(self) -> tuple[Boxes, Int64[np.ndarray, " m"]]:
        path = self.layout.labels
        try:
            with np.load(path, allow_pickle=False) as file:
                rows: Any = file["labels"]
                first = file["objframe_idx_2_label_idx"].astype(np.int64, copy=False)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise _unreadable(path, error) from error
        boxes = checked_boxes(rows, str(path), in_order=False)
        _require_rising(first, path)
        if len(first) and (first[0] != 0 or first[-1] >= len(boxes)):
            raise DataError(
                f"{path}: the first boxes of its {len(first)} objframes are {first[0]} to"
                f" {first[-1]}, which does not cover its {len(boxes)} boxes. Preprocess this"
                " recording again."
            )
        return boxes, first

    def _require_as_many(self, found: Int64[np.ndarray, " m"], path: Path) -> None:
        if len(found) != len(self):
            raise DataError(
                f"{path} has {len(found)} objframes, and {self.layout.labels} has {len(self)}."
                " Labels and histograms are not of one data set; preprocess this recording again."
            )


def _index(path: Path) -> Int64[np.ndarray, " m"]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise DataError(
            f"{path} should be a list of whole numbers, and is {found.dtype} {found.shape}."
            " Preprocess this recording again."
        )
    return found.astype(np.int64, copy=False)


def _require_rising(found: Int64[np.ndarray, " m"], path: Path) -> None:
    falls = np.flatnonzero(np.diff(found) <= 0)
    if len(falls):
        at = int(falls[0])
        raise DataError(
            f"{path}: entries must rise, and entry {at + 1} is {found[at + 1]} after {found[at]}."
            " Preprocess this recording again."
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} is missing. Preprocess this recording again.")
    return DataError(f"{path} cannot be read: {error}. Preprocess this recording again.")


def _listing(folder: Path, most: int = 6) -> str:
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "nothing"
