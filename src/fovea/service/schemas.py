"""The objects of the API, as they go over the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from fovea.service.jobs import Job
from fovea.service.table import PublicState
from fovea.service.uploads import Upload


class ProgressView(BaseModel):
    """How far a job is."""

    fraction: float = Field(description="of the whole job, 0 to 1")
    stages: int
    stage: str | None = Field(None, description="the stage at work")
    done: float | None = None
    total: float | None = None
    unit: str | None = None
    shown: dict[str, Any] = {}


class JobView(BaseModel):
    """A job, as its caller sees it."""

    id: str
    kind: str
    state: PublicState
    cancelling: bool = Field(description="somebody asked for its end, and it has not ended yet")
    config: dict[str, Any] = Field(description="the settings that were sent")
    preset: str = Field(description="the preset that was named beside them; empty where none was")
    attempt: int
    progress: ProgressView | None
    message: str
    cached: bool = Field(description="an earlier run had made all of it")
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    run: str = Field(description="its run's folder among the runs")
    links: dict[str, str]

    @classmethod
    def of(cls, job: Job) -> JobView:
        """What is shown of a row."""
        base = f"/v1/jobs/{job.id}"
        result = job.result
        if result is not None:
            made = [
                one | {"href": f"{base}/artifacts/{one['name']}"} for one in result["artifacts"]
            ]
            result = result | {"artifacts": made}
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.public_state,
            cancelling=job.cancel_requested and job.is_open,
            config=job.config,
            preset=job.preset,
            attempt=job.attempt,
            progress=ProgressView(**job.progress) if job.progress else None,
            message=job.message,
            cached=bool(result and result["cached"]),
            result=result,
            error=job.error,
            created=when(job.created),
            started=when(job.started) if job.started else None,
            ended=when(job.ended) if job.ended else None,
            run=job.run,
            links={"self": base, "events": f"{base}/events", "page": f"/jobs/{job.id}/"},
        )


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next: str | None = Field(None, description="the address of the page after this one")


class UploadView(BaseModel):
    """What was sent; `name` is what a request says where a setting takes a path."""

    id: str
    name: str
    is_folder: bool
    files: int
    size: int
    sha256: str

    @classmethod
    def of(cls, upload: Upload) -> UploadView:
        """What is shown of an upload."""
        return cls(
            id=upload.id,
            name=f"uploads/{upload.id}",
            is_folder=upload.is_folder,
            files=upload.files,
            size=upload.size,
            sha256=upload.sha256,
        )


class OutputView(BaseModel):
    """An artifact that a stage makes."""

    name: str
    kind: str
    help: str
    optional: bool


class StageView(BaseModel):
    """What can be asked for."""

    kind: str
    is_recipe: bool
    summary: str
    inputs: dict[str, str] = {}
    outputs: list[OutputView] = []
    metrics: dict[str, str] = {}
    presets: list[str] = []
    stages: dict[str, str] = Field(description="of a recipe: the stages by key")
    missing: str = Field(description="why it cannot run here; empty when it can")
    schema_href: str


class StageList(BaseModel):
    """Stages and recipes, and the samples they can be tried on."""

    stages: list[StageView]
    samples: list[str]


class Health(BaseModel):
    """Whether the service lives, or can take jobs."""

    status: Literal["ok", "unwell"]
    version: str
    jobs: dict[str, int] = {}
    trouble: list[str] = []


def when(seconds: float) -> datetime:
    """A time of the job table as a date."""
    return datetime.fromtimestamp(seconds, UTC)
