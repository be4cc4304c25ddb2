"""What a message says of a job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from fovea.service.jobs import Job
from fovea.service.photo.tasks import KIND, TaskView

Event = Literal["task_completed", "task_failed"]


def payload(event: Event, job: Job, base_url: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a message: what is always said, under what the caller says besides."""
    ended = job.ended or time.time()
    said: dict[str, Any] = {"event": event, "task_id": job.id, "timestamp": ended}
    if event == "task_completed":
        said |= {
            "status": "success",
            "url": _url(job),
            "processing_time": round(ended - job.created, 3),
        }
    else:
        reason = (job.error or {}).get("message") or job.message or job.state
        said |= {"status": "error", "error": reason}
    said |= more
    if base_url and str(said.get("url", "")).startswith("/"):
        said["url"] = base_url.rstrip("/") + said["url"]
    return said


def _url(job: Job) -> str:
    """Where what it made is: the scene of a prediction, of other work the job."""
    is_scene = job.kind == KIND and job.result is not None
    return (TaskView.of(job).url if is_scene else None) or f"/v1/jobs/{job.id}"
