"""A task: a job that predicts, in the words of photograph services."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from fovea.service.jobs import Job
from fovea.service.outcome import find_artifact
from fovea.service.photo.options import PredictOptions
from fovea.service.photo.recipe import scene_name
from fovea.service.schemas import when
from fovea.service.table import PublicState

KIND = "predict"
"""Of the job, in the list of jobs."""


class TaskView(BaseModel):
    """A prediction that was asked for."""

    task_id: str
    status: PublicState
    status_url: str
    events_url: str = Field(description="its progress as server-sent events")
    position: int = Field(0, description="how many tasks are taken before it")
    progress: float = Field(description="percent of the whole")
    stage: str | None = Field(None, description="what is at work")
    url: str | None = Field(None, description="of the scene, once it succeeded")
    video_url: str | None = Field(None, description="of the film, where one was asked for")
    gaussians: int | None = None
    processing_time: float | None = Field(None, description="seconds from start to end")
    cached: bool = Field(False, description="an earlier prediction had made it")
    error: dict[str, Any] | None = None
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None

    @classmethod
    def of(cls, job: Job, *, base: str = "", position: int = 0) -> TaskView:
        """What is shown of a row.

        Args:
            job: the row.
            base: the address of the service, before the links.
            position: how many tasks are taken before it.
        """
        progress = job.progress or {}
        has_film = job.result is not None and bool(find_artifact(job.result, "film.video"))
        is_done = job.state == "succeeded"
        return cls(
            task_id=job.id,
            status=job.public_state,
            status_url=f"{base}/v1/tasks/{job.id}",
            events_url=f"{base}/v1/jobs/{job.id}/events",
            position=position,
            progress=100.0 if is_done else round(100 * progress.get("fraction", 0.0), 1),
            stage=progress.get("stage") if job.is_open else None,
            url=f"{base}/files/{job.id}/{scene_name(options_of(job))}" if is_done else None,
            video_url=f"{base}/files/{job.id}/film.mp4" if has_film else None,
            gaussians=gaussians(job),
            processing_time=seconds(job),
            cached=bool(job.result and job.result["cached"]),
            error=job.error,
            created=when(job.created),
            started=when(job.started) if job.started else None,
            ended=when(job.ended) if job.ended else None,
        )


def options_of(job: Job) -> PredictOptions:
    """What was asked for."""
    known = PredictOptions.model_fields
    return PredictOptions(**{name: value for name, value in job.config.items() if name in known})


def artifact_name(job: Job, file: str) -> str | None:
    """The artifact behind a name below /files, `output.ply` or `film.mp4`."""
    stages = {stage["key"] for stage in job.result["stages"]} if job.result else set[str]()
    if file == "film.mp4":
        return "film.video" if "film" in stages else None
    options = options_of(job)
    if file != scene_name(options):
        return None
    if "convert" in stages:
        return f"convert.{options.format}"
    return "finish.scene" if "finish" in stages else "predict.scene"


def gaussians(job: Job) -> int | None:
    """How many the scene has that was made."""
    stages = {stage["key"]: stage["scores"] for stage in (job.result or {}).get("stages", ())}
    last = (key for key in ("convert", "finish", "predict") if key in stages)
    scores = stages[next(last)] if stages else {}
    return int(scores["gaussians"]) if "gaussians" in scores else None


def seconds(job: Job) -> float | None:
    """How long it worked."""
    if job.started is None or job.ended is None:
        return None
    return round(job.ended - job.started, 3)
