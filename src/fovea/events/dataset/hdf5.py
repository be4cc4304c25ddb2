"""Histogram files, read lazily from any thread and any process.

A few files stay open, the ones read last. HDF5 is not safe for threads, so one lock guards all of
it; a file opened before a process was forked is opened again in the child.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fovea.errors import BackendError, DataError
from fovea.events.dataset.layout import BLOSC, HDF5_KEY

MOST_OPEN = 64
_lock = threading.RLock()
_open: OrderedDict[Path, Any] = OrderedDict()
_process = os.getpid()


def histogram_shape(path: Path) -> tuple[int, int, int, int]:
    """The number of histograms, and the channels, height and width of each.

    Raises:
        DataError: it is no file of histograms, or was cut short.
    """
    with _lock:
        return _counts(path).shape


def read_histograms(path: Path, first: int, last: int) -> UInt8[np.ndarray, "n channels h w"]:
    """The histograms `first` up to, but without, `last`.

    Raises:
        DataError: as above, or it cannot be unpacked.
    """
    with _lock:
        try:
            return _counts(path)[first:last]
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


def _counts(path: Path) -> Any:
    """The dataset in the file, which is opened if it is not."""
    global _process
    if _process != os.getpid():
        # The parent's files stay its own: closing them here would disturb it.
        _open.clear()
        _process = os.getpid()
    if path not in _open:
        _open[path] = _opened(path)
        if len(_open) > MOST_OPEN:
            _open.popitem(last=False)[1].file.close()
    _open.move_to_end(path)
    return _open[path]


def _opened(path: Path) -> Any:
    require_filter()
    import h5py

    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        target = f" It is a link to {path.readlink()}." if path.is_symlink() else ""
        raise DataError(
            f"{path} does not exist.{target} Preprocess this recording again."
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
