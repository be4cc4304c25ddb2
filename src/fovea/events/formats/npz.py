"""NumPy archives with the columns t, x, y, p, and perhaps height and width."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fovea.errors import ArtifactError, DataError
from fovea.events.formats.source import Columns, EventSource, Watch, size_of
from fovea.events.stream import EventStream

BLOCK = 1 << 20


def open_npz(
    path: Path, *, height: int | None, width: int | None, mend_times: bool = False
) -> EventSource:
    """Open an archive; it is held whole while it is read.

    Raises:
        ArtifactError: it is no archive of NumPy.
        DataError: a column is missing, or they differ in length.
    """
    try:
        with np.load(path) as archive:
            found = {name: archive[name] for name in ("height", "width") if name in archive}
            names = archive.files
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: an archive of NumPy was wanted, and NumPy says: {error}. Fetch it again."
        ) from None
    if missing := [name for name in "txyp" if name not in names]:
        raise DataError(
            f"{path}: columns t, x, y and p were wanted, and {', '.join(missing)} is missing; there"
            f" are {', '.join(names) or 'none'}. Save it by np.savez(path, t=t, x=x, y=y, p=p)."
        )
    sides = tuple(int(found[name]) if name in found else None for name in ("height", "width"))
    size = size_of(path, height, width, (sides[0], sides[1]))

    def blocks(watch: Watch) -> Iterator[EventStream]:
        with np.load(path) as archive:
            t, x, y, p = (archive[name] for name in "txyp")
        if len({len(column) for column in (t, x, y, p)}) > 1:
            raise DataError(
                f"{path}: the columns are of one length, and t, x, y, p have {len(t)}, {len(x)},"
                f" {len(y)}, {len(p)} rows. Save them again."
            )
        columns = Columns(str(path), *size, mend_times=mend_times)
        for start in range(0, len(t), BLOCK):
            part = slice(start, start + BLOCK)
            yield columns.block(t[part], x[part], y[part], p[part])
            watch(min(1.0, (start + BLOCK) / len(t)))

    return EventSource(path, "npz", *size, blocks)
