"""Uploads: files that jobs work on."""

from __future__ import annotations

import base64
import re
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from fovea.service.access import needs
from fovea.service.parts import Part, Parts
from fovea.service.problems import RESPONSES, RefusedError, not_found
from fovea.service.schemas import UploadView
from fovea.service.state import Here, Who

Name = Annotated[str, Query(max_length=255, description="its name, for its ending")]


class PartView(BaseModel):
    """An upload that is not whole yet."""

    id: str
    offset: int = Field(description="bytes that have come")
    size: int = Field(description="bytes of the whole")
    href: str


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
    name: Name = "",
    repr_digest: Annotated[
        str | None, Header(max_length=500, description="sha-256=:base64:, which is then checked")
    ] = None,
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
    digest = _sha256(repr_digest) if repr_digest else None
    return UploadView.of(await here.uploads.receive(request.stream(), name, digest=digest))


@router.post("/parts", status_code=201, dependencies=[needs("predict", "jobs:write")])
def begin(
    here: Here,
    who: Who,
    response: Response,
    size: Annotated[int, Query(ge=1, le=1 << 50, description="bytes of the whole")],
    name: Name = "",
) -> PartView:
    """Announce a file that comes in parts, so that a line may break."""
    part = Parts(here.uploads).begin(who.owner, name, size)
    response.headers["Location"] = f"{router.prefix}/parts/{part.id}"
    return _told(part, response)


@router.get("/parts/{id}", dependencies=[needs("predict", "jobs:write")])
def how_far(id: str, here: Here, who: Who, response: Response) -> PartView:
    """How much of it has come: go on from there."""
    return _told(Parts(here.uploads).get(id, who.owner), response)


@router.patch(
    "/parts/{id}",
    response_model=PartView | UploadView,
    dependencies=[needs("predict", "jobs:write")],
    openapi_extra={
        "requestBody": {
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            }
        }
    },
)
async def add(
    id: str,
    request: Request,
    response: Response,
    here: Here,
    who: Who,
    upload_offset: Annotated[int, Header(ge=0, description="at which byte this part begins")],
) -> PartView | UploadView:
    """Send the next part; the answer to the last one is the upload."""
    parts = Parts(here.uploads)
    part = await run_sync(parts.get, id, who.owner)
    now = await parts.add(part, upload_offset, request.stream())
    return _told(now, response) if isinstance(now, Part) else UploadView.of(now)


@router.delete("/parts/{id}", status_code=204, dependencies=[needs("predict", "jobs:write")])
def give_up(id: str, here: Here, who: Who) -> None:
    """Forget what has come."""
    parts = Parts(here.uploads)
    parts.remove(parts.get(id, who.owner))


@router.get("/{id}", dependencies=[needs("predict", "jobs:read")])
def about(id: str, here: Here, _who: Who) -> UploadView:
    """What was sent."""
    found = here.uploads.get(id)
    if found is None:
        raise not_found("upload", id)
    return UploadView.of(found)


def _sha256(said: str) -> bytes:
    """The digest of `Repr-Digest: sha-256=:...:` (RFC 9530)."""
    found = re.search(r"sha-256=:([A-Za-z0-9+/]{43}=):", said)
    if found is None:
        raise RefusedError(
            400, "digest", f"Repr-Digest must say sha-256=:base64:, and says {said[:60]!r}."
        )
    return base64.b64decode(found[1])


def _told(part: Part, response: Response) -> PartView:
    response.headers["Upload-Offset"] = str(part.offset)
    response.headers["Upload-Length"] = str(part.size)
    response.headers["Cache-Control"] = "no-store"
    href = f"{router.prefix}/parts/{part.id}"
    return PartView(id=part.id, offset=part.offset, size=part.size, href=href)
