"""Pages for people: the service's own, and of each run what the viewer shows of it.

The page's own files hold no secret, so anybody may read them; they are named under a version made
of their content, and a browser keeps them for as long as it is that of the page it shows.
"""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from fovea import dialect
from fovea.runs.run import Run, all_runs
from fovea.service.access import needs, visitor
from fovea.service.problems import not_found
from fovea.service.state import Here, TheJob
from fovea.service.submission import below
from fovea.viewer.page import assets, describe, locate, not_begun
from fovea.viewer.thumbnail import thumbnail

router = APIRouter(include_in_schema=False)

LOOKING = [needs("predict", "jobs:read")]
HERE = Path(__file__).parents[1] / "page"
FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}
ASK_AGAIN = {"Cache-Control": "no-cache"}
OWN = {"Cache-Control": "private, no-cache"}
PICTURES = (".jpg", ".jpeg", ".png")
MOST_RUNS = 40


@router.get("/", dependencies=[Depends(visitor)])
def home() -> Response:
    """The page."""
    text = (HERE / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace('"page/', f'"page/{_version()}/'), headers=ASK_AGAIN)


@router.get("/page/samples/{name:path}", dependencies=[Depends(visitor)])
def sample(name: str) -> Response:
    """A photograph that ships with the package."""
    path = below(dialect.SAMPLES, name)
    if path is None or path.suffix not in PICTURES:
        raise not_found("sample", name)
    return _file(path)


@router.get("/page/{version}/{name:path}", dependencies=[Depends(visitor)])
def own(version: str, name: str) -> Response:
    """A file of the page, or one that it shares with the viewer's."""
    path = _files().get(name)
    if path is None:
        raise not_found("file", name)
    return _file(path, FOR_GOOD if version == _version() else ASK_AGAIN)


@router.get("/jobs/{id}", dependencies=LOOKING)
def to_page(found: TheJob) -> Response:
    """A page's files are named relative to its folder."""
    return RedirectResponse(f"/jobs/{found.id}/")


@router.get("/jobs/{id}/{name:path}", dependencies=LOOKING)
def of_job(
    name: str, found: TheJob, here: Here, if_none_match: Annotated[str, Header()] = ""
) -> Any:
    """The viewer's page of a job's run: its files, and those of the run and its photographs."""
    folder = here.run_folder(found)
    if (folder / "run.json").is_file() or name in assets():
        return _of_run(folder, name, if_none_match)
    if name == "page.json":
        return not_begun(found.kind)
    if name == "picture":
        return Response(status_code=204, headers=OWN)
    raise not_found("run", found.run, f"The job is {found.public_state}.")


@router.get("/runs", dependencies=[needs("admin")])
def runs(here: Here) -> dict[str, Any]:
    """The newest runs in the folder of runs, whoever started them."""
    found = all_runs(here.settings.runs)
    newest = sorted(found, key=lambda run: run.folder.name, reverse=True)[:MOST_RUNS]
    return {"runs": [_run_view(run) for run in newest]}


@router.get("/runs/{run}/{name:path}", dependencies=[needs("admin")])
def of_run(run: str, name: str, here: Here, if_none_match: Annotated[str, Header()] = "") -> Any:
    """The viewer's page of a run that no job made."""
    folder = below(here.settings.runs, run)
    if folder is None or not (folder / "run.json").is_file():
        raise not_found("run", run, "GET /runs lists them.")
    return _of_run(folder, name, if_none_match)


def _run_view(run: Run) -> dict[str, Any]:
    manifest, stages = run.manifest, run.stages
    return {
        "name": run.folder.name,
        "state": run.state,
        "started": manifest.get("started"),
        "seconds": round(sum(stage.seconds for stage in stages), 1),
        "stages": [stage.key for stage in stages],
        "scores": {name: value for stage in stages for name, value in stage.scores.items()},
    }


def _of_run(folder: Path, name: str, known: str) -> Any:
    if name == "page.json":
        return describe(folder)
    if name == "picture":
        return _picture(folder, known)
    path = assets().get(name) or locate(folder, name)
    if path is None:
        raise not_found("file", name)
    return _file(path, OWN)


def _picture(folder: Path, known: str) -> Response:
    content = thumbnail(folder)
    if content is None:
        return Response(status_code=204, headers=OWN)
    headers = {**OWN, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if known == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/jpeg", headers=headers)


def _files() -> dict[str, Path]:
    """The page's files by name; where both have one of a name, the page's own."""
    own = {path.relative_to(HERE).as_posix(): path for path in HERE.rglob("*") if path.is_file()}
    return assets() | own


def _version() -> str:
    """Another one as soon as a file changes."""
    marks = ((name, path.stat()) for name, path in sorted(_files().items()))
    text = "".join(f"{name}\0{about.st_mtime_ns}\0{about.st_size}\n" for name, about in marks)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _file(path: Path, headers: dict[str, str] = ASK_AGAIN) -> Response:
    kind = {".js": "text/javascript"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return FileResponse(path, media_type=kind, headers=headers)
