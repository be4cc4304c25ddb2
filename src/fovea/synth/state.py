"""The work kept between segments: the rows of a part after some operators, whole or absent.

A state is a folder: `rows.jsonl`, `stats.jsonl` with a line for each row where there are
statistics, `rows.npz` with each row's number and place, `keys.npz` for a barrier, and `about.json`
with the counts, the ledger and the examples.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from fovea.runs.durable import publish
from fovea.synth.batch import Batch
from fovea.synth.ledger import Counts
from fovea.synth.pictures import Pictures
from fovea.synth.plan import Handling
from fovea.synth.sample import HASHES, META, STATS, Sample
from fovea.synth.shard import BATCH_ROWS, Outcome

DECIMALS = 10
"""Of statistics in a result, as in data-juicer's."""
_OWN = (STATS, META, *HASHES)


def dumped(value: Any) -> bytes:
    """A value as a line of JSON, also where it holds what strict JSON refuses."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except (TypeError, orjson.JSONEncodeError):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    return value.item() if isinstance(value, np.generic) else str(value)


class StateWriter:
    """Writes the rows of a part.

    Args:
        target: the folder that appears when all is written.
        handling: how rows are written.
        is_last: whether the rows are the result's: statistics rounded, paths as wished.
    """

    def __init__(self, target: Path, handling: Handling, *, is_last: bool) -> None:
        self.target = target
        self.handling = handling
        self.is_last = is_last
        target.parent.mkdir(parents=True, exist_ok=True)
        owner = f"{socket.gethostname()}-{os.getpid()}"
        self.draft = target.with_name(f".draft-{owner}-{target.name}")
        self.draft.mkdir(exist_ok=True)
        self._rows = (self.draft / "rows.jsonl").open("wb")
        self._stats = (self.draft / "stats.jsonl").open("wb")
        self._numbers: list[np.ndarray] = []
        self._sizes: list[int] = []
        self._keys: list[dict[str, np.ndarray]] = []
        self._stale: set[str] = set()
        self._has_stats = False

    def __enter__(self) -> StateWriter:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing half done behind."""
        self._rows.close()
        self._stats.close()
        shutil.rmtree(self.draft, ignore_errors=True)

    def write(self, batch: Batch, keys: Mapping[str, np.ndarray]) -> None:
        """Add rows."""
        stats = list(self._stats_of(batch))
        lines = [self._line(batch, number, stats[number]) for number in range(len(batch))]
        self._sizes += [len(line) + 1 for line in lines]
        if lines:
            self._rows.write(b"\n".join(lines) + b"\n")
        if any(stats):
            self._has_stats = True
        self._stats.write(b"".join(dumped(found) + b"\n" for found in stats))
        self._numbers.append(batch.numbers)
        self._stale |= batch.stale
        if keys:
            self._keys.append(dict(keys))

    def _line(self, batch: Batch, number: int, stats: Mapping[str, Any]) -> bytes:
        row, raw = batch.rows[number], batch.lines[number]
        extra = stats if self.is_last and self.handling.keeps_stats else {}
        wants_paths = self.is_last and self.handling.paths != "given"
        if raw is not None and not extra and not wants_paths:
            return raw
        kept = {
            key: value
            for key, value in row.items()
            if key not in _OWN or (key in HASHES and self.handling.keeps_hashes)
        }
        if wants_paths and kept.get(self.handling.fields.images):
            kept[self.handling.fields.images] = self._paths(kept[self.handling.fields.images])
        return dumped(kept | dict(extra))

    def _paths(self, paths: Sequence[str]) -> list[str]:
        absolute = [(self.handling.root / path).absolute() for path in paths]
        if self.handling.paths == "absolute" or self.handling.result is None:
            return [str(path) for path in absolute]
        return [os.path.relpath(path, self.handling.result) for path in absolute]

    def _stats_of(self, batch: Batch) -> Iterator[dict[str, Any]]:
        names = list(batch.stats)
        columns = [self._column(batch.stats[name]) for name in names]
        values = zip(*columns, strict=True) if columns else iter([()] * len(batch))
        for row, found in zip(batch.rows, values, strict=True):
            stats: dict[str, Any] = dict(row.get(STATS) or {})
            stats.update(zip(names, found, strict=True))
            said: dict[str, Any] = {STATS: stats} if stats else {}
            if row.get(META):
                said[META] = row[META]
            yield said

    def _column(self, column: Any) -> list[Any]:
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
            is_float = column.dtype.kind == "f"
            return (np.round(column, DECIMALS) if is_float and self.is_last else column).tolist()
        return [_rounded(value) for value in column] if self.is_last else list(column)

    def publish(self, outcome: Outcome) -> None:
        """Let the folder appear."""
        self._rows.close()
        self._stats.close()
        if not self._has_stats:
            (self.draft / "stats.jsonl").unlink()
        numbers = np.concatenate(self._numbers) if self._numbers else np.zeros(0, np.int64)
        ends = np.cumsum(np.asarray([0, *self._sizes], np.int64))
        np.savez(self.draft / "rows.npz", numbers=numbers, ends=ends)
        for name in self._keys[0] if self._keys else ():
            values = np.concatenate([found[name] for found in self._keys])
            if values.dtype == object:
                text = dumped([_plain_value(value) for value in values.tolist()])
                (self.draft / f"key-{name}.json").write_bytes(text)
            else:
                # A column of a matrix is read alone: it stands in one piece.
                np.save(self.draft / f"key-{name}.npy", np.ascontiguousarray(values.T))
        about = {
            "counts": outcome.counts.as_data(),
            "entries": [entry.as_data() for entry in outcome.entries],
            "traces": outcome.traces.examples,
            "seconds": outcome.seconds,
            "stale": sorted(self._stale),
            "has_stats": self._has_stats,
            "rows": len(numbers),
        }
        (self.draft / "about.json").write_bytes(dumped(about))
        # Another may have done the same meanwhile: what has this address has this content.
        if not State(self.target).is_there:
            publish(self.draft, self.target)


def _plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _rounded(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return round(float(value), DECIMALS)
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class State:
    """A finished part."""

    folder: Path

    @property
    def is_there(self) -> bool:
        """Whether the part is done."""
        return (self.folder / "about.json").is_file()

    def about(self) -> dict[str, Any]:
        """Counts, ledger and examples."""
        return orjson.loads((self.folder / "about.json").read_bytes())

    def counts(self) -> Counts:
        """The counts alone."""
        return Counts.from_data(self.about()["counts"])

    def key(self, name: str, row: int | None = None) -> np.ndarray:
        """A column of the barrier's keys; of a matrix, one of its columns."""
        file = self.folder / f"key-{name}.npy"
        if file.is_file():
            found = np.load(file, mmap_mode="r")
            return np.asarray(found if row is None else found[row])
        values = orjson.loads((self.folder / f"key-{name}.json").read_bytes())
        column = np.empty(len(values), object)
        column[:] = values
        return column

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of each row, and where lines end: `ends[k]` is row k's first byte."""
        with np.load(self.folder / "rows.npz") as file:
            return file["numbers"], file["ends"]

    def rows(self) -> int:
        """How many there are."""
        return int(self.about()["rows"])


@dataclass(frozen=True)
class Slice:
    """Rows of states, in order, that are a part of the next segment."""

    folders: tuple[str, ...]
    """The states that the selection's first column counts."""
    selection: Path
    """An array [n, 2] of the state and the row in it."""
    start: int
    end: int
    limits: tuple[tuple[str, float], ...] = ()
    """Parameters of the first operator that had to wait for all rows."""


def picked(part: Slice) -> Iterator[tuple[int, bytes, bytes | None, set[str]]]:
    """The rows of a slice: number, line, line of statistics, and which of those are stale."""
    chosen = np.load(part.selection, mmap_mode="r")[part.start : part.end]
    at = 0
    while at < len(chosen):
        state = int(chosen[at, 0])
        past = at + 1
        while past < len(chosen) and chosen[past, 0] == state:
            past += 1
        yield from _of_state(State(Path(part.folders[state])), chosen[at:past, 1])
        at = past


def _of_state(
    state: State, rows: np.ndarray
) -> Iterator[tuple[int, bytes, bytes | None, set[str]]]:
    numbers, ends = state.places()
    about = state.about()
    stale = set(about["stale"])
    stats = _lines(state.folder / "stats.jsonl") if about["has_stats"] else None
    with (state.folder / "rows.jsonl").open("rb") as file:
        content = file.read()
    for row in rows.tolist():
        line = content[int(ends[row]) : int(ends[row + 1]) - 1]
        yield int(numbers[row]), line, stats[row] if stats else None, stale


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def batches_of(part: Slice, handling: Handling) -> Iterator[Batch]:
    """The rows of a slice in batches."""
    pictures = Pictures(
        handling.root,
        allows_truncated="truncated_images" in handling.compat,
        most_pixels=handling.most_pixels,
    )
    rows: list[Sample] = []
    numbers: list[int] = []
    lines: list[bytes | None] = []
    stale: set[str] = set()

    def packed() -> Batch:
        found = Batch(rows, np.asarray(numbers, np.int64), handling.fields, lines=lines,
                      pictures=pictures)  # fmt: skip
        found.stale = stale & set(found.stats)
        return found

    for number, line, stats, old in picked(part):
        row = loaded(line)
        rows.append(row | loaded(stats) if stats else row)
        numbers.append(number)
        lines.append(line)
        stale = stale | old
        if len(rows) == BATCH_ROWS:
            yield packed()
            rows, numbers, lines = [], [], []
    if rows:
        yield packed()


def loaded(line: bytes) -> Sample:
    """A line that was accepted before."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line.decode("utf-8", "replace"))
