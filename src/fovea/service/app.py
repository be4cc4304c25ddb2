"""The service as an application: its parts put together, its routes, what they run in."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import APIRouter, Depends, FastAPI

from fovea.runs.durable import make_folder
from fovea.service import problems
from fovea.service.access import Gate, caller
from fovea.service.aliases import Aliases
from fovea.service.cache import ResultCache
from fovea.service.envelope import Envelope
from fovea.service.executors import make_executor, make_workplace
from fovea.service.glance import Glance
from fovea.service.jobs import JobStore
from fovea.service.metrics import Metrics
from fovea.service.metrics.requests import Counted
from fovea.service.openapi import describe
from fovea.service.photo.batches import BatchStore
from fovea.service.photo.desk import PhotoDesk
from fovea.service.pulse import Pulse
from fovea.service.retention import Retention
from fovea.service.routes import (
    batch,
    catalog,
    figures,
    health,
    jobs,
    keys,
    pages,
    plugins,
    predict,
    reference,
    studies,
    system,
    uploads,
    webhooks,
)
from fovea.service.settings import MEGABYTE, ServeConfig
from fovea.service.shortcuts import Shortcuts
from fovea.service.state import Service
from fovea.service.studies import Studies
from fovea.service.uploads import Uploads
from fovea.service.webhooks import Outbox, Postman

OPEN_ROUTERS: tuple[APIRouter, ...] = (
    system.router,
    health.router,
    keys.router,
    pages.router,
    reference.router,
    webhooks.router,
)
"""What anybody may use, or whose routes say themselves who may.

An address is looked for in this order, hence what is asked for most often comes first.
"""
ROUTERS: tuple[APIRouter, ...] = (
    predict.router,
    jobs.router,
    uploads.router,
    catalog.router,
    batch.router,
    plugins.router,
    studies.router,
)
"""What only a known caller may use."""


def create_app(settings: ServeConfig, file: Path | None = None) -> Envelope:
    """The application with its job table open; its workers begin when it is started.

    Args:
        settings: of the service.
        file: in which the settings stand, and into which found ones are written.
    """
    here = assemble(settings, file)
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
    for router in OPEN_ROUTERS:
        app.include_router(router)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(caller)])
    if here.metrics is not None:
        app.include_router(figures.router_at(settings.monitoring.metrics_path))
        app.add_middleware(Counted, metrics=here.metrics)
    app.add_middleware(Aliases)
    app.openapi = lambda: describe(app)
    return Envelope(app, settings, Shortcuts(here).answer)


def assemble(settings: ServeConfig, file: Path | None = None) -> Service:
    """The parts of the service, put together and not yet at work."""
    make_folder(settings.state_folder, "the service's state, inside that of its runs")
    store = JobStore(settings.database_url)
    metrics = Metrics(settings) if settings.monitoring.enabled else None
    photo = PhotoDesk(settings, metrics, file)
    cache = ResultCache(settings, store.engine)
    gate = Gate(settings, store.engine)
    outbox = Outbox(store.engine, settings.webhook, gate.secrets)
    workplace = make_workplace(on_device(settings, photo.chosen.device), store, cache, outbox)
    supervisor = make_executor(workplace)
    sent_to = settings.model.temp_dir or settings.state_folder / "uploads"
    sent = Uploads(make_folder(sent_to, "uploads"), settings.uploads)
    retention = Retention(settings, store, cache, sent.folder)
    postman = Postman(outbox, metrics.delivered) if metrics else Postman(outbox)
    pulse = Pulse(settings, store, metrics)
    tuned = Studies(settings)
    if metrics is not None:
        metrics.watch_cache(cache.statistics)
    return Service(
        settings,
        store,
        Glance(store.engine),
        sent,
        supervisor,
        gate,
        photo,
        BatchStore(store.engine),
        pulse,
        cache,
        retention,
        outbox,
        tuned,
        metrics=metrics,
        parts=[photo, pulse, postman, supervisor, retention, tuned],
    )


def on_device(settings: ServeConfig, device: str) -> ServeConfig:
    """The settings with the device that was chosen by `mode`."""
    gpu = settings.gpu.model_copy(update={"device": device})
    return settings.model_copy(update={"gpu": gpu})


@asynccontextmanager
async def _at_work(app: FastAPI) -> AsyncGenerator[None]:
    here: Service = app.state.service
    current_default_thread_limiter().total_tokens = here.settings.performance.max_workers
    for part in here.parts:
        await run_sync(part.start)
    yield
    here.closing.set()
    for part in reversed(here.parts):
        await run_sync(part.stop)
    here.glance.close()
    here.store.close()
