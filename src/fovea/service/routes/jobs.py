"""Jobs: ask for one, see how it goes, follow it, end it, take what it made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.datastructures import UploadFile

from fovea.runs.events import Follower
from fovea.service.access import reads_or_writes
from fovea.service.intake import accept
from fovea.service.jobs import Job
from fovea.service.problems import RESPONSES, RefusedError, not_found
from fovea.service.schemas import JobList, JobView
from fovea.service.state import Here, Service, TheJob, Who
from fovea.service.submission import stages_of, submission
from fovea.service.table import PublicState

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES, dependencies=[reads_or_writes]
)

LOOK_EVERY_S = 0.2
INTERNAL = {"queued": ("queued", "leased")}
"""A public state that stands for more than itself."""


@router.post(
    "/{kind}",
    status_code=202,
    response_model=JobView,
    responses={200: {"model": JobView, "description": "It was asked for, or done, before."}},
    openapi_extra={
        "requestBody": {
            "description": "The settings: see /v1/schemas/{kind}. In a form they are the part"
            " `config`, and a file in a part named as the setting becomes that setting's input.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"config": {"type": "string"}},
                        "additionalProperties": {"type": "string", "format": "binary"},
                    }
                },
            },
        }
    },
)
async def submit(
    kind: str,
    request: Request,
    here: Here,
    who: Who,
    preset: Annotated[str | None, Query(description="one of the stage's presets")] = None,
    priority: Annotated[int, Query(ge=-10, le=10, description="higher is sooner")] = 0,
    webhook_url: Annotated[
        str | None, Query(max_length=2000, description="an address that is told when it ends")
    ] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Ask for a stage or a recipe to be run."""
    await run_sync(stages_of, kind)
    settings = await _settings(request, here)

    def enqueue() -> tuple[Job, bool]:
        asked = submission(
            kind, settings, preset=preset, lookup=lambda name: here.find(name, who.owner)
        )
        return accept(
            here,
            who.owner,
            asked,
            key=idempotency_key,
            priority=priority,
            webhook_url=webhook_url,
        )

    job, is_new = await run_sync(enqueue)
    return JSONResponse(
        JobView.of(job).model_dump(mode="json"),
        202 if is_new and job.is_open else 200,
        headers={"Location": f"/v1/jobs/{job.id}"},
    )


@router.get("")
def jobs(
    here: Here,
    who: Who,
    state: PublicState | None = None,
    before: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobList:
    """The caller's jobs, newest first."""
    states = INTERNAL.get(state, (state,)) if state else ()
    found = here.store.list(who.owner, states=states, before=before, limit=limit + 1)
    more = {"before": found[limit - 1].id, "limit": limit} if len(found) > limit else None
    if more and state:
        more["state"] = state
    next_page = f"/v1/jobs?{urlencode(more)}" if more else None
    return JobList(jobs=[JobView.of(job) for job in found[:limit]], next=next_page)


@router.get("/{id}", response_model=JobView)
async def job(found: TheJob) -> Response:
    """One job."""
    return answer_of(found)


def answer_of(job: Job) -> Response:
    """The answer to those who ask how a job goes."""
    return Response(JobView.of(job).model_dump_json(), media_type="application/json")


@router.delete("/{id}", status_code=202)
def cancel(
    found: TheJob,
    here: Here,
    forget: Annotated[bool, Query(description="remove an ended job with what it made")] = False,
) -> JobView:
    """End a job: it may save what it has, then its processes are killed."""
    if not forget:
        return JobView.of(here.store.cancel(found.id) or here.job(found.id, found.owner))
    gone = here.retention.forget(found.id)
    if gone is None:
        raise _not_now(found, "removed", "It has not ended yet: cancel it, and wait for its end.")
    return JobView.of(gone)


@router.post("/{id}/retry", status_code=202)
def retry(found: TheJob, here: Here) -> JobView:
    """Have a job that failed or was cancelled done once more; what it has done already is kept."""
    again = here.store.retry(found.id)
    if again is None:
        raise _not_now(found, "retried", "Only a job that failed or was cancelled can be.")
    here.supervisor.wake()
    return JobView.of(again)


def _not_now(job: Job, what: str, hint: str) -> RefusedError:
    detail = f"job {job.id} is {job.public_state} and cannot be {what}. {hint}"
    return RefusedError(409, "wrong_state", detail)


@router.get("/{id}/events", response_class=EventSourceResponse)
async def events(
    found: TheJob,
    here: Here,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What happens in a job, as it happens, from the beginning or after `Last-Event-ID`.

    Each event of the run has its number as id. `job` tells of the job itself; `end` is the last.
    """
    since = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
    run, follower = "", Follower(Path())
    told: tuple[Any, ...] = ()
    while not here.closing.is_set():
        now = await run_sync(here.store.get, found.id)
        if now is None:
            return
        if now.run != run:  # at first, and where the result of another run is taken over
            run = now.run
            follower = Follower(here.run_folder(now) / "events.jsonl", since=since)
        # The row first, then the events: what is written before the row says "ended" is not missed.
        for event in await run_sync(list, follower.new()):
            yield ServerSentEvent(data=event, event=event["kind"], id=str(event["n"]))
        seen = (now.state, now.cancel_requested, now.attempt)
        if seen != told:
            told = seen
            data = JobView.of(now).model_dump(mode="json")
            yield ServerSentEvent(data=data, event="job" if now.is_open else "end", retry=1000)
        if not now.is_open:
            return
        await anyio.sleep(LOOK_EVERY_S)


@router.get("/{id}/artifacts/{name:path}", response_class=FileResponse)
def artifact(name: str, found: TheJob, here: Here, request: Request) -> Response:
    """Something a job made: a file, whole or in parts, or the list of the files in a folder."""
    first, _, rest = name.partition("/")
    made = here.artifact(found, first)
    if made is None:
        names = [one["name"] for one in found.result["artifacts"]] if found.result else []
        hint = f"It made: {', '.join(names)}." if names else f"The job is {found.public_state}."
        raise not_found("artifact", first, hint)
    path = here.find(f"jobs/{found.id}/{name}", found.owner)
    if path is None:
        raise not_found("file", name, "It may have been removed since.")
    if path.is_dir():
        return JSONResponse(_listing(path))
    tag = made[1]["sha256"] if not rest else f"{path.stat().st_mtime_ns:x}"
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, filename=path.name)


async def _settings(request: Request, here: Service) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=here.settings.uploads.archive_entries) as form:
            return await run_sync(_from_form, list(form.multi_items()), here)
    body = await request.body()
    if kind not in ("application/json", "") and body:
        raise RefusedError(
            415, "media_type", f"settings come as JSON or as a form, and this is {kind}."
        )
    return _object(body or b"{}", "the body")


def _from_form(items: list[tuple[str, UploadFile | str]], here: Service) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    files: dict[str, list[UploadFile]] = {}
    for name, value in items:
        if isinstance(value, UploadFile) and name != "config":
            files.setdefault(name, []).append(value)
        elif name == "config":
            text = value.file.read() if isinstance(value, UploadFile) else value
            settings = _object(text, "the part `config`")
        else:
            raise RefusedError(
                422, "form", f"the form's part '{name}' is no file. Put settings into `config`."
            )
    for name, sent in files.items():
        upload = here.uploads.keep([(one.filename or "", one.file) for one in sent])
        _put(settings, name, f"uploads/{upload.id}")
    return settings


def _put(settings: dict[str, Any], dotted: str, value: str) -> None:
    """Set `fit.data` of a recipe, or `data` of a stage."""
    *groups, key = dotted.split(".")
    for group in groups:
        inner: Any = settings.setdefault(group, {})
        if not isinstance(inner, dict):
            raise RefusedError(422, "form", f"'{group}' of '{dotted}' is no group of settings.")
        settings = inner
    settings[key] = value


def _object(text: str | bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "not_json", f"{where} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise RefusedError(422, "not_object", f"{where} must be an object of settings.")
    return found


def _listing(folder: Path) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "files": [
            {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size}
            for path in files
        ]
    }
