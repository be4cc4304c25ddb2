"""One claim of one job, from its start to its end.

The work is done by a process of its own, which writes the run's folder. An attempt only reads what
is written there, keeps the lease, and ends the process when somebody asks for that. So a service
that dies takes nothing with it: the process works on, and whoever claims the job next finds it by
its mark, or starts it anew where it ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from fovea.errors import FoveaError
from fovea.runs.cache import Cache
from fovea.runs.events import Follower
from fovea.runs.plan import plan
from fovea.runs.recipe import Recipe, load
from fovea.runs.run import execute
from fovea.service import processes
from fovea.service.cache import ResultCache
from fovea.service.full import FULL_DISK, has_room, is_full
from fovea.service.jobs import Job, JobStore
from fovea.service.outcome import LOST, Outcome, cost, outcome
from fovea.service.places import Place, Work
from fovea.service.progress import Progress
from fovea.service.retries import again
from fovea.service.settings import ServeConfig

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
STOP_FILE = "stop.requested"
FAULT = "this is a fault of the service, not of what was asked for; its log says more"


@dataclass
class Workplace:
    """What a worker has at hand."""

    settings: ServeConfig
    store: JobStore
    cache: ResultCache
    place: Place
    endings: list[Callable[[Job], None]] = field(default_factory=list[Callable[[Job], None]])
    """Told of each job that has ended, by the worker that had it."""

    def told(self, job: Job | None) -> None:
        """Note the end of a job, if it was this worker's to end."""
        if job is None:
            return
        self.cache.note(job)
        for tell in self.endings:
            tell(job)


class Attempt:
    """One claim of one job."""

    def __init__(self, here: Workplace, job: Job, is_closing: Callable[[], bool]) -> None:
        self.here = here
        self.settings = here.settings
        self.store = here.store
        self.job = job
        self.is_closing = is_closing
        self.folder = (self.settings.runs / job.run).absolute()
        self.own = (self.settings.state_folder / "jobs" / job.id).absolute()
        self.console = self.own / "console.log"
        self._work: Work | None = None
        self._kill_at: float | None = None
        self._progress = Progress(job.stages)

    def carry_out(self) -> None:
        """Bring the job to an end, or put it back into the queue."""
        job = self.store.start(self.job)
        if job is None:
            return
        self.job = job
        if job.cancel_requested:
            self.here.place.end(job.id)
            self.here.told(self.store.cancelled(job))
        elif job.lost >= job.max_attempts:
            self.here.place.end(job.id)
            self.here.told(self.store.fail(job, LOST))
        elif not self._is_in_cache():
            try:
                self._go()
            except SQLAlchemyError:
                raise  # the table does not answer: the job is found again when its lease is over
            except Exception as error:  # noqa: BLE001 -- a fault of ours costs its job alone
                self._settle(Outcome(error=FULL_DISK if is_full(error) else self._fault(error)))

    def _fault(self, error: Exception) -> dict[str, Any]:
        # Its text may name what is no business of the caller's: that is for the log alone.
        log.error("job %s met a fault of the service", self.job.id, exc_info=error)
        return {"code": "internal", "message": f"{FAULT} ({type(error).__name__})"}

    def _is_in_cache(self) -> bool:
        """End at once where a job like it, ahead in the queue, has made its result meanwhile."""
        found = self.here.cache.find(self.job.fingerprint)
        if found is None:
            return False
        result = (found.result or {}) | {"cached": True}
        self.here.told(self.store.finish(self.job, result, run=found.run))
        return True

    def _go(self) -> None:
        self.own.mkdir(parents=True, exist_ok=True)
        path = self.own / "recipe.yaml"
        path.write_text(self.job.recipe, encoding="utf-8")
        try:
            recipe = load(path, environment={})
            if self._is_done_elsewhere(recipe):
                # Nothing is left to do but to link what another run made.
                execute(recipe, folder=self.folder)
                self._settle(outcome(self.folder, 0, self.console))
                return
        except FoveaError as error:
            failure = {"code": error.code, "message": str(error)}
            self.here.told(self.store.fail(self.job, failure))
            return
        place = self.here.place
        self._work = place.find(self.job, self.folder) or place.begin(
            self.job, path, self.folder, self.own
        )
        if self._watch(self._work):
            self._settle(outcome(self.folder, self._work.status, self.console))

    def _is_done_elsewhere(self, recipe: Recipe) -> bool:
        reuse = self.settings.cache.enabled
        planned = plan(recipe, self.folder, Cache(self.settings.runs), reuse=reuse)
        return all(stage.action in ("reuse", "link") for stage in planned)

    # Watching

    def _watch(self, work: Work) -> bool:
        """Follow the work to its end. Says no when the job is another worker's by now."""
        follower = Follower(self.folder / "events.jsonl")
        lease_s = self.settings.queue.lease_s
        renew_at = time.monotonic() + lease_s / 4
        while not work.has_ended():
            self._tell(follower)
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + lease_s / 4
                if self.store.renew(self.job, lease_s) is None:
                    return self._let_go()
            if self._kill_at is None:
                self._stop_if_asked(work)
            elif time.monotonic() >= self._kill_at:
                self.here.place.end(self.job.id)
            time.sleep(LOOK_EVERY_S)
        self._tell(follower, at_once=True)
        return True

    def _tell(self, follower: Follower, *, at_once: bool = False) -> None:
        for event in follower.new():
            self._progress.note(event)
        if self._progress.is_news(at_once):
            self.store.progress(self.job, self._progress.as_data(), self._progress.message)

    def _stop_if_asked(self, work: Work) -> None:
        now = self.store.get(self.job.id)
        if now is not None and now.cancel_requested:
            self._ask_to_stop(work, "cancel")
        elif self.is_closing():
            self._ask_to_stop(work, "stop")

    def _ask_to_stop(self, work: Work, why: str) -> None:
        self._kill_at = time.monotonic() + self.settings.queue.grace_s
        if self.folder.is_dir():
            (self.folder / STOP_FILE).write_text(why)
        if not work.has_ended():
            work.ask_to_stop()

    def _let_go(self) -> bool:
        """The lease is lost: leave the process to a worker on this machine, else end it."""
        now = self.store.get(self.job.id)
        place = self.here.place
        is_found_again = place.outlives and now is not None and processes.is_here(now.worker or "")
        if now is None or not now.is_open or not is_found_again:
            place.end(self.job.id)
        return False

    # The end

    def _settle(self, reached: Outcome) -> None:
        left = self.here.place.end(self.job.id)
        if left:
            log.error("job %s: %d processes cannot be ended", self.job.id, left)
        job, store = self.job, self.store
        now = store.get(job.id)
        costs: dict[str, Any] = cost(self.folder)
        error = reached.error or LOST
        if reached.result is None and not has_room(self.settings.runs):
            # It may have had no room to say so.
            error = FULL_DISK
        if reached.result is not None:
            self.here.told(store.finish(job, reached.result, **costs))
        elif now is not None and now.cancel_requested:
            self.here.told(store.cancelled(job, **costs))
        elif reached.is_lost and self.is_closing():
            store.release(job, "stopped with the service", **costs)
        elif once_more := again(job, error):
            log.warning("job %s: %s", job.id, once_more.message)
            store.release(
                job,
                once_more.message,
                wait_s=once_more.wait_s,
                because=once_more.because,
                **costs,
            )
        else:
            self.here.told(store.fail(job, error, **costs))
