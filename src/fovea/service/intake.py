"""The one way into the queue: a checked request becomes a row of the job table."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.runs.run import fresh_folder
from fovea.service.jobs import Job, new_id
from fovea.service.quotas import MEGABYTE, Quotas
from fovea.service.submission import Submission

if TYPE_CHECKING:
    from fovea.service.settings.queue import QueueConfig
    from fovea.service.state import Service


def accept(
    here: Service,
    owner: str,
    asked: Submission,
    *,
    key: str | None = None,
    priority: int = 0,
    webhook_url: str | None = None,
) -> tuple[Job, bool]:
    """Put what was asked for into the queue, and wake whoever works on it.

    Where the very same work was done before, the job has succeeded at once, with that result.

    Args:
        here: the service.
        owner: to whom the job belongs.
        asked: the request, checked.
        key: the same for the same request, `Idempotency-Key`.
        priority: jobs with a higher one are taken first.
        webhook_url: an address that is told when it ends.

    Returns:
        The job, and whether it is new.

    Raises:
        StaleKeyError: the key was used for another request.
        QueueFullError: as many jobs wait as may.
        QuotaError: its owner has as much as one may have.
        RefusedError: the address must not be told.
    """
    id = new_id()
    job = Job(
        id=id,
        owner=owner,
        kind=asked.kind,
        config=asked.body,
        preset=asked.preset,
        recipe=asked.recipe.to_yaml(),
        stages=len(asked.recipe.steps),
        run=run_name(here.settings.runs, asked.recipe.name, id),
        digest=asked.digest,
        fingerprint=here.cache.fingerprint(asked.recipe),
        idempotency_key=key,
        priority=priority,
        max_attempts=here.settings.queue.attempts,
        created=time.time(),
    )
    if webhook_url:
        here.webhooks.follow(job.id, webhook_url)
    accepted, is_new = here.store.enqueue(_answered(here, job), quotas(here.settings.queue))
    if is_new and accepted.is_open:
        here.supervisor.wake()
    elif is_new:
        here.webhooks.on_put()
    return accepted, is_new


def run_name(runs: Path, name: str, id: str) -> str:
    """The folder of a job's run: as that of any run, but no two of many jobs get the same."""
    return f"{fresh_folder(runs, name).name.rpartition('_')[0]}_{id[-8:]}"


def quotas(queue: QueueConfig) -> Quotas:
    """How much may be asked for."""
    return Quotas(
        waiting=queue.max_waiting,
        queued=queue.owner_queued,
        running=queue.owner_running,
        gpu_s=queue.owner_gpu_s,
        bytes=int(queue.owner_mb * MEGABYTE),
    )


def _answered(here: Service, job: Job) -> Job:
    """The job with the result of an earlier one, where there is such."""
    found = here.cache.find(job.fingerprint)
    if found is None:
        return job
    now = job.created
    result = found.result | {"cached": True}
    return dataclasses.replace(
        job, run=found.run, state="succeeded", result=result, started=now, ended=now
    )
