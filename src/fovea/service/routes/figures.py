"""The figures, as Prometheus reads them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from fovea.service.access import needs
from fovea.service.metrics.figures import CONTENT_TYPE
from fovea.service.problems import RESPONSES
from fovea.service.state import Here


def router_at(path: str) -> APIRouter:
    """The route at the address that the settings name."""
    router = APIRouter(tags=["system"], responses=RESPONSES)

    @router.get(path, response_class=Response, dependencies=[needs("jobs:read")])
    def figures(here: Here) -> Response:
        """All figures."""
        content = here.metrics.text() if here.metrics else b""
        return Response(content, media_type=CONTENT_TYPE)

    return router
