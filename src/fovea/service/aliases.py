"""The older addresses: `/api/...` is answered as `/v1/...`, in the shape of old, with a warning.

A prediction at `/api/predict` has a relative address in its answer, and a problem has the members
`status`, `message` and `solution`. `Deprecation` (RFC 9745) says since when, `Link` what instead.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fovea.service.problems import OLD_STYLE

OLD, NEW = "/api/", "/v1/"
SINCE = "@1795219200"
"""2026-11-21."""


class Aliases:
    """Around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the address that it means now."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(OLD):
            await self.app(scope, receive, send)
            return
        rest = path.removeprefix(OLD)
        # `/api/v1/...` is what some manuals say; it means the same.
        now = NEW + rest.removeprefix("v1/")
        successor = {**scope, "path": now, "raw_path": quote(now).encode(), OLD_STYLE: True}

        async def with_warning(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Deprecation"] = SINCE
                headers["Link"] = f'<{quote(now)}>; rel="successor-version"'
            await send(message)

        await self.app(successor, receive, with_warning)
