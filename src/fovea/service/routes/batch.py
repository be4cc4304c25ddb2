"""Several photographs at once."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile

from fovea.service.access import needs
from fovea.service.photo.batch_form import items_of
from fovea.service.photo.batch_view import BatchView, archive, view
from fovea.service.photo.batches import Item
from fovea.service.photo.forms import described, form_of, options_in
from fovea.service.problems import RESPONSES, RefusedError, not_found
from fovea.service.routes.predict import address
from fovea.service.state import Here, Who

router = APIRouter(prefix="/v1", tags=["photographs"], responses=RESPONSES)

BINARY = {"type": "string", "format": "binary"}
SEVERAL_PHOTOS = described(
    files={"type": "array", "items": BINARY, "description": "photographs, or one zip file of them"}
)


def the_items(id: str, here: Here, who: Who) -> list[Item]:
    """The items of the batch in the address."""
    items = here.batches.get(id, who.owner)
    if not items:
        raise not_found("batch", id)
    return items


Items = Annotated[list[Item], Depends(the_items)]


@router.post(
    "/predict/batch",
    status_code=202,
    dependencies=[needs("predict", "jobs:write")],
    openapi_extra=SEVERAL_PHOTOS,
)
async def submit(request: Request, response: Response, here: Here, who: Who) -> BatchView:
    """Send several photographs, or a zip file of them; what is no picture costs only itself."""
    most = here.settings.uploads.archive_entries
    async with form_of(request, most_files=most) as form:
        options = options_in(form)
        sent = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        items = await run_sync(items_of, here, who.owner, sent, options)
    batch = uuid.uuid4().hex
    await run_sync(here.batches.put, batch, who.owner, items)
    response.headers["Location"] = f"/v1/batch/{batch}"
    return await run_sync(view, here, batch, items, address(request))


@router.get("/batch/{id}", dependencies=[needs("predict", "jobs:read")])
def batch(id: str, items: Items, request: Request, here: Here) -> BatchView:
    """How far a batch is, photograph by photograph."""
    return view(here, id, items, address(request))


@router.get(
    "/batch/{id}/download",
    response_class=FileResponse,
    dependencies=[needs("predict", "jobs:read")],
)
def download(id: str, items: Items, request: Request, here: Here) -> Response:
    """All scenes of a batch and `manifest.json`, in one zip file."""
    shown = view(here, id, items, address(request))
    if shown.download_url is None:
        left = shown.total - shown.succeeded - shown.failed
        raise RefusedError(
            409,
            "not_done",
            f"{left} of {shown.total} photographs are still to be done. Come back later.",
            headers={"Retry-After": "5"},
        )
    path: Path = archive(here, id, items, shown)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"batch-{id}.zip",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )
