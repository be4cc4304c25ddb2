"""The one door to recordings: any format in, by the suffix of its name, and four formats out.

with open_events("street.raw") as source:
    for chunk in source.chunks(events=1_000_000):
        ...
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from fovea.errors import ArtifactError, DataError
from fovea.events.formats.source import EventSource, collected
from fovea.events.stream import EventStream

READERS = {
    ".raw": "words:open_words",
    ".dat": "words:open_words",
    ".h5": "hdf5:open_hdf5",
    ".hdf5": "hdf5:open_hdf5",
    ".aedat4": "aedat4:open_aedat4",
    ".csv": "csv:open_csv",
    ".txt": "csv:open_csv",
    ".npz": "npz:open_npz",
}
"""Suffix -> module and function; a reader is imported when a file of its kind is opened."""


def open_events(
    path: str | Path,
    *,
    height: int | None = None,
    width: int | None = None,
    mend_times: bool = False,
) -> EventSource:
    """Open a recording.

    Args:
        path: .raw (EVT 2.0, 2.1, 3.0), .dat, .h5, .aedat4, .csv, .txt or .npz.
        height: of the sensor in pixels, where the file does not say.
        width: of the sensor in pixels, where the file does not say.
        mend_times: raise times that fall to the latest before them, instead of refusing them.

    Raises:
        ArtifactError: there is no such file, or its suffix is not known.
        DataError: it cannot be read, or nothing says how large the sensor is.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No recording {path}: there is no such file. Check the name.")
    if path.suffix.lower() not in READERS:
        raise ArtifactError(
            f"{path}: recordings are read as {', '.join(READERS)}, not"
            f" '{path.suffix}'. Convert it, or mend the name."
        )
    module, _, function = READERS[path.suffix.lower()].partition(":")
    reader = getattr(importlib.import_module(f"fovea.events.formats.{module}"), function)
    return reader(path, height=height, width=width, mend_times=mend_times)


def read_events(
    path: str | Path,
    *,
    height: int | None = None,
    width: int | None = None,
    mend_times: bool = False,
) -> EventStream:
    """Read a recording whole; see `open_events`."""
    source = open_events(path, height=height, width=width, mend_times=mend_times)
    return collected(source)


def write_events(
    path: str | Path, chunks: Iterable[EventStream], *, height: int, width: int
) -> int:
    """Write a recording as .raw (EVT3), .dat, .h5 or .csv; it appears only when it is whole.

    Returns:
        How many events were written.

    Raises:
        ArtifactError: the suffix is another.
        DataError: an event lies outside the sensor, times fall, or the format cannot say them.
    """
    from fovea.events.formats.writers import WRITERS, writing

    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise ArtifactError(
            f"{path}: recordings are written as {', '.join(WRITERS)}, not '{path.suffix}'. Change"
            " the name."
        )
    count = 0
    with writing(path, height=height, width=width) as write:
        for chunk in chunks:
            if (chunk.height, chunk.width) != (height, width):
                raise DataError(
                    f"{path.name} is of a sensor of {height} x {width} pixels, and events of one"
                    f" of {chunk.height} x {chunk.width} were to be written. Crop them first."
                )
            write(chunk)
            count += len(chunk)
    return count
