"""The event log of a run: one line of JSON an event, appended by the run and by its stages.

Several processes may append at once: each takes the file's lock for the length of one write, and
numbers its line after the last. A line that a kill or a power cut left without its end is cut off
by the next writer and passed over by readers.

An event has `n` (1, 2, ... within the run), `time` (seconds since 1970), `stage` (its key, or null
for the run itself), `kind`, and what belongs to the kind:

    state     state, and for stages attempt, device, seconds, scores, error
    metric    step, epoch, metrics {split/name: value}
    rewind    step: metrics of this stage beyond it are void
    progress  done, total, unit, shown
    picture   step, name, path in the stage's folder
    log       level, message
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fovea.runs.durable import drop_torn_line, saying_when_full
from fovea.runs.stage import Event


class EventLog:
    """Where events are appended; safe between processes of one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = 0
        self._end = -1

    def append(self, event: Event, *, stage: str | None = None) -> Event:
        """Write one event and give it back with its number, time and stage.

        Raises:
            DiskFullError: there is no room for it.
        """
        with saying_when_full("events", self.path), self.path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_size != self._end:
                drop_torn_line(self.path)
                self._last = _last_number(self.path)
            record: Event = {"n": self._last + 1, "time": round(time.time(), 3)}
            record |= {"stage": stage, **event}
            file.write(encode(record))
            self._last, self._end = self._last + 1, file.tell()
        return record


class Follower:
    """Reads an event log as it grows."""

    def __init__(self, path: Path, *, since: int = 0) -> None:
        self.path = path
        self.since = since
        self._offset = 0

    @classmethod
    def from_end(cls, path: Path) -> Follower:
        """A follower that sees only what is appended from now on."""
        drop_torn_line(path)
        return cls(path, since=_last_number(path))

    def new(self) -> Iterator[Event]:
        """The events since the last call; a line still being written is left for the next."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                event = decode(line)
                if event["n"] > self.since:
                    self.since = event["n"]
                    yield event


def read_events(path: Path, *, since: int = 0) -> Iterator[Event]:
    """The events numbered beyond `since`."""
    return Follower(path, since=since).new()


def stage_recorder(run_folder: Path, folder: Path, key: str) -> Callable[[Event], Event]:
    """What a stage's context emits into: the run's events, and the stage's own metrics.jsonl."""
    log = EventLog(run_folder / "events.jsonl")
    metrics = folder / "metrics.jsonl"
    drop_torn_line(metrics)

    def record(event: Event) -> Event:
        numbered = log.append(event, stage=key)
        if event["kind"] in ("metric", "rewind"):
            line = {
                name: numbered[name]
                for name in ("time", "step", "epoch", "metrics")
                if name in numbered
            }
            if event["kind"] == "rewind":
                line = {"time": numbered["time"], "rewind": event["step"]}
            with saying_when_full("metrics", metrics), metrics.open("ab", buffering=0) as file:
                file.write(encode(line))
        return numbered

    return record


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The points `{time, step, epoch, metrics}` of a stage that no later resume made void."""
    points: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        if not line.endswith(b"\n"):
            break
        point = decode(line)
        if "rewind" in point:
            points = [p for p in points if p["step"] <= point["rewind"]]
        else:
            points.append(point)
    return points


def encode(record: dict[str, Any]) -> bytes:
    """One line of JSON, where metrics may also be "NaN", "Infinity" and "-Infinity"."""
    if "metrics" in record:
        record = record | {"metrics": {k: _writable(v) for k, v in record["metrics"].items()}}
    return json.dumps(record, ensure_ascii=False, default=str).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The record of one line."""
    record = json.loads(line)
    if "metrics" in record:
        record["metrics"] = {name: float(value) for name, value in record["metrics"].items()}
    return record


def _writable(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _last_number(path: Path, block: int = 65536) -> int:
    if not path.is_file() or path.stat().st_size == 0:
        return 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            file.seek(max(0, size - block))
            lines = file.read().splitlines()
            if len(lines) > 1 or block >= size:
                return int(json.loads(lines[-1])["n"])
            block *= 8
