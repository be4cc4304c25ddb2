"""What comes in with a prediction: a form with a photograph and options, read and checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from fovea.errors import Problem
from fovea.service import pictures
from fovea.service.photo.options import PredictOptions
from fovea.service.problems import RefusedError
from fovea.service.state import Service

MOST_FIELDS = 40
WHERE = "the form"


@dataclass(frozen=True)
class Photo:
    """A photograph that was sent."""

    name: str
    """How a job names it: `uploads/<id>`."""
    file: str
    """What its sender calls it, without folders."""
    path: Path


@asynccontextmanager
async def form_of(request: Request, *, most_files: int) -> AsyncGenerator[FormData]:
    """The form of a request.

    Raises:
        RefusedError: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusedError(
            422,
            "form",
            f"a photograph comes in a form, multipart/form-data, and this is {kind or 'nothing'}."
            " Send it as the part `file`.",
        )
    async with request.form(max_files=most_files, max_fields=MOST_FIELDS) as form:
        yield form


def options_in(form: FormData) -> PredictOptions:
    """The options among the parts of a form.

    Raises:
        RefusedError: some are not valid; then all of them are named.
    """
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    texts.pop("photo", None)
    given = {name: value for name, value in texts.items() if value != ""}
    return options(given)


def options(given: Mapping[str, Any]) -> PredictOptions:
    """The options that a caller gives.

    Raises:
        RefusedError: some are not valid; then all of them are named.
    """
    try:
        return PredictOptions.model_validate(given)
    except ValidationError as error:
        problems = [
            Problem(
                ".".join(map(str, found["loc"])) or "options",
                found["type"],
                found["msg"].removeprefix("Value error, "),
                found["input"] if isinstance(found["input"], str | int | float) else None,
                WHERE,
            )
            for found in error.errors(include_url=False)
        ]
        said = "; ".join(f"{problem.loc}: {problem.message}" for problem in problems)
        raise RefusedError(422, "options", f"{said}.", errors=problems) from None


async def photo_in(form: FormData, here: Service, owner: str) -> Photo:
    """The photograph of a form: the part `file`, or `photo` with the name of an upload.

    Raises:
        RefusedError: there is none, or it is no picture.
    """
    sent = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    named = form.get("photo")
    if sent:
        return await run_sync(keep, here, owner, sent[0])
    if isinstance(named, str) and named:
        return await run_sync(known, here, owner, named)
    raise RefusedError(
        422, "no_file", "there is no photograph. Send it as the part `file` of the form."
    )


def keep(here: Service, owner: str, sent: UploadFile) -> Photo:
    """Keep a file that was sent as an upload, if it is a picture."""
    name = Path(sent.filename or "").name
    upload = here.uploads.keep([(name, sent.file)])
    return _checked(here, owner, f"uploads/{upload.id}", name or "photograph")


def known(here: Service, owner: str, name: str, *, file: str = "") -> Photo:
    """A photograph that is here already: `uploads/<id>` or `samples/<name>`."""
    return _checked(here, owner, name, file or Path(name).name)


def _checked(here: Service, owner: str, name: str, file: str) -> Photo:
    path = here.find(name, owner)
    if path is None:
        raise RefusedError(422, "unknown_file", f"there is no {name}. Send it first.")
    require_picture(here, path)
    return Photo(name, file, path)


def require_picture(here: Service, path: Path) -> None:
    """Look into the head of a file whether it is a picture, and not too large.

    Raises:
        RefusedError: it is none, or it is.
    """
    if path.is_dir():
        raise RefusedError(
            415, "not_a_picture", "this is an archive. Send several photographs to a batch."
        )
    pictures.check(path, here.settings.uploads)


def described(**parts: Any) -> dict[str, Any]:
    """How a form of options, and of these parts, is described in OpenAPI."""
    schema = PredictOptions.model_json_schema()
    form = {
        "type": "object",
        "properties": {**parts, **schema["properties"]},
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}
