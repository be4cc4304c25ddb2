"""What a caller is told when something is wrong: problem bodies after RFC 9457.

Every answer that is no success has the same shape, with a `code` that stays the same when the words
change. Settings that are not valid come as `errors`, the very objects that the command line prints.
`error`, `message`, `status_code`, `path` and `timestamp` say the same once more, in the names that
callers of photograph services know. Under `/api`, which is older, a problem has only those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from fovea.errors import BackendError, BusyError, ConfigError, FoveaError, JobError, Problem
from fovea.service.full import NO_ROOM, is_full
from fovea.service.openapi import methods_at
from fovea.service.words import FALLBACK, language_of, text

OLD_STYLE = "fovea.old_style"
"""In the scope of a request that came to a deprecated address."""


class SettingProblem(BaseModel):
    """One setting that is not valid."""

    loc: str
    code: str
    message: str
    input: Any = None
    source: str = ""


class ProblemBody(BaseModel):
    """The body of every answer that is no success."""

    type: str
    title: str
    status: int
    detail: str = Field(description="in the caller's language")
    code: str
    instance: str
    errors: list[SettingProblem] = []
    solution: str = Field("", description="what to do about it, where detail does not say")
    original: str = Field("", description="the detail in English, where detail is not")
    error: str = Field(description="the code as the name of a class")
    message: str = Field(description="the same as detail")
    status_code: int
    path: str
    timestamp: datetime


class RefusedError(FoveaError):
    """A request that cannot be served, with the status it is answered with."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def not_found(what: str, id: str, hint: str = "") -> RefusedError:
    """There is nothing of that name."""
    return RefusedError(404, "not_found", f"there is no {what} '{id}'.{hint and ' ' + hint}")


def install(app: FastAPI) -> None:
    """Let the app answer every error with a problem body."""

    @app.exception_handler(FoveaError)
    async def refused(request: Request, error: FoveaError) -> JSONResponse:
        if isinstance(error, RefusedError):
            return body(request, error.status, error.code, str(error), error.errors, error.headers)
        problems = error.problems if isinstance(error, ConfigError) else ()
        later = getattr(error, "retry_after_s", None)
        headers = {"Retry-After": str(later)} if later else {}
        said = str(error).splitlines()[0]
        return body(request, status_of(error), error.code, said, problems, headers)

    @app.exception_handler(UnicodeEncodeError)
    async def halved(request: Request, error: UnicodeEncodeError) -> JSONResponse:
        # JSON may say "\ud800", half of a pair; whoever first writes it down finds out.
        if error.reason != "surrogates not allowed":
            return await bug(request, error)
        detail = "a text in it has half a character (a lone surrogate). Send whole characters."
        return body(request, 422, "half_character", detail)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = {413: "too_large"}.get(status, status.phrase.lower().replace(" ", "_"))
        detail = error.detail if error.detail != status.phrase else status.description
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED and (known := methods_at(app, request.url.path)):
            headers["Allow"] = ", ".join(known)
        return body(request, status, code, detail or status.phrase, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            Problem(
                ".".join(map(str, detail["loc"][1:])),
                detail["type"],
                detail["msg"],
                detail["input"] if isinstance(detail["input"], str | int | float) else None,
                str(detail["loc"][0]),
            )
            for detail in error.errors()
        ]
        return body(request, 422, "request", "the request is not valid", problems)

    @app.exception_handler(OSError)
    @app.exception_handler(SQLAlchemyError)
    async def full(request: Request, error: Exception) -> JSONResponse:
        if not is_full(error):
            raise error  # a fault of ours, which the log is to tell
        return body(request, 507, "disk", NO_ROOM)

    @app.exception_handler(Exception)
    async def bug(request: Request, _error: Exception) -> JSONResponse:
        detail = "this is a fault of the service; its log says more"
        return body(request, 500, "internal", detail)


def status_of(error: FoveaError) -> int:
    """The status that says what sort of error it is; an error may have its own."""
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    if error.code in ("oom", "disk"):
        return 507
    if isinstance(error, BusyError) or error.code == "idempotency_conflict":
        return 409
    if isinstance(error, BackendError):
        return 503
    return 500 if isinstance(error, JobError) else 422


def body(
    request: Request,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as an answer, in the caller's language."""
    language = language_of(request)
    said = (text(language, f"problem.{code}") if language != FALLBACK else "") or detail
    problem = ProblemBody(
        type=f"urn:fovea:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=said,
        code=code,
        instance=request.url.path,
        errors=[SettingProblem(**vars(error)) for error in errors],
        solution=text(language, f"solution.{code}"),
        original=detail if said != detail else "",
        error=f"{code.title().replace('_', '')}Error",
        message=said,
        status_code=status,
        path=request.url.path,
        timestamp=datetime.now(UTC),
    )
    return _answer(request, problem, headers or {}, language)


def _answer(
    request: Request, problem: ProblemBody, headers: Mapping[str, str], language: str
) -> JSONResponse:
    content: dict[str, Any] = jsonable_encoder(problem)
    content["timestamp"] = problem.timestamp.isoformat(timespec="milliseconds")[:-6] + "Z"
    for name in ("solution", "original"):
        if not content[name]:
            del content[name]
    media_type = "application/problem+json"
    if request.scope.get(OLD_STYLE):
        old = ("error", "message", "status_code", "path", "timestamp", "errors")
        content = {"status": "error", "solution": problem.solution or problem.message} | {
            name: content[name] for name in old
        }
        media_type = "application/json"
    return _Answer(
        content,
        problem.status,
        headers={"Content-Language": language, **headers},
        media_type=media_type,
    )


class _Answer(JSONResponse):
    """JSON in which what no encoding can say, half a character of the caller's, becomes `?`."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": ProblemBody, "description": "A problem, after RFC 9457."}
}
"""For the description of the API: what else every route may answer."""
