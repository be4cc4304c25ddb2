"""The cache of results: work that was done before is not done again.

A result is known by its fingerprint: the settings that count and the content of the inputs of every
stage, worked out here from what was sent and never taken from a caller. The cache keeps no copies;
it is an index from fingerprints to finished runs, on disk in the database of the jobs, and shared
with other services through Redis where one is given. An index is only a hint: before a run is used
its own records must say that it was made with this very fingerprint, and its files must be whole.
So an entry that somebody forged leads nowhere.

The least lately used entries go first once there are more than `cache.size`, or they take more than
`cache.megabytes`. A run whose entry went is not taken over by later runs either.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from fovea.errors import FoveaError
from fovea.runs.cache import Cache
from fovea.runs.fingerprint import digest, identity
from fovea.runs.recipe import Recipe
from fovea.runs.record import StageRecord
from fovea.runs.run import Run
from fovea.service.outcome import result
from fovea.service.settings import ServeConfig
from fovea.service.shared import SharedIndex
from fovea.service.table import Job

log = logging.getLogger(__name__)

MEGABYTE = 1_000_000
RUN_NAME = re.compile(r"\w[\w.\-\[\]=,]*")
"""What a run's folder may be called; nothing in it leads elsewhere."""

RESULTS = Table(
    "results",
    MetaData(),
    Column("fingerprint", String(64), primary_key=True),
    Column("run", String(255), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("used", Float, nullable=False),
)


@dataclass(frozen=True)
class Found:
    """A result that was made before."""

    run: str
    """The folder among the runs in which it stands."""
    result: dict[str, Any]
    """As a job tells it."""


class ResultCache:
    """Finished runs by what their results depend on."""

    def __init__(
        self, settings: ServeConfig, engine: Engine, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings.cache
        self.runs = settings.runs
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._hits = self._misses = 0
        self.shared = (
            SharedIndex(settings.redis.url, settings.redis.prefix, self.settings.ttl_s)
            if settings.redis.enabled and self.settings.enabled
            else None
        )
        with engine.begin() as connection:
            connection.execute(CreateTable(RESULTS, if_not_exists=True))
        if self.settings.clear_at_start:
            self.clear()

    def fingerprint(self, recipe: Recipe) -> str:
        """What the result of a recipe depends on; empty where results are not used again."""
        if not self.settings.enabled:
            return ""
        contents, upstream = Cache(self.runs), dict[str, str]()
        for step in recipe.steps:
            upstream[step.key] = digest(identity(step, upstream, contents))
        return _combined(upstream.items())

    def find(self, fingerprint: str, *, misses_count: bool = True) -> Found | None:
        """The result of that fingerprint, if it was made before and still stands."""
        if not self.settings.enabled or not fingerprint:
            return None
        found = self._local(fingerprint) or self._from_others(fingerprint)
        with self._lock:
            self._hits += found is not None
            self._misses += found is None and misses_count
        return found

    def note(self, job: Job) -> None:
        """Remember the result of a job that succeeded."""
        if not self.settings.enabled or not job.fingerprint or job.state != "succeeded":
            return
        if self._checked(job.fingerprint, job.run) is None:
            return
        self._put(job.fingerprint, job.run, job.bytes)
        if self.shared:
            self.shared.put(job.fingerprint, job.run)
        self._make_room()

    def clear(self) -> int:
        """Forget all results and the figures of their use; says how many there were."""
        gone = self._drop([fingerprint for fingerprint, _ in self._entries()])
        if self.shared:
            self.shared.clear()
        with self._lock:
            self._hits = self._misses = 0
        return gone

    def drop_run(self, run: str) -> None:
        """Forget a run that is about to be removed."""
        with self._engine.connect() as connection:
            known = connection.scalars(select(RESULTS.c.fingerprint).where(RESULTS.c.run == run))
            fingerprints = list(known)
        self._drop(fingerprints)

    def statistics(self) -> dict[str, Any]:
        """How much is kept, and how often it was of use; `hit_rate` is in percent."""
        query = select(func.count(), func.sum(RESULTS.c.bytes)).select_from(RESULTS)
        with self._engine.connect() as connection:
            size, taken = connection.execute(query).one()
        with self._lock:
            hits, misses = self._hits, self._misses
        return {
            "enabled": self.settings.enabled,
            "size": int(size),
            "max_size": self.settings.size,
            "hits": hits,
            "misses": misses,
            "hit_rate": round(100 * hits / (hits + misses), 2) if hits + misses else 0,
            "bytes": int(taken or 0),
            "max_bytes": int(self.settings.megabytes * MEGABYTE),
            "shared": self.shared is not None,
            "shared_failures": self.shared.failures if self.shared else 0,
        }

    # Looking up

    def _local(self, fingerprint: str) -> Found | None:
        with self._engine.connect() as connection:
            run = connection.scalar(
                select(RESULTS.c.run).where(RESULTS.c.fingerprint == fingerprint)
            )
        if run is None:
            return None
        found = self._checked(fingerprint, run)
        if found is None:
            self._drop([fingerprint])
        else:
            self._touch(fingerprint)
        return found

    def _from_others(self, fingerprint: str) -> Found | None:
        run = self.shared.get(fingerprint) if self.shared else None
        found = self._checked(fingerprint, run) if run is not None else None
        if found:
            self._put(fingerprint, found.run, 0)
        return found

    def _checked(self, fingerprint: str, run: str) -> Found | None:
        """The result in a run's folder, if that run has this fingerprint and is whole."""
        folder = self.runs / run
        if not RUN_NAME.fullmatch(run) or not (folder / "run.json").is_file():
            return None
        try:
            made = Run(folder)
            stages = made.stages
            told = result(made)
        except (FoveaError, ValueError, KeyError, TypeError) as error:
            log.warning("the run %s cannot be read, and is not used again: %s", run, error)
            return None
        is_done = made.state == "done" and all(stage.state == "done" for stage in stages)
        same = _combined((stage.key, stage.fingerprint) for stage in stages) == fingerprint
        if not (is_done and same and all(_is_whole(stage.folder) for stage in stages)):
            return None
        for stage in told["stages"]:
            stage["reused_from"] = stage["reused_from"] or run
        return Found(run, told)

    # Keeping

    def _put(self, fingerprint: str, run: str, size: int) -> None:
        values = {"run": run, "bytes": size, "used": self._clock()}
        known = update(RESULTS).where(RESULTS.c.fingerprint == fingerprint).values(values)
        try:
            with self._engine.begin() as connection:
                if not connection.execute(known).rowcount:
                    row = values | {"fingerprint": fingerprint}
                    connection.execute(insert(RESULTS).values(row))
        except IntegrityError:
            log.debug("another worker noted %s at the same moment", fingerprint)

    def _touch(self, fingerprint: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(RESULTS)
                .where(RESULTS.c.fingerprint == fingerprint)
                .values(used=self._clock())
            )

    def _entries(self) -> list[tuple[str, int]]:
        """Fingerprints and bytes, the most lately used first."""
        query = select(RESULTS.c.fingerprint, RESULTS.c.bytes).order_by(RESULTS.c.used.desc())
        with self._engine.connect() as connection:
            return [(fingerprint, int(size)) for fingerprint, size in connection.execute(query)]

    def _make_room(self) -> None:
        most_bytes = self.settings.megabytes * MEGABYTE
        taken, gone = 0, list[str]()
        for number, (fingerprint, size) in enumerate(self._entries()):
            taken += size
            if number >= self.settings.size or (most_bytes and taken > most_bytes):
                gone.append(fingerprint)
        self._drop(gone)

    def _drop(self, fingerprints: list[str]) -> int:
        if not fingerprints:
            return 0
        with self._engine.begin() as connection:
            gone = connection.execute(
                delete(RESULTS)
                .where(RESULTS.c.fingerprint.in_(fingerprints))
                .returning(RESULTS.c.run)
            )
            runs = [run for (run,) in gone]
        known = Cache(self.runs)
        for run in runs:
            known.forget_finished(self.runs / run)
        if self.shared:
            self.shared.drop(fingerprints)
        return len(runs)


def _combined(stages: Iterable[tuple[str, str]]) -> str:
    text = json.dumps([list(stage) for stage in stages])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(folder: Path) -> bool:
    record = StageRecord.read(folder)
    return record is not None and record.is_whole(folder)
