"""Who calls, and whether they may: the one place that every route asks.

There are no keys yet. The service listens on a loopback address only, so whoever reaches it sits at
this machine; what remains to be kept out is another site's page in that person's browser. Such a
page gives itself away: the browser names where it comes from, or the name by which it found us is
not a loopback's.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

from fovea.service.problems import RefusedError
from fovea.service.settings import is_loopback


@dataclass(frozen=True)
class Caller:
    """Who calls."""

    owner: str
    """To whom the jobs belong."""


def caller(request: Request) -> Caller:
    """The caller of a request.

    Raises:
        RefusedError: it comes from another site's page.
    """
    host = request.headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    if not is_loopback(name):
        raise RefusedError(
            421, "wrong_host", f"this service is at 127.0.0.1 or localhost, not at '{name}'."
        )
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise RefusedError(
            403, "foreign_origin", f"a page of {origin} may not use this service at {host}."
        )
    return Caller("local")
