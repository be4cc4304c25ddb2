"""Recordings out: a draft is filled beside the file's place and renamed into it at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fovea.events.formats import csv, dat, evt3
from fovea.events.formats.source import Columns
from fovea.events.stream import EventStream
from fovea.runs.durable import saying_when_full

Write = Callable[[EventStream], None]


class _Encoder(Protocol):
    def feed(self, events: EventStream) -> bytes: ...


def _raw(path: Path, height: int, width: int) -> Generator[Write]:
    return _encoded(path, evt3.header(height, width), evt3.Evt3Encoder())


def _dat(path: Path, height: int, width: int) -> Generator[Write]:
    return _encoded(path, dat.header(height, width), dat.DatEncoder())


def _csv(path: Path, height: int, width: int) -> Generator[Write]:
    return _encoded(path, csv.header(height, width), csv.CsvEncoder())


def _hdf5(path: Path, height: int, width: int) -> Generator[Write]:
    from fovea.events.formats.hdf5 import writing_hdf5

    return writing_hdf5(path, height, width)


WRITERS: dict[str, Callable[[Path, int, int], Generator[Write]]] = {
    ".raw": _raw, ".dat": _dat, ".h5": _hdf5, ".csv": _csv,
}  # fmt: skip


def _encoded(path: Path, header: bytes, encoder: _Encoder) -> Generator[Write]:
    with path.open("wb") as file:
        file.write(header)
        yield lambda events: _append(file.write, encoder, events)


def _append(write: Callable[[bytes], int], encoder: _Encoder, events: EventStream) -> None:
    write(encoder.feed(events))


@contextmanager
def writing(path: Path, *, height: int, width: int) -> Generator[Write]:
    """A function that appends events to a recording; the file appears when the block ends well."""
    draft = path.with_name(f".{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    checked = Columns(path.name, height, width)
    try:
        with saying_when_full(path.name, path):
            with contextmanager(WRITERS[path.suffix.lower()])(draft, height, width) as write:
                yield lambda events: write(checked.block(events.t, events.x, events.y, events.p))
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
