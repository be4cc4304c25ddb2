"""A batch as its caller sees it, and as it is downloaded."""

from __future__ import annotations

import csv
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from fovea.service.jobs import Job
from fovea.service.photo.batches import Item
from fovea.service.photo.files import made_file
from fovea.service.photo.recipe import scene_name
from fovea.service.photo.tasks import gaussians, options_of, seconds
from fovea.service.state import Service
from fovea.service.table import PublicState

ENDED = ("succeeded", "failed", "cancelled")
MANIFEST = "manifest.json"


class ItemView(BaseModel):
    """One photograph of a batch."""

    name: str
    task_id: str | None = None
    status: PublicState
    url: str | None = None
    gaussians: int | None = None
    seconds: float | None = None
    error: dict[str, Any] | None = None


class BatchView(BaseModel):
    """Several photographs that were sent at once."""

    batch_id: str
    status: Literal["queued", "running", "succeeded", "partly", "failed"]
    total: int
    succeeded: int
    failed: int
    items: list[ItemView]
    status_url: str
    download_url: str | None = Field(None, description="of one archive, once all have ended")


def view(here: Service, batch: str, items: Sequence[Item], base: str) -> BatchView:
    """How far a batch is."""
    shown = [_item(item, *_fate(here, item), base) for item in items]
    succeeded = sum(item.status == "succeeded" for item in shown)
    failed = sum(item.status in ("failed", "cancelled") for item in shown)
    address = f"{base}/v1/batch/{batch}"
    has_ended = succeeded + failed == len(shown)
    return BatchView(
        batch_id=batch,
        status=_status(shown, succeeded, failed),
        total=len(shown),
        succeeded=succeeded,
        failed=failed,
        items=shown,
        status_url=address,
        download_url=f"{address}/download" if has_ended else None,
    )


def archive(here: Service, batch: str, items: Sequence[Item], shown: BatchView) -> Path:
    """Write all scenes of a batch and a manifest into a zip file; whoever asked removes it."""
    folder = here.settings.state_folder / "batches"
    folder.mkdir(exist_ok=True)
    manifest: list[dict[str, Any]] = []
    with (
        tempfile.NamedTemporaryFile(
            dir=folder, prefix=f"{batch}-", suffix=".zip", delete=False
        ) as file,
        zipfile.ZipFile(file, "w") as packed,
    ):
        for item, seen in zip(items, shown.items, strict=True):
            made = _scene(here, item)
            name = f"{item.number:04d}-{Path(item.name).stem}{made[1]}" if made else None
            if made and name:
                packed.write(made[0], name)
            manifest.append(
                {
                    "name": item.name,
                    "file": name,
                    "task_id": item.job,
                    "gaussians": seen.gaussians,
                    "seconds": seen.seconds,
                    "error": seen.error,
                }
            )
        packed.writestr(MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False))
    return Path(file.name)


def _status(
    shown: Sequence[ItemView], succeeded: int, failed: int
) -> Literal["queued", "running", "succeeded", "partly", "failed"]:
    if succeeded + failed < len(shown):
        waits = all(item.status in ("queued", "failed") for item in shown)
        return "queued" if waits else "running"
    if not failed:
        return "succeeded"
    return "partly" if succeeded else "failed"


def _fate(here: Service, item: Item) -> tuple[Job | None, Mapping[str, str]]:
    """Its job, and its line in the table of a job that it shares."""
    job = here.store.get(item.job) if item.job else None
    if job is None or not item.file or job.state != "succeeded":
        return job, {}
    table = here.artifact(job, "predict.table")
    if table is None or not table[0].is_file():
        return job, {}
    with table[0].open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    return job, rows.get(item.file, {})


def _item(item: Item, job: Job | None, row: Mapping[str, str], base: str) -> ItemView:
    if job is None:
        gone = {"code": "not_found", "message": "its job was removed since"}
        return ItemView(name=item.name, status="failed", error=item.error or gone)
    problem = row.get("problem", "")
    status: PublicState = "failed" if problem else job.public_state
    name = f"{item.file}.ply" if item.file else scene_name(options_of(job))
    made = int(row["gaussians"]) if row.get("gaussians", "").isdecimal() else gaussians(job)
    is_made = status == "succeeded"
    return ItemView(
        name=item.name,
        task_id=job.id,
        status=status,
        url=f"{base}/files/{job.id}/{name}" if is_made else None,
        gaussians=made if is_made else None,
        seconds=seconds(job),
        error={"code": "data", "message": problem} if problem else job.error,
    )


def _scene(here: Service, item: Item) -> tuple[Path, str] | None:
    """The file of an item's scene, and how its name ends."""
    job = here.store.get(item.job) if item.job else None
    if job is None:
        return None
    name = f"{item.file}.ply" if item.file else scene_name(options_of(job))
    made = made_file(here, job, name)
    return (made[0], name[name.index(".") :]) if made else None
