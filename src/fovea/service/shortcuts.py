"""The addresses that are asked for again and again, answered where they come in.

Whether the service is well, what it computes on, how a job goes: pages and monitors ask for these
many times a second, of a machine whose cores are busy with jobs. The answers are in memory, or one
row of a table, and need no thread, no routing and no other layer. They are the very answers of the
routes, made by the same functions; whatever is not plain (keys, limits, another site's page, a
question mark, something that is not there) takes the long way and is answered there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fovea.service.access.gate import LOCAL
from fovea.service.problems import RefusedError
from fovea.service.routes import health, jobs, system
from fovea.service.state import Service

JOB, JOB_ROUTE = "/v1/jobs/", "/v1/jobs/{id}"
MOST_HOSTS = 64
"""Names by which the service is called that are remembered."""
NEEDS_MORE = frozenset((b"origin", b"content-length", b"transfer-encoding", b"upgrade"))
"""A request with one of these headers takes the long way."""


@dataclass(frozen=True)
class Look:
    """What can be asked for."""

    answer: Callable[[Service], Response]
    is_for_all: bool
    """Whether nobody is asked who calls, or from where."""


LOOKS = {
    "/v1/health": Look(system.health_of, is_for_all=True),
    "/healthz": Look(health.alive_of, is_for_all=True),
    "/v1/stats": Look(system.stats_of, is_for_all=False),
}


class Shortcuts:
    """What is answered at once."""

    def __init__(self, here: Service) -> None:
        self.here = here
        gate = here.gate
        self._asks_nobody = gate.mode == "none" and gate.is_local and not gate.waits
        self._hosts: set[bytes] = set()

    def answer(self, scope: Scope) -> Response | None:
        """The answer to a request; None where it takes the long way."""
        if scope["method"] != "GET" or scope["query_string"]:
            return None
        began = time.perf_counter()
        path: str = scope["path"]
        known = LOOKS.get(path)
        if known is not None and self._may(scope, anybody=known.is_for_all):
            route, answer = path, known.answer(self.here)
        elif path.startswith(JOB) and "/" not in path[len(JOB) :] and self._may(scope):
            job = self.here.glance.job(path[len(JOB) :])
            if job is None or job.owner != LOCAL.owner:
                return None
            route, answer = JOB_ROUTE, jobs.answer_of(job)
        else:
            return None
        if self.here.metrics is not None:
            seconds = time.perf_counter() - began
            self.here.metrics.counted("GET", route, answer.status_code, seconds)
        return answer

    def _may(self, scope: Scope, *, anybody: bool = False) -> bool:
        """Whether a request is plain, and whoever sends it is let in without being asked."""
        if not (anybody or self._asks_nobody):
            return False
        host = b""
        for name, value in scope["headers"]:
            if name in NEEDS_MORE:
                return False
            if name == b"host":
                host = value
        return anybody or host in self._hosts or self._is_our_name(scope, host)

    def _is_our_name(self, scope: Scope, host: bytes) -> bool:
        """Ask the gate, and remember what it lets in."""
        try:
            self.here.gate.greet(Request(scope))
        except RefusedError:
            return False
        if len(self._hosts) < MOST_HOSTS:
            self._hosts.add(host)
        return True
