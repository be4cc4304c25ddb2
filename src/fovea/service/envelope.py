"""Around the application: what every answer carries, how large and how slow a request may be.

From outside to inside: what needs nothing further (`shortcuts`); security headers on every answer;
a request that says it is too large is answered at once; other sites' pages, where settings name
them; a body that dribbles in is cut off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fovea.service import problems
from fovea.service.settings import MEGABYTE, ServeConfig
from fovea.viewer.page import CONTENT_SECURITY_POLICY

SECURITY = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _encoded(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
    )


_SECURITY = _encoded(SECURITY)
TLS_ONLY = _encoded({"Strict-Transport-Security": "max-age=31536000"})
PATIENCE_S = 10.0
"""A body's speed is not judged before."""
EXPOSED = [
    "Location", "ETag", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining",
    "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy", "Upload-Offset", "Upload-Length",
]  # fmt: skip


class Envelope:
    """Around the application.

    FastAPI's own limit cuts off a body that is larger than it said; this one answers a request that
    says so at once, as a problem.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: ServeConfig,
        at_once: Callable[[Scope], Response | None] = lambda scope: None,
    ) -> None:
        """`at_once` gives the answer to a request that needs nothing of what is further inside."""
        self.app = app
        self._at_once = at_once
        self.settings = settings.uploads
        origins = settings.access.cors_origins
        self._inner: ASGIApp = app
        if origins:
            self._inner = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
                allow_headers=["*"],
                expose_headers=EXPOSED,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is too large or too slow, and pass the rest on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        answer = self._at_once(scope)
        if answer is not None:
            tls = TLS_ONLY if scope.get("scheme") == "https" else ()
            answer.raw_headers += [*_SECURITY, *tls]
            await answer(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [*message.get("headers", ())]
                has = {name.lower() for name, _ in given}
                own = _encoded(state["headers"]) if "headers" in state else ()
                tls = TLS_ONLY if scope.get("scheme") == "https" else ()
                added = [pair for pair in (*_SECURITY, *tls, *own) if pair[0] not in has]
                message["headers"] = given + added
            await send(message)

        refused = self._refused(scope)
        if refused is None:
            await self._inner(scope, self._timed(receive), with_headers)
        else:
            answer = problems.body(Request(scope), *refused)
            await answer(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> tuple[int, str, str] | None:
        """Why a request is not even looked at: status, code and detail."""
        if _length(scope) > self.settings.upload_mb * MEGABYTE:
            most = self.settings.upload_mb
            detail = f"a request may have {most} MB, and this one has more. Send less."
            return 413, "too_large", detail
        # No name has one, and PostgreSQL would take it for an error of ours.
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return 400, "bad_request", "the address has a zero byte in it. Send it without."
        return None

    def _timed(self, receive: Receive) -> Receive:
        """What comes in, as long as it comes fast enough."""
        waited, size, is_whole = 0.0, 0, False

        async def receive_in_time() -> Message:
            nonlocal waited, size, is_whole
            if is_whole:  # all that can come now is that the caller has gone
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.settings.idle_s):
                    message = await receive()
            except TimeoutError:
                raise _too_slow(f"nothing came for {self.settings.idle_s:g} s") from None
            size += len(message.get("body", b""))
            is_whole = message["type"] != "http.request" or not message.get("more_body")
            waited += time.monotonic() - began
            least = self.settings.least_bytes_per_s
            if not is_whole and waited > PATIENCE_S and size < least * waited:
                raise _too_slow(f"{size} bytes came in {waited:.0f} s")
            return message

        return receive_in_time


def _too_slow(what: str) -> HTTPException:
    detail = f"the request came too slowly: {what}. Send it again over a better line."
    return HTTPException(408, detail, headers={"Connection": "close"})


def _length(scope: Scope) -> int:
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said) if said.isdigit() else 0
