"""HTTP as the client needs it: JSON, forms whose files are sent as they are read, streams."""

from __future__ import annotations

import http.client
import json
import mimetypes
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fovea.errors import BackendError, JobError

PIECE = 1 << 20

Part = tuple[str, str | Path]
"""A part of a form: its name, and a text or the file that is sent."""


class ServiceError(JobError):
    """The service refused; `code` is its word for why, and does not change."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{problem.get('detail') or problem.get('message') or status}")
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "http"))
        self.retry_after_s: float | None = None


class Connection:
    """Requests to one service.

    Args:
        url: its address.
        key: an API key, where it asks for one.
        token: a bearer token, in place of a key.
        language: of its messages.
        timeout_s: how long it may be silent.
    """

    def __init__(
        self, url: str, *, key: str = "", token: str = "", language: str = "", timeout_s: float = 60
    ) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        self.base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._netloc = parts.netloc
        self._is_secure = parts.scheme == "https"
        self._timeout_s = timeout_s
        self._headers = {
            name: value
            for name, value in {
                "X-API-Key": key,
                "Authorization": f"Bearer {token}" if token else "",
                "Accept-Language": language,
            }.items()
            if value
        }

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Sequence[Part] = (),
        headers: Mapping[str, str] | None = None,
        accepts: Sequence[int] = (),
    ) -> dict[str, Any]:
        """What a request is answered with.

        Raises:
            ServiceError: the service refuses.
            BackendError: there is no service.
        """
        if query:
            path = f"{path}?{urlencode(query)}"
        sent: dict[str, str] = dict(headers or {})
        data: bytes | _Form | None = None
        if form:
            data = _Form(form)
            sent |= data.headers
        elif body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        with self.answer(method, path, data, sent, accepts=accepts) as answer:
            return json.loads(answer.read() or b"{}")

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float | None = None,
        accepts: Sequence[int] = (),
    ) -> Generator[http.client.HTTPResponse]:
        """The answer itself, to be read piece by piece; a full address is taken for its path.

        Raises:
            ServiceError: the service refuses.
            BackendError: there is no service.
        """
        if path.startswith(("http://", "https://")):
            parts = urlsplit(path)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        else:
            path = self._prefix + path
        kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
        connection = kind(self._netloc, timeout=timeout_s or self._timeout_s)
        try:
            connection.request(
                method, path, body=data, headers={**self._headers, **(headers or {})}
            )
            answer = connection.getresponse()
            if answer.status >= 300 and answer.status not in accepts:
                raise _refused(answer)
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise BackendError(
                f"the service at {self.base} does not answer: {error or type(error).__name__}."
                " Is `fovea serve` at work there?"
            ) from error
        finally:
            connection.close()


class _Form:
    """A multipart form, read from its files while it is sent."""

    def __init__(self, parts: Sequence[Part]) -> None:
        boundary = uuid.uuid4().hex
        self._parts: list[bytes | Path] = []
        for name, value in parts:
            self._parts += [_head(boundary, name, value), _content(value), b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        size = sum(
            len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts
        )
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(size),
        }

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece


def _head(boundary: str, name: str, value: str | Path) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if isinstance(value, Path):
        file = value.name.replace("\\", "\\\\").replace('"', '\\"')
        kind = mimetypes.guess_type(value.name)[0] or "application/octet-stream"
        head += f'; filename="{file}"\r\nContent-Type: {kind}'
    return f"{head}\r\n\r\n".encode()


def _content(value: str | Path) -> bytes | Path:
    return value if isinstance(value, Path) else value.encode()


def _refused(answer: http.client.HTTPResponse) -> ServiceError:
    text = answer.read()
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {
            "detail": f"{answer.status} {answer.reason}: {text[:200].decode(errors='replace')}"
        }
    error = ServiceError(answer.status, found)
    after = answer.headers.get("Retry-After", "")
    error.retry_after_s = float(after) if after.isdecimal() else None
    return error
