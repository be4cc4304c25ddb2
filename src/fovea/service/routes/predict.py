"""A photograph comes in, a scene goes out: at once, or as a task."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from fovea.service.access import needs
from fovea.service.jobs import Job
from fovea.service.photo.files import made_file
from fovea.service.photo.forms import described, form_of, options_in, photo_in
from fovea.service.photo.submit import enqueue
from fovea.service.photo.tasks import KIND, TaskView, gaussians
from fovea.service.problems import OLD_STYLE, RESPONSES, RefusedError, not_found
from fovea.service.state import Here, Service, TheJob, Who

router = APIRouter(tags=["photographs"], responses=RESPONSES)

LOOK_EVERY_S = 0.1
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]


class PredictAnswer(BaseModel):
    """A scene that was made."""

    status: Literal["success"] = "success"
    url: str = Field(description="where the scene is")
    processing_time: float = Field(description="seconds of the whole request")
    task_id: str
    gaussians: int | None = None
    cached: bool = Field(False, description="an earlier prediction had made it")
    video_url: str | None = None


class TaskList(BaseModel):
    """The caller's predictions, newest first."""

    tasks: list[TaskView]


ONE_PHOTO = described(
    file={"type": "string", "format": "binary", "description": "the photograph"},
    photo={"type": "string", "description": "in place of it, what was sent before: uploads/<id>"},
)


@router.post(
    "/v1/predict",
    response_model=PredictAnswer,
    dependencies=[needs("predict", "jobs:write")],
    openapi_extra=ONE_PHOTO,
)
async def predict(request: Request, here: Here, who: Who, key: Key = None) -> Response:
    """Send a photograph and wait for its scene."""
    began = time.perf_counter()
    with here.photo.wait():
        job, _ = await _enqueue(request, here, who.owner, key)
        done = await _ended(here, job)
    if done.state != "succeeded":
        raise refusal(done)
    is_old = bool(request.scope.get(OLD_STYLE))
    task = TaskView.of(done, base="" if is_old else address(request))
    answer = PredictAnswer(
        url=task.url or "",
        processing_time=round(time.perf_counter() - began, 3),
        task_id=done.id,
        gaussians=gaussians(done),
        cached=task.cached,
        video_url=task.video_url,
    )
    return JSONResponse(answer.model_dump(mode="json"))


@router.post(
    "/v1/tasks",
    status_code=202,
    response_model=TaskView,
    responses={200: {"model": TaskView, "description": "This very request was made before."}},
    dependencies=[needs("predict", "jobs:write")],
    openapi_extra=ONE_PHOTO,
)
async def submit(request: Request, here: Here, who: Who, key: Key = None) -> Response:
    """Send a photograph and come back for its scene."""
    job, is_new = await _enqueue(request, here, who.owner, key)
    view = TaskView.of(job, base=address(request), position=await run_sync(here.store.ahead, job))
    return JSONResponse(
        view.model_dump(mode="json"),
        202 if is_new else 200,
        headers={"Location": f"/v1/tasks/{job.id}"},
    )


@router.get("/v1/tasks", dependencies=[needs("predict", "jobs:read")])
def tasks(
    request: Request,
    here: Here,
    who: Who,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: str = "",
) -> TaskList:
    """The caller's predictions, newest first; `before` is the id at which the last page ended."""
    jobs = here.store.list(who.owner, before=before, limit=limit)
    found = [job for job in jobs if job.kind == KIND]
    return TaskList(tasks=[TaskView.of(job, base=address(request)) for job in found])


@router.get("/v1/tasks/{id}", dependencies=[needs("predict", "jobs:read")])
def task(request: Request, found: TheJob, here: Here) -> TaskView:
    """How far a prediction is."""
    return TaskView.of(_prediction(found), base=address(request), position=here.store.ahead(found))


@router.delete("/v1/tasks/{id}", status_code=202, dependencies=[needs("predict", "jobs:write")])
def cancel(request: Request, found: TheJob, here: Here) -> TaskView:
    """End a prediction."""
    now = here.store.cancel(_prediction(found).id) or here.job(found.id, found.owner)
    return TaskView.of(now, base=address(request))


@router.get(
    "/files/{id}/{name}",
    response_class=FileResponse,
    dependencies=[needs("predict", "jobs:read")],
)
def file(name: str, found: TheJob, here: Here) -> Response:
    """What a prediction made: `output.ply`, or in the format asked for; `film.mp4`."""
    made = made_file(here, _prediction(found), name)
    if made is None:
        raise not_found("file", Path(name).name, f"The task is {found.public_state}.")
    headers = {"ETag": f'"{made[1]}"', "Cache-Control": "private, no-cache"}
    return FileResponse(made[0], headers=headers, filename=name)


def address(request: Request) -> str:
    """The address of the service as the caller knows it."""
    return str(request.base_url).rstrip("/")


def refusal(job: Job) -> RefusedError:
    """Why a prediction did not come to its end, with the status for it."""
    error = job.error or {}
    if job.state == "cancelled":
        return RefusedError(409, "cancelled", f"task {job.id} was cancelled before it was done.")
    code, message = str(error.get("code", "job")), str(error.get("message", job.message))
    statuses = {"oom": 507, "disk": 507, "backend": 503}
    statuses |= dict.fromkeys(("data", "artifact", "config"), 422)
    return RefusedError(statuses.get(code, 500), code, message or "the prediction failed.")


async def _enqueue(
    request: Request, here: Service, owner: str, key: str | None
) -> tuple[Job, bool]:
    async with form_of(request, most_files=1) as form:
        options = options_in(form)
        photo = await photo_in(form, here, owner)
    return await run_sync(lambda: enqueue(here, owner, photo, options, key=key))


async def _ended(here: Service, job: Job) -> Job:
    while True:
        now = await run_sync(here.store.get, job.id)
        if now is None:
            raise not_found("task", job.id, "It was removed while it was waited for.")
        if not now.is_open:
            return now
        if here.closing.is_set():
            raise RefusedError(
                503,
                "closing",
                f"the service ends now; task {job.id} goes on at its next start.",
                headers={"Retry-After": "30"},
            )
        await anyio.sleep(LOOK_EVERY_S)


def _prediction(job: Job) -> Job:
    if job.kind != KIND:
        raise not_found("task", job.id, f"It is a job of {job.kind}: GET /v1/jobs/{job.id}.")
    return job
