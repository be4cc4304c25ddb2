"""Uploads: files that jobs work on."""

from __future__ import annotations

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile

from fovea.service.access import needs
from fovea.service.problems import RESPONSES, RefusedError, not_found
from fovea.service.schemas import UploadView
from fovea.service.state import Here, Who

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], responses=RESPONSES)


@router.post(
    "",
    status_code=201,
    dependencies=[needs("predict", "jobs:write")],
    openapi_extra={
        "requestBody": {
            "description": "A file as it is, or a form of one or more files. A .zip is unpacked.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "file": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                            }
                        },
                    }
                },
            },
        }
    },
)
async def upload(
    request: Request,
    here: Here,
    _who: Who,
    name: Annotated[str, Query(max_length=255, description="its name, for its ending")] = "",
) -> UploadView:
    """Send a file, an archive, or several files; a job names them by the answer's `name`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=here.settings.uploads.archive_entries) as form:
            sent = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            if not sent:
                raise RefusedError(422, "form", "the form has no file. Name a part `file`.")
            files = [(one.filename or "", one.file) for one in sent]
            return UploadView.of(await run_sync(here.uploads.keep, files))
    if kind == "application/zip" and not name:
        name = "upload.zip"
    return UploadView.of(await here.uploads.receive(request.stream(), name))


@router.get("/{id}", dependencies=[needs("predict", "jobs:read")])
def about(id: str, here: Here, _who: Who) -> UploadView:
    """What was sent."""
    found = here.uploads.get(id)
    if found is None:
        raise not_found("upload", id)
    return UploadView.of(found)
