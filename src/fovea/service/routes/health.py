"""For whoever looks after the service: does it live, can it take jobs."""

from __future__ import annotations

import os

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from fovea.runs.record import package_version
from fovea.service.schemas import Health
from fovea.service.state import Here, Service

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
async def alive(here: Here) -> JSONResponse:
    """It lives."""
    return alive_of(here)


def alive_of(_here: Service) -> JSONResponse:
    """The answer to those who ask whether it lives."""
    return JSONResponse({"status": "ok", "version": package_version(), "jobs": {}, "trouble": []})


@router.get("/readyz", responses={503: {"model": Health}})
def ready(here: Here, response: Response) -> Health:
    """It can take jobs: the table answers, the runs can be written, the workers are at work."""
    trouble: list[str] = []
    jobs: dict[str, int] = {}
    try:
        jobs = here.store.counts()
    except SQLAlchemyError as error:
        trouble.append(f"the job table does not answer: {type(error).__name__}")
    if not os.access(here.settings.runs, os.W_OK):
        trouble.append("the folder of runs cannot be written")
    if not here.supervisor.is_well:
        trouble.append("a worker has ended")
    if trouble:
        response.status_code = 503
    status = "unwell" if trouble else "ok"
    return Health(status=status, version=package_version(), jobs=jobs, trouble=trouble)
