"""The service as an application: its parts, its routes, what every answer carries."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from fovea.service import problems
from fovea.service.access import caller
from fovea.service.archives import Limits
from fovea.service.jobs import JobStore
from fovea.service.routes import catalog, health, jobs, pages, uploads
from fovea.service.settings import MEGABYTE, ServeConfig
from fovea.service.state import Service
from fovea.service.supervisor import Supervisor
from fovea.service.uploads import Uploads
from fovea.viewer.page import CONTENT_SECURITY_POLICY

SECURITY = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_app(settings: ServeConfig) -> Envelope:
    """The application with its job table open; its workers begin when it is started."""
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    store = JobStore(settings.database_url)
    limits = Limits(
        settings.archive_entries, settings.unpacked_mb * MEGABYTE, settings.archive_ratio
    )
    here = Service(
        settings,
        store,
        Uploads(settings.state_folder / "uploads", limits),
        Supervisor(settings, store),
    )

    @asynccontextmanager
    async def at_work(_app: FastAPI) -> AsyncGenerator[None]:
        await run_sync(here.supervisor.start)
        yield
        here.closing.set()
        await run_sync(here.supervisor.stop)
        store.close()

    app = FastAPI(
        title="fovea",
        summary="Every stage behind an address.",
        version=importlib.metadata.version("fovea-vision"),
        lifespan=at_work,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        max_body_size=settings.upload_mb * MEGABYTE,
    )
    app.state.service = here
    problems.install(app)
    guarded = [Depends(caller)]
    for router in (jobs.router, uploads.router, catalog.router, pages.router):
        app.include_router(router, dependencies=guarded)
    app.include_router(health.router)
    return Envelope(app, settings.upload_mb)


class Envelope:
    """Around the application: what a browser may do with an answer, and how large a request may be.

    The application's own limit cuts off a body that is larger than it said; this one answers a
    request that says so at once, as a problem.
    """

    def __init__(self, app: FastAPI, most_mb: int) -> None:
        self.app = app
        self.most_mb = most_mb

    async def __call__(  # noqa: D102 -- ASGI
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "http" and _length(scope) > self.most_mb * MEGABYTE:
            detail = f"a request may have {self.most_mb} MB, and this one has more. Send less."
            answer = problems.body(Request(scope), 413, "too_large", detail)
            await answer(scope, receive, with_headers)
        else:
            await self.app(scope, receive, with_headers)


def _length(scope: Scope) -> int:
    said = Headers(scope=scope).get("content-length", "")
    return int(said) if said.isdecimal() else 0
