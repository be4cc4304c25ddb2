"""Jobs on several machines: real Redis, PostgreSQL and Ray, with a worker killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fovea.service import processes

if TYPE_CHECKING:
    from conftest import Service

    Make = Callable[..., Service]

TOYS = str(Path(__file__).parent / "toys")
JOBS = 5


class Worker:
    """`fovea worker` as a child process."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "fovea", "worker", "--runs", str(folder)]
        paths = filter(None, [TOYS, os.environ.get("PYTHONPATH")])
        self.process = subprocess.Popen(
            [*command, "--device", "cpu", *options],
            cwd=folder.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture
def make_worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(*options: str) -> Worker:
        (tmp_path / "runs").mkdir(exist_ok=True)
        made.append(Worker(tmp_path / "runs", *options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def held_by(service: "Service", worker: Worker) -> str:
    """The job that the worker has at hand, once it has made a step."""
    from fovea.service.jobs import JobStore

    address = dict(zip(service.options, service.options[1:], strict=False))["--database"]
    store = JobStore(address)
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            for job in store.list(None, states=["running"]):
                parts = (job.worker or "").split("/")
                if str(worker.process.pid) in parts and (job.progress or {}).get("done"):
                    return job.id
            time.sleep(0.05)
    finally:
        store.close()
    raise AssertionError("the worker takes no job")


def hurried(service: "Service", ids: list[str]) -> dict[str, dict[str, Any]]:
    """The jobs at their ends, to which they come without pauses once they are at work."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        jobs = {id: service.job(id) for id in ids}
        at_work = [id for id, job in jobs.items() if job["state"] == "running"]
        for id in at_work:
            if (folder := service.folder / jobs[id]["run"]).is_dir():
                (folder / "hurry").touch()
        if not at_work and all(job["state"] != "queued" for job in jobs.values()):
            return jobs
        time.sleep(0.1)
    raise AssertionError(f"they do not come to their ends: {jobs}")


def ends(service: "Service", job: dict[str, Any]) -> list[str]:
    """The states in which the stage of a job's run came to an end, in order."""
    lines = (service.folder / job["run"] / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [e["state"] for e in events if e["kind"] == "state" and e["stage"] and "scores" in e]


def test_workers_take_jobs_from_redis_and_each_is_done_once_though_one_is_killed(
    make_service: "Make",
    make_worker: Callable[..., Worker],
    redis_url: str,
    postgres_url: str,
) -> None:
    shared = ["--queue", redis_url, "--database", postgres_url]
    first, second = make_worker(*shared), make_worker(*shared)
    service = make_service("--executor", "rq", *shared)
    ids = [
        service.submit("toy.count", steps=100, label=str(n), pace={"pause_s": 0.3})["id"]
        for n in range(JOBS)
    ]
    # No job comes to its end before it is told to: each worker has one, however late it began.
    lost = held_by(service, first)
    first.kill()
    processes.end(lost)
    done = hurried(service, ids)
    assert {job["state"] for job in done.values()} == {"succeeded"}
    assert done[lost]["attempt"] == 2
    assert service.client.get(f"/v1/jobs/{lost}/artifacts/number").json()["from"] > 0
    assert all(ends(service, job) == ["done"] for job in done.values())
    assert service.client.get("/readyz").json()["trouble"] == []
    assert second.stop() == 0


def test_a_job_whose_worker_dies_before_it_begins_is_given_to_another(
    make_service: "Make", make_worker: Callable[..., Worker], redis_url: str
) -> None:
    import redis
    from rq import Queue

    shared = ["--queue", redis_url]
    service = make_service("--executor", "rq", *shared)
    id = service.submit("toy.count")["id"]
    taken, deadline = None, time.monotonic() + 60
    with redis.Redis.from_url(redis_url) as connection:
        while taken is None:  # as a worker does, that is killed in the next moment
            keys = [name.decode() for name in connection.smembers("rq:queues")]
            taken = Queue.lmove(connection, keys[0], None) if keys else None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    make_worker(*shared)
    done = service.wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)


def test_a_worker_needs_no_redis_and_saves_its_job_when_it_is_asked_to_leave(
    make_service: "Make", make_worker: Callable[..., Worker], postgres_url: str
) -> None:
    database = ["--database", postgres_url]
    service = make_service("--workers", "0", *database)
    id = service.submit("toy.count", steps=30, pace={"pause_s": 0.1})["id"]
    first = make_worker(*database)
    service.wait_for_step(id, 3)
    assert first.stop() == 0
    assert processes.marked(id) == []
    assert service.job(id)["state"] == "queued"
    make_worker(*database)
    done = service.wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert service.client.get(f"/v1/jobs/{id}/artifacts/number").json()["from"] >= 3


@pytest.mark.slow
def test_jobs_on_a_ray_cluster_are_done_once_though_a_node_is_lost(make_service: "Make") -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
        service = make_service(
            "--executor", "ray", "--queue", cluster.address, "--workers", "2", "--attempts", "5"
        )
        # Long enough that both nodes are at work when one of them goes.
        ids = [
            service.submit("toy.count", steps=100, label=str(n), pace={"pause_s": 0.3})["id"]
            for n in range(3)
        ]
        for id in ids[:2]:
            service.wait(id, lambda job: (job["progress"] or {}).get("done"), patience_s=90)
        cluster.remove_node(nodes[0], allow_graceful=False)
        # Ray may still give it to the node that is gone, for as long as it has not noticed.
        deadline = time.monotonic() + 120
        while max(service.job(id)["attempt"] for id in ids) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        done = list(hurried(service, ids).values())
        assert {job["state"] for job in done} == {"succeeded"}
        assert max(job["attempt"] for job in done) >= 2
        assert all(ends(service, job) == ["done"] for job in done)
    finally:
        cluster.shutdown()
