"""A real service: uvicorn on a free port of this machine, jobs as real processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import Engine, create_engine

from fovea.runs.run import Run
from fovea.service import processes
from fovea.service.jobs import Job, JobStore, new_id
from fovea.service.outcome import result

TOYS = str(Path(__file__).parent / "toys")
PATIENCE_S = 120.0
"""Only what goes wrong takes so long; a busy machine needs a quarter of it for a start."""


class Service:
    """`fovea serve` as a child process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.client = httpx.Client(timeout=PATIENCE_S)

    def start(self) -> "Service":
        command = [sys.executable, "-m", "fovea", "serve", "--port", "0"]
        command += ["--runs", self.folder.name, "--device", "cpu"]
        command += ["--no-preload", "--no-browser", *self.options]
        paths = filter(None, [TOYS, os.environ.get("PYTHONPATH")])
        self.process = subprocess.Popen(
            command,
            cwd=self.folder.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip().rstrip("/")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", self.url), self.url
        self.client.base_url = self.url
        return self

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self._bury()

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self._bury()

    def _bury(self) -> None:
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()

    def submit(self, kind: str, **config: Any) -> dict[str, Any]:
        answer = self.client.post(f"/v1/jobs/{kind}", json=config)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def job(self, id: str) -> dict[str, Any]:
        return self.client.get(f"/v1/jobs/{id}").json()

    def adopt(self, run: Path, kind: str, owner: str = "local") -> str:
        """The id of a job that is done, and whose run is this one in the folder of runs."""
        now, made = time.time(), result(Run.open(run))
        job = Job(new_id(), owner, kind, {}, "", 1, run.name, "")
        job = replace(job, state="succeeded", result=made, started=now, ended=now)
        store = JobStore(f"sqlite:///{self.folder / '.service/jobs.sqlite'}")
        store.enqueue(job)
        store.close()
        return job.id

    def hurry(self, id: str) -> None:
        """Have a toy at work end its pauses."""
        (self.folder / self.job(id)["run"] / "hurry").touch()

    def wait_for_step(self, id: str, step: int) -> None:
        """Until the toy is at that step."""
        self.wait(id, lambda job: ((job["progress"] or {}).get("done") or 0) >= step)

    def wait(
        self,
        id: str,
        reached: Callable[[dict[str, Any]], Any] | None = None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """The job once it is so far: by default, at its end."""
        deadline, job = time.monotonic() + patience_s, {}
        while time.monotonic() < deadline:
            job = self.job(id)
            if reached(job) if reached else job["state"] in ("succeeded", "failed", "cancelled"):
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {id} does not come so far: {job}")


class Asker:
    """Asks an application without a socket, as a client of this machine."""

    def __init__(self, served: Any) -> None:
        self.served = served
        self.here = served.app.state.service
        self.gate = self.here.gate

    def __call__(
        self, method: str, path: str, host: str = "http://127.0.0.1", **more: Any
    ) -> httpx.Response:
        async def once() -> httpx.Response:
            client = more.pop("client", ("127.0.0.1", 5))
            transport = httpx.ASGITransport(self.served, client=client)
            async with httpx.AsyncClient(transport=transport, base_url=host) as asking:
                return await asking.request(method, path, **more)

        return anyio.run(once)


@pytest.fixture(scope="session")
def service_type() -> type[Service]:
    """For fixtures that start a service with settings of their own."""
    return Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that the tests of a module share."""
    folder = tmp_path_factory.mktemp("service") / "runs"
    running = Service(folder, "--workers", "2", "--grace-s", "0.5", "--upload-mb", "1").start()
    yield running
    running.stop()
    running.client.close()


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Services of a test's own, on one folder of runs."""
    made: list[Service] = []

    def make(*options: str) -> Service:
        made.append(Service(tmp_path / "runs", *options).start())
        return made[-1]

    make.folder = tmp_path / "runs"  # type: ignore[attr-defined]
    yield make
    for one in made:
        one.stop()
        one.client.close()
    for path in (tmp_path / "runs" / ".service" / "jobs").glob("*"):
        processes.end(path.name)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database, of each kind that holds the tables of the service."""
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = create_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """An empty database in a file."""
    made = create_engine(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy stages can be imported by the tests, too."""
    monkeypatch.syspath_prepend(TOYS)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """An application, and a function that asks it: no socket, no job at work."""
    from fovea.service.app import create_app
    from fovea.service.command import settings_of

    made: list[Any] = []

    def start(*words: str) -> Any:
        options = ["--runs", str(tmp_path / "runs"), "--device", "cpu", "--no-preload", *words]
        served = create_app(settings_of(options, variables={}, folder=tmp_path).config)
        made.append(served)
        return Asker(served)

    yield start
    for served in made:
        served.app.state.service.store.close()
