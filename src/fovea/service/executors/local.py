"""Threads that work through the queue, each with one job at hand."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from fovea.service import processes
from fovea.service.attempt import Attempt, Workplace

log = logging.getLogger(__name__)

CLAIM_EVERY_S = 0.5
RECOVER_EVERY_S = 5.0


class Threads:
    """Threads of this process; where the jobs' own processes run is the workplace's business."""

    def __init__(self, workplace: Workplace) -> None:
        self.here = workplace
        self._stopping = threading.Event()
        self._news = threading.Semaphore(0)
        self._recovered = 0.0
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"worker-{number}")
            for number in range(workplace.settings.queue.workers)
        ]

    def start(self) -> None:
        """Take back the jobs of a service that died, and begin."""
        self._recover()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that there is a new job."""
        self._news.release()

    def stop(self) -> None:
        """Ask the jobs at hand to save and leave, put them back into the queue, and end."""
        self._stopping.set()
        for _ in self._threads:
            self._news.release()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self.here.place.close()

    @property
    def is_well(self) -> bool:
        """Whether all threads are at work."""
        return all(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        name = processes.me(number)
        queue, store = self.here.settings.queue, self.here.store
        while not self._stopping.is_set():
            try:
                if number == 0 and time.monotonic() - self._recovered > RECOVER_EVERY_S:
                    self._recover()
                job = store.claim(name, queue.lease_s, most_per_owner=queue.owner_running)
                if job is None:
                    self._news.acquire(timeout=CLAIM_EVERY_S)
                    continue
                Attempt(self.here, job, self._stopping.is_set).carry_out()
            except SQLAlchemyError:
                log.exception("the job table does not answer; trying again")
                self._stopping.wait(CLAIM_EVERY_S)
            except Exception:
                # The job at hand is found again when its lease is over; the thread is needed.
                log.exception("%s met a fault of the service; going on", name)
                self._stopping.wait(CLAIM_EVERY_S)

    def _recover(self) -> None:
        self._recovered = time.monotonic()
        for job in self.here.store.recover(processes.is_dead):
            log.warning("job %s lost its worker and is queued again", job.id)
