"""Event HDF5: columns `events/x y p t`, or one compound data set `events`; read and written.

Polarity may be 0 and 1 or -1 and 1. Times of published files do fall here and there: each becomes
the latest before it, beginning at 0. Prophesee's own files keep the compound under `CD/events`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from fovea.errors import ArtifactError, BackendError, DataError
from fovea.events.formats.source import Columns, EventSource, Watch, size_of
from fovea.events.stream import EventStream

BLOCK = 1 << 19
"""Events that are read at a time."""
CHUNK = 1 << 16
"""Events in one compressed piece of a file that is written."""
FIELDS = ("t", "x", "y", "p")
TYPES = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "u1"}
PLACES = ("events", "CD/events")
FILTERS = {
    32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32015: "Zstandard",
    32026: "Blosc2", 36559: "ECF, Prophesee's own codec",
}  # fmt: skip
_ = hdf5plugin.FILTERS  # importing it registered its filters with HDF5


def open_hdf5(
    path: Path, *, height: int | None, width: int | None, mend_times: bool = False
) -> EventSource:
    """Open an event HDF5 file; its times are mended in any case.

    Raises:
        ArtifactError: it is no HDF5 file.
        DataError: it holds no events in a known layout.
    """
    with _opened(path) as file:
        columns = _columns(path, file)
        count = _count(path, columns)
        size = size_of(path, height, width, _geometry(file))

    def blocks(watch: Watch) -> Iterator[EventStream]:
        checked = Columns(str(path), *size, mend_times=True)
        with _opened(path) as file:
            columns = _columns(path, file)
            for start in range(0, count, BLOCK):
                end = min(start + BLOCK, count)
                read = {name: _read(path, columns, name, start, end) for name in FIELDS}
                t = np.maximum(read["t"].astype(np.int64), 0)
                yield checked.block(t, read["x"], read["y"], read["p"])
                watch(end / count)

    return EventSource(path, "hdf5", *size, blocks, about=count)


def writing_hdf5(path: Path, height: int, width: int) -> Generator[Any]:
    """A function that appends events to a new file in the column layout."""
    compression = hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.SHUFFLE)
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        group["height"], group["width"] = height, width
        for name in FIELDS:
            group.create_dataset(
                name, (0,), TYPES[name], maxshape=(None,), chunks=(CHUNK,), **compression
            )

        def append(events: EventStream) -> None:
            for name in FIELDS:
                column: Any = group[name]
                before = len(column)
                column.resize((before + len(events),))
                column[before:] = getattr(events, name)

        yield append


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ArtifactError(
            f"{path}: an HDF5 file was wanted, and HDF5 says: {error}. Fetch the file again."
        ) from None


def _columns(path: Path, file: h5py.File) -> Any:
    """The group or compound data set that holds t, x, y and p."""
    for place in PLACES:
        found: Any = file.get(place)
        names = found.dtype.names if isinstance(found, h5py.Dataset) else found
        if names is not None and all(name in names for name in FIELDS):
            return found
    listed = ", ".join(sorted(_listing(file))) or "nothing"
    raise DataError(
        f"{path}: events were wanted as events/x, events/y, events/p, events/t or as one data set"
        f" 'events' with these fields, and the file holds {listed}. Rename what it holds."
    )


def _listing(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _count(path: Path, columns: Any) -> int:
    """The number of events, the same in every column."""
    if isinstance(columns, h5py.Dataset):
        return len(columns)
    lengths = {name: len(columns[name]) for name in FIELDS}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(
            f"{path}: the four columns of 'events' are of one length, and here it is {said}. The"
            " file was cut off while it was written: make it again."
        )
    return lengths["t"]


def _geometry(file: h5py.File) -> tuple[int | None, int | None]:
    """The sensor's height and width, where the file says."""
    holder: Any = file.get("events")
    if isinstance(holder, h5py.Group) and "height" in holder and "width" in holder:
        height, width = (np.asarray(holder[name]) for name in ("height", "width"))
        return int(height), int(width)
    attributes: dict[str, Any] = dict(file.attrs) | (dict(holder.attrs) if holder else {})
    if "height" in attributes and "width" in attributes:
        return int(attributes["height"]), int(attributes["width"])
    if size := re.fullmatch(r"(\d+)x(\d+)", str(attributes.get("geometry", ""))):
        return int(size[2]), int(size[1])
    return None, None


def _read(path: Path, columns: Any, name: str, start: int, end: int) -> np.ndarray:
    is_compound = isinstance(columns, h5py.Dataset)
    column: Any = columns if is_compound else columns[name]
    try:
        return column[start:end][name] if is_compound else column[start:end]
    except OSError as error:
        raise _unreadable(path, name, start, column, error) from None


def _unreadable(
    path: Path, name: str, start: int, column: h5py.Dataset, error: OSError
) -> BackendError | DataError:
    """A filter that is missing, or damage."""
    used: Any = column.id.get_create_plist()
    numbers = [used.get_filter(place)[0] for place in range(used.get_nfilters())]
    missing = [number for number in numbers if not h5py.h5z.filter_avail(number)]
    if not missing:
        return DataError(
            f"{path}: column '{name}' cannot be read from event {start} on, HDF5 says: {error}. The"
            " file is damaged: fetch it again."
        )
    said = ", ".join(f"{number} ({FILTERS.get(number, 'not known here')})" for number in missing)
    is_ours = missing[0] in FILTERS and missing[0] != 36559
    remedy = (
        'Run: pip install "fovea-vision[events]"' if is_ours
        else "Install that codec and name its folder by HDF5_PLUGIN_PATH, or export to .raw"
    )  # fmt: skip
    return BackendError(
        f"{path}: column '{name}' is compressed by HDF5 filter {said}, which is not installed."
        f" {remedy}."
    )
