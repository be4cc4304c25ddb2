"""Around the application: what a browser may do with an answer, and how large a request may be."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from fovea.service import problems
from fovea.service.settings import MEGABYTE
from fovea.viewer.page import CONTENT_SECURITY_POLICY

SECURITY = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


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
