"""Uploads: files that jobs work on."""

from __future__ import annotations

import base64
import re
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
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
