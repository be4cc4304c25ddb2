"""What is around the application: slow bodies are cut off, quick ones are not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request

from fovea.service import problems
from fovea.service.envelope import Envelope
from fovea.service.settings import ServeConfig


def answered(
    folder: Path, parts: list[tuple[float, bytes]], **uploads: Any
) -> tuple[int, bytes, float]:
    """Send a body, each part after so many seconds: status, body and seconds of the answer."""
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def size(request: Request) -> int:
        return len(await request.body())

    served = Envelope(app, ServeConfig.model_validate({"runs": folder, "uploads": uploads}))
    left = list(parts)
    came: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(60)
        wait_s, body = left.pop(0)
        await asyncio.sleep(wait_s)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: Any) -> None:
        came.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": [], "scheme": "http", "server": ("127.0.0.1", 80), "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    began = time.monotonic()
    anyio.run(served, scope, receive, send)
    body = b"".join(message.get("body", b"") for message in came)
    return came[0]["status"], body, time.monotonic() - began


def test_a_body_that_dribbles_in_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovea.service.envelope.PATIENCE_S", 0.3)
    drops = [(0.1, b"x")] * 100
    status, body, seconds = answered(tmp_path, drops, least_bytes_per_s=1000)
    assert (status, b'"code":"request_timeout"' in body) == (408, True)
    assert b"came too slowly" in body
    assert seconds < 5
    assert answered(tmp_path, drops[:6], least_bytes_per_s=0)[:2] == (200, b"6")
    assert answered(tmp_path, [(0.1, bytes(1000))] * 6, least_bytes_per_s=1000)[0] == 200


def test_a_body_that_stops_is_cut_off(tmp_path: Path) -> None:
    stops = [(0.0, b"x"), (30.0, b"y")]
    status, body, seconds = answered(tmp_path, stops, idle_s=0.2)
    assert (status, b"nothing came for 0.2 s" in body) == (408, True)
    assert seconds < 5
