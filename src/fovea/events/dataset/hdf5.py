"""Histogram files, read lazily from any thread and any process.

A few files stay open, the ones read last. HDF5 is not safe for threads, so one lock guards all of
it; a file opened before a process was forked is opened again in the child.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fovea.errors import BackendError, DataError
from fovea.events.dataset.layout import BLOSC, HDF5_KEY

MOST_OPEN = 64


@dataclass(frozen=True)
class Storage:
    """How histograms are stored."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...] | None
    filters: Mapping[int, tuple[int, ...]]
    """The options of each filter, by its number."""


class _Shelf:
    """The files that are open; whoever touches HDF5 holds its lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.open: OrderedDict[tuple[Path, int, int], Any] = OrderedDict()

    def counts(self, path: Path) -> Any:
        """The dataset in a file, which is opened if it is not."""
        key = (path, *_version(path))
        if key not in self.open:
            self.open[key] = _opened(path)
            if len(self.open) > MOST_OPEN:
                self.open.popitem(last=False)[1].file.close()
        self.open.move_to_end(key)
        return self.open[key]

    def forget(self) -> None:
        """Begin anew, in a child process: the parent's files and its lock stay its own."""
        self.__init__()


_shelf = _Shelf()
os.register_at_fork(after_in_child=_shelf.forget)


def histogram_shape(path: Path) -> tuple[int, int, int, int]:
    """The number of histograms, and the channels, height and width of each.

    Raises:
        DataError: it is no file of histograms, or was cut short.
    """
    with _shelf.lock:
        return _shelf.counts(path).shape


def histogram_storage(path: Path) -> Storage:
    """How the histograms of a file are stored.

    Raises:
        DataError: as above.
    """
    with _shelf.lock:
        counts = _shelf.counts(path)
        pipeline = counts.id.get_create_plist()
        filters = [pipeline.get_filter(number) for number in range(pipeline.get_nfilters())]
        options = {number: tuple(values) for number, _, values, _ in filters}
        return Storage(counts.shape, counts.chunks, options)


def read_histograms(path: Path, first: int, last: int) -> UInt8[np.ndarray, "n channels h w"]:
    """The histograms `first` up to, but without, `last`.

    Raises:
        DataError: as above, or it cannot be unpacked.
    """
    with _shelf.lock:
        try:
            return _shelf.counts(path)[first:last]
        except OSError as error:
            raise DataError(
                f"{path}: histograms {first} to {last - 1} cannot be read: {error}. Run"
                " events.check on the data set, and preprocess this recording again."
            ) from error


def require_filter() -> None:
    """Make HDF5 know the filter that histograms are packed with.

    Raises:
        BackendError: no package brings it.
    """
    import h5py

    try:
        import hdf5plugin  # noqa: F401 # pyright: ignore[reportUnusedImport] -- registers filters
    except ImportError as error:
        if not h5py.h5z.filter_avail(BLOSC):
            raise BackendError(
                f"histograms are packed with Blosc (HDF5 filter {BLOSC}), and nothing here can"
                ' unpack it. Run: pip install "fovea-vision[events]"'
            ) from error


def _version(path: Path) -> tuple[int, int]:
    """What tells a file from another one written under its name."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # opening it will say what is the matter
    return found.st_ino, found.st_mtime_ns


def _opened(path: Path) -> Any:
    require_filter()
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        beside = ", ".join(sorted(p.name for p in path.parent.glob("*.h5"))) or "no other *.h5"
        found = (
            f"it is a link to {path.readlink()}" if path.is_symlink() else f"beside it: {beside}"
        )
        raise DataError(
            f"{path} does not exist; {found}. Name the right sensor, or preprocess this recording"
            " again."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read as HDF5, it may have been cut short: {error}. Preprocess this"
            " recording again."
        ) from error
    counts: Any = file.get(HDF5_KEY)
    if not isinstance(counts, h5py.Dataset) or counts.ndim != 4 or counts.dtype != np.uint8:
        found = f"{counts.dtype} {counts.shape}" if isinstance(counts, h5py.Dataset) else "nothing"
        file.close()
        raise DataError(
            f"{path} should hold '{HDF5_KEY}', uint8 [n, channels, height, width], and there is"
            f" {found}. Preprocess this recording again."
        )
    return counts
