"""The service as an application: its parts put together, its routes, what they run in."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, FastAPI

from fovea.service import problems
from fovea.service.access import Gate, caller
from fovea.service.archives import Limits
from fovea.service.envelope import Envelope
from fovea.service.jobs import JobStore
from fovea.service.routes import catalog, health, jobs, keys, pages, uploads
from fovea.service.settings import MEGABYTE, ServeConfig
from fovea.service.state import Service
from fovea.service.supervisor import Supervisor
from fovea.service.uploads import Uploads

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    uploads.router,
    catalog.router,
)
"""What only a known caller may use."""
OPEN_ROUTERS: tuple[APIRouter, ...] = (health.router, keys.router, pages.router)
"""What anybody may use, or whose routes say themselves who may."""


def create_app(settings: ServeConfig) -> Envelope:
    """The application with its job table open; its workers begin when it is started."""
    here = assemble(settings)
    app = FastAPI(
        title="fovea",
        summary="Every stage behind an address.",
        version=importlib.metadata.version("fovea-vision"),
        lifespan=_at_work,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        max_body_size=settings.uploads.upload_mb * MEGABYTE,
    )
    app.state.service = here
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(caller)])
    for router in OPEN_ROUTERS:
        app.include_router(router)
    return Envelope(app, settings)


def assemble(settings: ServeConfig) -> Service:
    """The parts of the service, put together and not yet at work."""
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    store = JobStore(settings.database_url)
    taken = settings.uploads
    limits = Limits(taken.archive_entries, taken.unpacked_mb * MEGABYTE, taken.archive_ratio)
    supervisor = Supervisor(settings, store)
    return Service(
        settings,
        store,
        Uploads(settings.model.temp_dir or settings.state_folder / "uploads", limits),
        supervisor,
        Gate(settings, store.engine),
        parts=[supervisor],
    )


@asynccontextmanager
async def _at_work(app: FastAPI) -> AsyncGenerator[None]:
    here: Service = app.state.service
    for part in here.parts:
        await run_sync(part.start)
    yield
    here.closing.set()
    for part in reversed(here.parts):
        await run_sync(part.stop)
    here.store.close()
