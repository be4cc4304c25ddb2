"""Pages for people: the list of jobs with its form; the page of one job is the viewer's."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, RedirectResponse, Response

from fovea.service.access import needs, visitor
from fovea.service.problems import not_found
from fovea.service.state import Here, TheJob
from fovea.viewer.page import assets, describe, locate

router = APIRouter(include_in_schema=False)

LOOKING = [needs("predict", "jobs:read")]
HERE = Path(__file__).parents[1] / "page"
SHARED = ("style.css", "icon.svg", "words.js")
"""Files of the viewer's page that this one uses, too."""


@router.get("/", dependencies=[Depends(visitor)])
def home() -> Response:
    """The page of jobs."""
    return _file(HERE / "index.html")


@router.get("/page/{name}", dependencies=[Depends(visitor)])
def own(name: str) -> Response:
    """A file of that page."""
    known = {path.name: path for path in HERE.iterdir()}
    known |= {shared: path for shared, path in assets().items() if shared in SHARED}
    if name not in known:
        raise not_found("file", name)
    return _file(known[name])


@router.get("/jobs/{id}", dependencies=LOOKING)
def to_page(found: TheJob) -> Response:
    """A page's files are named relative to its folder."""
    return RedirectResponse(f"/jobs/{found.id}/")


@router.get("/jobs/{id}/page.json", dependencies=LOOKING)
def page(found: TheJob, here: Here) -> dict[str, Any]:
    """What the viewer shows of the job's run."""
    folder = here.run_folder(found)
    if not (folder / "run.json").is_file():
        raise not_found("run", found.run, f"The job is {found.public_state}.")
    return describe(folder)


@router.get("/jobs/{id}/{name:path}", dependencies=LOOKING)
def viewer(name: str, found: TheJob, here: Here) -> Response:
    """The viewer's files, and those of the run and its photographs."""
    folder = here.run_folder(found)
    path = assets().get(name)
    if path is None and (folder / "run.json").is_file():
        path = locate(folder, name)
    if path is None:
        raise not_found("file", name)
    return _file(path)


def _file(path: Path) -> Response:
    kind = {".js": "text/javascript"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})
