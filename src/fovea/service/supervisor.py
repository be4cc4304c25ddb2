"""The supervisor: claims jobs, runs each in a process of its own, and tells how it goes.

A few threads, each with one job at hand. The process does the work and writes the run's folder; the
thread only reads what is written there, keeps the lease, and ends the process when somebody asks
for that. So a service that dies takes nothing with it: the process works on, and the service that
comes back finds it by its mark, or starts it anew where it ended.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy.exc import SQLAlchemyError

from fovea.errors import FoveaError
from fovea.runs.cache import Cache
from fovea.runs.events import Follower
from fovea.runs.plan import plan
from fovea.runs.recipe import Recipe, load
from fovea.runs.run import execute
from fovea.service import processes
from fovea.service.jobs import Job, JobStore
from fovea.service.outcome import LOST, Outcome, outcome
from fovea.service.settings import ServeConfig

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
TELL_EVERY_S = 0.5
CLAIM_EVERY_S = 0.5
STOP_FILE = "stop.requested"


class Supervisor:
    """Threads that work through the queue."""

    def __init__(self, settings: ServeConfig, store: JobStore) -> None:
        self.settings = settings
        self.store = store
        self._stopping = threading.Event()
        self._news = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"worker-{number}")
            for number in range(settings.queue.workers)
        ]

    def start(self) -> None:
        """Take back the jobs of a service that died, and begin."""
        for job in self.store.recover(processes.is_dead):
            log.warning("job %s lost its worker and is queued again", job.id)
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
            thread.join()

    @property
    def is_well(self) -> bool:
        """Whether all threads are at work."""
        return all(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        name = processes.me(number)
        while not self._stopping.is_set():
            try:
                job = self.store.claim(name, self.settings.queue.lease_s)
                if job is None:
                    self._news.acquire(timeout=CLAIM_EVERY_S)
                    continue
                Attempt(self.settings, self.store, job, self._stopping.is_set).carry_out()
            except SQLAlchemyError:
                log.exception("the job table does not answer; trying again")
                self._stopping.wait(CLAIM_EVERY_S)


class Attempt:
    """One claim of one job, from its start to its end."""

    def __init__(
        self, settings: ServeConfig, store: JobStore, job: Job, is_closing: Callable[[], bool]
    ) -> None:
        self.settings = settings
        self.store = store
        self.job = job
        self.is_closing = is_closing
        self.folder = (settings.runs / job.run).absolute()
        self.own = (settings.state_folder / "jobs" / job.id).absolute()
        self.console = self.own / "console.log"
        self._process: subprocess.Popen[bytes] | psutil.Process | None = None
        self._kill_at: float | None = None
        self._progress = Progress(job.stages)

    def carry_out(self) -> None:
        """Bring the job to an end, or put it back into the queue."""
        job = self.store.start(self.job)
        if job is None:
            return
        self.job = job
        if job.cancel_requested:
            processes.end(job.id)
            self.store.cancelled(job)
        elif job.attempt > job.max_attempts:
            processes.end(job.id)
            self.store.fail(job, LOST)
        else:
            self._go()

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
            self.store.fail(self.job, {"code": error.code, "message": str(error)})
            return
        self._process = self._still_at_work() or self._begin(path)
        if self._watch():
            self._settle(outcome(self.folder, self._status(), self.console))

    def _is_done_elsewhere(self, recipe: Recipe) -> bool:
        planned = plan(recipe, self.folder, Cache(self.settings.runs))
        return all(stage.action in ("reuse", "link") for stage in planned)

    def _begin(self, recipe: Path) -> subprocess.Popen[bytes]:
        processes.end(self.job.id)
        command = [sys.executable, "-m", "fovea", "run", str(recipe), "--run", str(self.folder)]
        command += ["--device", self.settings.gpu.device, "--log-format", "json"]
        # The recipe holds all settings; those in the environment must not lie over it.
        plain = {
            name: value
            for name, value in os.environ.items()
            if not (name.startswith("FOVEA_") and "__" in name)
        }
        return processes.start(
            command, job=self.job.id, console=self.console, folder=self.own, environment=plain
        )

    def _still_at_work(self) -> psutil.Process | None:
        """The process of an earlier attempt, whose service died and which did not."""
        for process in processes.marked(self.job.id):
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if "run" in words and str(self.folder) in words:
                log.info("job %s is still at work in process %d", self.job.id, process.pid)
                return process
        return None

    # Watching

    def _watch(self) -> bool:
        """Follow the process to its end. Says no when the job is another worker's by now."""
        follower = Follower(self.folder / "events.jsonl")
        renew_at = time.monotonic() + self.settings.queue.lease_s / 4
        while not self._has_ended():
            self._tell(follower)
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + self.settings.queue.lease_s / 4
                if self.store.renew(self.job, self.settings.queue.lease_s) is None:
                    return self._let_go()
            if self._kill_at is None:
                self._stop_if_asked()
            elif time.monotonic() >= self._kill_at:
                processes.end(self.job.id)
            time.sleep(LOOK_EVERY_S)
        self._tell(follower, at_once=True)
        return True

    def _tell(self, follower: Follower, *, at_once: bool = False) -> None:
        for event in follower.new():
            self._progress.note(event)
        if self._progress.is_news(at_once):
            self.store.progress(self.job, self._progress.as_data(), self._progress.message)

    def _stop_if_asked(self) -> None:
        now = self.store.get(self.job.id)
        if now is not None and now.cancel_requested:
            self._ask_to_stop("cancel")
        elif self.is_closing():
            self._ask_to_stop("stop")

    def _ask_to_stop(self, why: str) -> None:
        self._kill_at = time.monotonic() + self.settings.queue.grace_s
        if self.folder.is_dir():
            (self.folder / STOP_FILE).write_text(why)
        if self._process is not None and not self._has_ended():
            self._process.send_signal(signal.SIGTERM)

    def _let_go(self) -> bool:
        """The lease is lost: leave the process to a worker on this machine, else end it."""
        now = self.store.get(self.job.id)
        if now is None or not now.is_open or not processes.is_here(now.worker or ""):
            processes.end(self.job.id)
        return False

    def _has_ended(self) -> bool:
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll() is not None
        return self._process is None or not processes.is_alive(self._process)

    def _status(self) -> int | None:
        return self._process.returncode if isinstance(self._process, subprocess.Popen) else None

    # The end

    def _settle(self, reached: Outcome) -> None:
        left = processes.end(self.job.id)
        if left:
            log.error("job %s: %d processes cannot be ended", self.job.id, left)
        now = self.store.get(self.job.id)
        if reached.result is not None:
            self.store.finish(self.job, reached.result)
        elif now is not None and now.cancel_requested:
            self.store.cancelled(self.job)
        elif reached.error is not None and not reached.is_lost:
            self.store.fail(self.job, reached.error)
        elif self.is_closing():
            self.store.release(self.job, "stopped with the service", undo=True)
        elif self.job.attempt >= self.job.max_attempts:
            self.store.fail(self.job, reached.error or LOST)
        else:
            message = "its process was lost; it goes on from there"
            self.store.release(self.job, message, wait_s=self.job.attempt**2)


class Progress:
    """How far a run is, gathered from its events."""

    def __init__(self, stages: int) -> None:
        self.stages = max(1, stages)
        self.message = ""
        self._settled: set[str] = set()
        self._now: dict[str, Any] = {}
        self._told = 0.0
        self._is_new = False

    def note(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        stage = event.get("stage")
        if event["kind"] == "progress":
            self._now = {name: event[name] for name in ("stage", "done", "total", "unit", "shown")}
            self.message = f"{stage}: {event['done']} of {event['total']} {event['unit']}"
        elif event["kind"] == "state" and stage and event["state"] == "running":
            self._settled.discard(stage)
            self.message = f"{stage} begins"
        elif event["kind"] == "state" and stage:
            self._settled.add(stage)
            self._now = {}
            self.message = f"{stage}: {event['state']}"
        else:
            return
        self._is_new = True

    def is_news(self, at_once: bool) -> bool:
        """Whether there is something to tell, and not too soon after the last time."""
        now = time.monotonic()
        if not self._is_new or (now - self._told < TELL_EVERY_S and not at_once):
            return False
        self._told, self._is_new = now, False
        return True

    def as_data(self) -> dict[str, Any]:
        """What the job's row says: the part done of the whole, and of the stage at work."""
        part = self._now["done"] / max(1, self._now["total"]) if self._now else 0.0
        fraction = min(1.0, (len(self._settled) + part) / self.stages)
        return {"fraction": round(fraction, 4), "stages": self.stages} | self._now
