"""What is looked at every second, so that no request has to: the queue, jobs that ended, cards."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from fovea.service import processes
from fovea.service.jobs import JOBS, Job, JobStore
from fovea.service.logs import SUCCESS
from fovea.service.metrics.gpus import gpu_facts, memory_mb
from fovea.service.photo.tasks import KIND, gaussians
from fovea.service.settings import ServeConfig

if TYPE_CHECKING:
    from fovea.service.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
GPUS_EVERY = 5
"""Looks between two at the cards."""
PARTS = {"read": "image_load", "network": "inference", "write": "ply_save"}
"""Of a prediction's seconds: as its metrics.jsonl has them, as the figures name them."""


class Pulse:
    """A part of the service: one thread."""

    def __init__(self, settings: ServeConfig, store: JobStore, metrics: Metrics | None) -> None:
        self.settings = settings
        self.store = store
        self.metrics = metrics
        self.counts: dict[str, int] = {}
        self.gpu_memory_mb = 0.0
        self._ended_after = time.time()
        self._running: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    @property
    def queue_depth(self) -> int:
        """Jobs that wait."""
        return self.counts.get("queued", 0)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _beat(self) -> None:
        number = 0
        while not self._stopping.is_set():
            try:
                self._look()
            except SQLAlchemyError:
                log.exception("the job table does not answer; looking again")
            if number % GPUS_EVERY == 0 and self.settings.monitoring.enable_gpu:
                self._look_at_gpus()
            number += 1
            self._stopping.wait(LOOK_EVERY_S)

    def _look(self) -> None:
        self.counts = self.store.counts()
        self._running = self._at_work()
        ended = self._ended()
        for job in ended:
            _tell(job, self.settings.runs / job.run)
        if self.metrics is None:
            return
        self.metrics.queue_depth.set(self.queue_depth)
        self.metrics.active.set(sum(kind == KIND for kind in self._running.values()))
        for job in ended:
            self._note(job, self.metrics)

    def _at_work(self) -> dict[str, str]:
        query = select(JOBS.c.id, JOBS.c.kind).where(JOBS.c.state == "running")
        with self.store.engine.connect() as connection:
            return {id: kind for id, kind in connection.execute(query)}

    def _ended(self) -> list[Job]:
        with self.store.engine.connect() as connection:
            query = select(JOBS).where(JOBS.c.ended > self._ended_after).order_by(JOBS.c.ended)
            found = [Job(**row) for row in connection.execute(query).mappings()]
        self._ended_after = found[-1].ended or self._ended_after if found else self._ended_after
        return found

    def _note(self, job: Job, metrics: Metrics) -> None:
        if job.started is not None:
            metrics.queue_wait_s.observe(max(0.0, job.started - job.created))
        if job.kind != KIND or job.state == "cancelled":
            return
        is_made = job.state == "succeeded"
        metrics.predictions.labels("success" if is_made else "error").inc()
        if job.started is None or job.ended is None or not is_made:
            return
        metrics.predict_s.observe(job.ended - job.started)
        metrics.stage_s.labels("total").observe(job.ended - job.started)
        metrics.gaussians.observe(gaussians(job) or 0)
        for stage, seconds in stage_seconds(job, self.settings.runs / job.run).items():
            metrics.stage_s.labels(stage).observe(seconds)

    def _look_at_gpus(self) -> None:
        found = gpu_facts()
        if not found:
            return
        if self.metrics is not None:
            self.metrics.note_gpus(found)
        at_work = [one for job in self._running for one in processes.marked(job)]
        self.gpu_memory_mb = memory_mb({one.pid for one in at_work})


def _tell(job: Job, run: Path) -> None:
    """Say in the log how a job ended, and how long its parts took."""
    if job.state != "succeeded":
        level = logging.INFO if job.state == "cancelled" else logging.ERROR
        log.log(level, "[Task %s] %s %s: %s", job.id, job.kind, job.state, job.message)
        return
    parts = stage_seconds(job, run) if job.kind == KIND else {}
    told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
    taken = (job.ended or 0.0) - (job.started or job.ended or 0.0)
    log.log(SUCCESS, "[Task %s] %s done in %.2f s%s", job.id, job.kind, taken, told and f": {told}")


def stage_seconds(job: Job, run: Path) -> dict[str, float]:
    """Seconds of a prediction's parts, from what its run wrote down."""
    found: dict[str, float] = {}
    for stage in (job.result or {}).get("stages", ()):
        if stage["reused_from"]:
            continue
        if stage["key"] == "predict":
            found |= _parts(run)
        else:
            found["postprocess"] = found.get("postprocess", 0.0) + stage["seconds"]
    return found


def _parts(run: Path) -> dict[str, float]:
    lines = [
        json.loads(line)
        for path in run.glob("stages/predict-*/metrics.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    said: dict[str, float] = {}
    for line in lines:
        metrics: Mapping[str, Any] = line.get("metrics", {})
        for part, stage in PARTS.items():
            if f"seconds/{part}" in metrics:
                said[stage] = said.get(stage, 0.0) + metrics[f"seconds/{part}"]
    return said
