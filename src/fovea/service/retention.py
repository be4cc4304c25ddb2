"""Results and uploads that have been kept for long enough are removed, the oldest first.

A job that waits or works is never removed, nor is a run whose result another job shows, nor an
upload that an open job reads.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from fovea.runs.durable import discard
from fovea.service.cache import ResultCache
from fovea.service.jobs import ENDED, Job, JobStore
from fovea.service.settings import ServeConfig
from fovea.service.table import OPEN

log = logging.getLogger(__name__)

DAY_S = 86_400.0
MEGABYTE = 1_000_000


class Retention:
    """Removes what is old, every now and then."""

    def __init__(
        self,
        settings: ServeConfig,
        store: JobStore,
        cache: ResultCache,
        uploads: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings.retention
        self.runs = settings.runs
        self.jobs = settings.state_folder / "jobs"
        self.uploads = uploads
        self.store = store
        self.cache = cache
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="retention")

    def start(self) -> None:
        """Begin, where anything is to be removed at all."""
        limits = self.settings
        if limits.days or limits.total_mb or limits.owner_mb or limits.uploads_days:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def forget(self, id: str) -> Job | None:
        """Remove an ended job and what it made, unless another job shows that, too."""
        job = self.store.forget(id)
        if job is None:
            return None
        shutil.rmtree(self.jobs / job.id, ignore_errors=True)
        if job.run and not self.store.uses_run(job.run):
            self.cache.drop_run(job.run)
            discard(self.runs / job.run)
        return job

    def tidy(self) -> list[Job]:
        """Remove what the limits say; gives the jobs that are gone."""
        gone = [job for id in list(self._too_old()) if (job := self.forget(id))]
        for job in gone:
            log.info("job %s of %s was removed: it was kept for long enough", job.id, job.owner)
        if self.settings.uploads_days:
            self._tidy_uploads()
        return gone

    def _too_old(self) -> Iterator[str]:
        """The ids of the jobs that go: by age, then by what all and what one owner's take."""
        limits, now = self.settings, self._clock()
        taken, by_owner = 0, dict[str, int]()
        for job in self.store.list(None, states=ENDED, limit=None):  # the newest first
            taken += job.bytes
            by_owner[job.owner] = by_owner.get(job.owner, 0) + job.bytes
            is_old = limits.days and now - (job.ended or now) > limits.days * DAY_S
            is_much = limits.total_mb and taken > limits.total_mb * MEGABYTE
            is_too_much = limits.owner_mb and by_owner[job.owner] > limits.owner_mb * MEGABYTE
            if is_old or is_much or is_too_much:
                taken -= job.bytes
                by_owner[job.owner] -= job.bytes
                yield job.id

    def _tidy_uploads(self) -> None:
        limit = self._clock() - self.settings.uploads_days * DAY_S
        read = "".join(job.recipe for job in self.store.list(None, states=OPEN, limit=None))
        for folder in self.uploads.glob("[0-9a-f]*"):
            if folder.stat().st_mtime < limit and folder.name not in read:
                discard(folder)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tidy()
            except (SQLAlchemyError, OSError):
                log.exception("results could not be removed; trying again")
            self._stopping.wait(self.settings.every_s)
