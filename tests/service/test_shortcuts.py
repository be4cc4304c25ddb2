"""What is answered at once: the same as by the long way, and only where nothing is asked."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from fovea.service.app import create_app
from fovea.service.envelope import Envelope
from fovea.service.settings import ServeConfig
from fovea.service.state import Service
from fovea.service.table import Job, new_id


class Asking:
    """Asks an application without a socket, by either way."""

    def __init__(self, served: Envelope) -> None:
        self.served = served
        self._long = Envelope(served.app, served.app.state.service.settings)

    def __call__(self, path: str, **headers: str) -> httpx.Response:
        return self._ask(self.served, path, headers)

    def long(self, path: str, **headers: str) -> httpx.Response:
        return self._ask(self._long, path, headers)

    def _ask(self, application: Any, path: str, headers: dict[str, str]) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(application, client=("127.0.0.1", 5))
            home = "http://127.0.0.1"
            async with httpx.AsyncClient(transport=transport, base_url=home) as client:
                return await client.get(path, headers=headers)

        return anyio.run(once)


def job_of(owner: str = "local", **known: Any) -> Job:
    values: dict[str, Any] = {
        "kind": "toy.count",
        "config": {"start": 1},
        "recipe": "",
        "stages": 1,
    }
    id = new_id()
    return Job(id=id, owner=owner, run=f"toy_{id[-8:]}", digest="d", **(values | known))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Service, Asking]]]:
    """An application with these settings, without a socket, and a function that asks it."""
    made: list[Service] = []

    def make(**settings: Any) -> tuple[Service, Asking]:
        served = create_app(ServeConfig.model_validate({"runs": tmp_path / "runs"} | settings))
        here = served.app.state.service
        made.append(here)
        return here, Asking(served)

    yield make
    for here in made:
        here.glance.close()
        here.store.close()


def plain(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """An answer without what differs from one moment to the next."""
    body = {key: value for key, value in answer.json().items() if key != "uptime_s"}
    headers = dict(answer.headers)
    assert int(headers.pop("content-length")) == len(answer.content)
    return answer.status_code, headers, body


RESULT = {
    "run": "r", "cached": False, "stages": [],
    "artifacts": [{"name": "count.number", "stage": "count", "path": "a", "size": 1}],
}  # fmt: skip


def test_the_short_way_answers_as_the_long_one(start: Callable[..., Any]) -> None:
    here, ask = start()
    waiting = here.store.enqueue(job_of())[0]
    progress = {"fraction": 0.5, "stages": 1, "stage": "count", "done": 1, "total": 2}
    done = here.store.enqueue(
        job_of(state="succeeded", result=RESULT, progress=progress, started=1.0, ended=2.5)
    )[0]
    failed = here.store.enqueue(
        job_of(state="failed", error={"code": "oom", "message": "ü"}, cancel_requested=True)
    )[0]
    jobs = [f"/v1/jobs/{job.id}" for job in (waiting, done, failed)]
    for path in ("/v1/health", "/healthz", "/v1/stats", *jobs):
        assert plain(ask(path)) == plain(ask.long(path)), path
    assert ask(jobs[1]).json()["result"]["artifacts"][0]["href"].startswith(jobs[1])


def test_a_job_is_seen_as_it_is_now(start: Callable[..., Any]) -> None:
    here, ask = start()
    job = here.store.enqueue(job_of())[0]
    assert ask(f"/v1/jobs/{job.id}").json()["state"] == "queued"
    here.store.cancel(job.id)
    assert ask(f"/v1/jobs/{job.id}").json()["state"] == "cancelled"


def test_both_ways_are_counted_by_their_route(start: Callable[..., Any]) -> None:
    here, ask = start()
    path = f"/v1/jobs/{here.store.enqueue(job_of())[0].id}"
    ask(path)
    ask.long(path)
    line = 'http_requests_total{endpoint="/v1/jobs/{id}",method="GET",status="200"} 2.0'
    assert line in ask("/metrics").text


def test_what_is_not_plain_takes_the_long_way(start: Callable[..., Any]) -> None:
    here, ask = start()
    path = f"/v1/jobs/{here.store.enqueue(job_of())[0].id}"
    theirs = here.store.enqueue(job_of("another"))[0]
    assert ask(path, host="evil.example").status_code == 421
    assert ask("/v1/stats", host="evil.example").status_code == 421
    assert ask(path, origin="http://evil.example").status_code == 403
    assert ask(f"{path}?lang=zh").status_code == 200
    for unknown in (new_id(), theirs.id, "x", "x/events"):
        assert ask(f"/v1/jobs/{unknown}").status_code == 404


def test_where_keys_are_asked_for_only_health_is_told(start: Callable[..., Any]) -> None:
    here, ask = start(access={"mode": "keys"})
    job = here.store.enqueue(job_of())[0]
    assert ask("/v1/health").status_code in (200, 503)
    assert ask(f"/v1/jobs/{job.id}").status_code == 401


def test_a_status_waits_for_no_thread_and_no_writer(start: Callable[..., Any]) -> None:
    """All threads are taken by uploads, and a writer holds the table."""
    here, ask = start(performance={"max_workers": 1})
    job = here.store.enqueue(job_of())[0]
    with here.store.engine.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        writer.exec_driver_sql("UPDATE jobs SET message = 'half written'")

        async def asked() -> None:
            transport = httpx.ASGITransport(ask.served, client=("127.0.0.1", 5))
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
                anyio.create_task_group() as group,
            ):
                for _ in range(40):  # as many as anyio has threads
                    group.start_soon(anyio.to_thread.run_sync, time.sleep, 1.0)
                await anyio.sleep(0.05)
                began = time.perf_counter()
                assert (await client.get(f"/v1/jobs/{job.id}")).json()["message"] == ""
                assert time.perf_counter() - began < 0.5

        anyio.run(asked)
        writer.rollback()
