"""The pages that show what the API can do: /docs to try it, /redoc to read it.

All they need is served from here; no other machine is asked.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, HTMLResponse, Response

from fovea.service.access import visitor
from fovea.service.problems import not_found
from fovea.viewer.page import CONTENT_SECURITY_POLICY

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])

VENDOR = Path(__file__).parents[1] / "vendor"
HERE = Path(__file__).parents[1] / "reference"
SERVED = {
    "swagger-ui.css": (VENDOR, "text/css"),
    "swagger-ui-bundle.js": (VENDOR, "text/javascript"),
    "redoc.standalone.js": (VENDOR, "text/javascript"),
    "start.js": (HERE, "text/javascript"),
}
POLICY = f"{CONTENT_SECURITY_POLICY}; style-src 'self' 'unsafe-inline'"
"""These two write their styles into the page."""


@router.get("/docs")
def docs() -> HTMLResponse:
    """Try the API."""
    return _page("docs.html")


@router.get("/redoc")
def redoc() -> HTMLResponse:
    """Read the API."""
    return _page("redoc.html")


@router.get("/docs/{name}")
def part(name: str) -> Response:
    """A file of these pages."""
    if name not in SERVED:
        raise not_found("file", name)
    folder, kind = SERVED[name]
    headers = {"Cache-Control": "public, max-age=86400"}
    return FileResponse(folder / name, media_type=kind, headers=headers)


def _page(name: str) -> HTMLResponse:
    text = (HERE / name).read_text(encoding="utf-8")
    return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})
