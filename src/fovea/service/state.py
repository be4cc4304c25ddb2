"""What the routes share: settings, job table, uploads, workers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Request

from fovea import dialect
from fovea.service.access import Caller, Gate, caller
from fovea.service.cache import ResultCache
from fovea.service.executors import Executor
from fovea.service.glance import Glance
from fovea.service.jobs import Job, JobStore
from fovea.service.metrics import Metrics
from fovea.service.outcome import find_artifact
from fovea.service.photo.batches import BatchStore
from fovea.service.photo.desk import PhotoDesk
from fovea.service.problems import not_found
from fovea.service.pulse import Pulse
from fovea.service.retention import Retention
from fovea.service.settings import ServeConfig
from fovea.service.studies import Studies
from fovea.service.submission import below
from fovea.service.uploads import Uploads
from fovea.service.webhooks import Outbox


class Part(Protocol):
    """Something that is at work while the service runs."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End, and wait until it has ended."""
        ...


@dataclass
class Service:
    """The parts of a running service; `app.assemble` puts them together."""

    settings: ServeConfig
    store: JobStore
    glance: Glance
    """One row of it, read without waiting."""
    uploads: Uploads
    supervisor: Executor
    """Who works on the jobs."""
    gate: Gate
    """Who may call, what, and how often."""
    photo: PhotoDesk
    """Device and network of predictions, and who waits for them."""
    batches: BatchStore
    """Photographs that were sent together."""
    pulse: Pulse
    """What is counted every second."""
    cache: ResultCache
    """Results that are used again."""
    retention: Retention
    """Removes what is old."""
    webhooks: Outbox
    """Messages to other machines."""
    studies: Studies
    """Stages that are tuned."""
    metrics: Metrics | None = None
    """Figures for Prometheus; none where nobody wants them."""
    parts: list[Part] = field(default_factory=list[Part])
    """What is started with the service, in this order, and stopped in the opposite one."""
    lookups: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    """Threads for short questions, who calls and how a job goes: no upload is waited for."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the service is about to end: what streams, stops."""

    def job(self, id: str, owner: str) -> Job:
        """The caller's job of that id.

        Raises:
            RefusedError: the caller has none.
        """
        job = self.store.get(id)
        if job is None or job.owner != owner:
            raise not_found("job", id, "GET /v1/jobs lists them.")
        return job

    def run_folder(self, job: Job) -> Path:
        """The folder of a job's run; there is none before it begins."""
        return self.settings.runs / job.run

    def find(self, name: str, owner: str) -> Path | None:
        """Where the file or folder of a name in a request stands: see `submission`."""
        first, _, rest = name.partition("/")
        if first == "samples":
            return below(dialect.SAMPLES, rest)
        id, _, rest = rest.partition("/")
        if first == "uploads":
            path = self.uploads.path(id)
            return below(path, rest) if path else None
        job = self.store.get(id)
        if first != "jobs" or job is None or job.owner != owner:
            return None
        artifact, _, rest = rest.partition("/")
        found = self.artifact(job, artifact)
        return below(found[0], rest) if found else None

    def artifact(self, job: Job, name: str) -> tuple[Path, dict[str, Any]] | None:
        """Where an artifact of a finished job stands, and what is known of it."""
        about = find_artifact(job.result, name) if job.result else None
        return (self.run_folder(job) / about["path"], about) if about else None


async def service(request: Request) -> Service:  # async: a thread's turn costs more than the work
    """The service that a request came to."""
    return request.app.state.service


Here = Annotated[Service, Depends(service)]
Who = Annotated[Caller, Depends(caller)]


async def the_job(id: str, here: Here, who: Who) -> Job:
    """The job named in the address."""
    found = here.glance.job(id)
    if found is not None and found.owner == who.owner:
        return found
    return await run_sync(here.job, id, who.owner, limiter=here.lookups)


TheJob = Annotated[Job, Depends(the_job)]
