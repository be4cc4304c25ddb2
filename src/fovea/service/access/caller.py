"""The one place that every route asks who calls.

A route depends on `caller`, which knows the caller or refuses the request, and names what it needs:

    @router.post("/v1/cache/clear", dependencies=[needs("admin")])

One of the scopes named is enough, and `admin` is enough for everything. What holds no secret, the
page's own files, depends on `visitor` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from fovea.service.problems import RefusedError

Scope = Literal["predict", "jobs:read", "jobs:write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Who calls."""

    owner: str
    """To whom the jobs belong."""
    scopes: frozenset[Scope] = frozenset(SCOPES)
    key_id: str | None = None
    """The API key it is known by; None on a loopback address and for foreign tokens."""
    by_token: bool = False
    """Whether a token was shown, and not the key itself."""

    def may(self, *scopes: Scope) -> bool:
        """Whether one of these scopes is the caller's."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)


async def caller(request: Request) -> Caller:
    """The caller of a request.

    Raises:
        RefusedError: 401 without a valid key, 403 from another site's page, 421 by a foreign name,
            429 too often.
    """
    here = request.app.state.service
    if not here.gate.waits:
        return here.gate.admit(request)
    return await run_sync(here.gate.admit, request, limiter=here.lookups)


async def visitor(request: Request) -> None:
    """Let anybody in who is not another site's page, and who does not come too often.

    Raises:
        RefusedError: 403, 421 or 429, as above.
    """
    here = request.app.state.service
    if here.gate.waits:
        await run_sync(here.gate.greet, request, limiter=here.lookups)
    else:
        here.gate.greet(request)


def needs(*scopes: Scope) -> Any:
    """A dependency of a route: the caller has one of these scopes, or `admin`."""
    return Depends(_scoped(scopes, scopes))


def _scoped(reading: tuple[Scope, ...], writing: tuple[Scope, ...]) -> Callable[..., Any]:
    async def check(request: Request, who: Annotated[Caller, Depends(caller)]) -> None:
        wanted = reading if request.method in READING else writing
        if not who.may(*wanted):
            raise RefusedError(
                403,
                "scope",
                f"this needs the scope {' or '.join(wanted)}, and the key has"
                f" {', '.join(sorted(who.scopes)) or 'none'}. Ask for a key that has it.",
            )

    return check


reads_or_writes = Depends(_scoped(("jobs:read",), ("jobs:write",)))
"""A dependency of a router: `jobs:read` to look, `jobs:write` for everything else."""
