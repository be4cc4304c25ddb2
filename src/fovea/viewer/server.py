"""A small web server on this machine for one scene or run, and for nothing else."""

from __future__ import annotations

import http.server
import json
import logging
import mimetypes
import re
import shutil
import threading
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urlsplit

from fovea.errors import BusyError, ConfigError, FoveaError
from fovea.viewer.page import CONTENT_SECURITY_POLICY, assets, describe, locate

ADDRESS = "127.0.0.1"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".hdr": "image/vnd.radiance",
}
log = logging.getLogger(__name__)


class Server:
    """Serves the page of `path` until it is closed; use it in a `with` block.

    Raises:
        ArtifactError: `path` is neither a run nor a scene.
        BusyError: somebody else listens on that port.
    """

    def __init__(self, path: Path, *, port: int = 0) -> None:
        describe(path)
        handler = type("BoundHandler", (_Handler,), {"path_shown": path, "files": assets()})
        try:
            self._http = http.server.ThreadingHTTPServer((ADDRESS, port), handler)
        except OverflowError:
            raise ConfigError(f"a port is a number from 0 to 65535; found {port}.") from None
        except OSError as error:
            raise BusyError(
                f"the page needs port {port} of {ADDRESS}, and it cannot be had: {error.strerror}."
                " Leave --port out and a free one is taken."
            ) from error
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self._http.server_address[1]}/"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    path_shown: Path
    files: dict[str, Path]
    protocol_version = "HTTP/1.1"
    server_version = "fovea"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # A page elsewhere that points its own name at this machine is not to read our files.
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in (ADDRESS, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        address = urlsplit(self.path).path.removeprefix("/")
        if address == "page.json":
            self._send_data()
            return
        file = self.files.get(address) or locate(self.path_shown, address)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file.open("rb") as opened:
            self._send_file(opened, file)

    def _send_data(self) -> None:
        try:
            status, content = HTTPStatus.OK, describe(self.path_shown)
        except FoveaError as error:
            status, content = HTTPStatus.NOT_FOUND, {"error": str(error)}
        body = json.dumps(content, ensure_ascii=False).encode()
        self._begin(status, TYPES[".json"], len(body))
        self._write(body)

    def _send_file(self, opened: BinaryIO, file: Path) -> None:
        size = file.stat().st_size
        suffix = file.suffix.lower()
        kind = TYPES.get(suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        part = self._range(size)
        if part is None:
            self._begin(HTTPStatus.OK, kind, size)
            first, last = 0, size - 1
        elif part[0] >= size:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        else:
            first, last = part
            whole = {"Content-Range": f"bytes {first}-{last}/{size}"}
            self._begin(HTTPStatus.PARTIAL_CONTENT, kind, last - first + 1, **whole)
        opened.seek(first)
        if last - first + 1 == size:
            self._write(opened)
        else:
            self._write(opened.read(last - first + 1))

    def _range(self, size: int) -> tuple[int, int] | None:
        """The bytes asked for, first and last; None where all are."""
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found or not any(found.groups()):
            return None
        first, last = found.groups()
        if not first:
            return max(0, size - int(last)), size - 1
        return int(first), min(size - 1, int(last)) if last else size - 1

    def _begin(self, status: HTTPStatus, kind: str, length: int, **more: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-cache",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        for name, value in (headers | more).items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, body: bytes | BinaryIO) -> None:
        if self.command == "HEAD":
            return
        try:
            if isinstance(body, bytes):
                self.wfile.write(body)
            else:
                shutil.copyfileobj(body, self.wfile)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the reader went away, as video players do

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)
