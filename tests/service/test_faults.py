"""A fault in the service's own code costs one job, never the thread that had it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fovea.service.attempt import Workplace
from fovea.service.cache import ResultCache
from fovea.service.executors.local import Threads
from fovea.service.jobs import Job, JobStore, new_id
from fovea.service.places import Machine, Work
from fovea.service.settings import ServeConfig

RECIPE = "name: r\nstages:\n  simulate:\n    use: events.simulate\n"


class Faulty(Machine):
    """A place with a mistake in it, at the start of a job or at its end, too."""

    ends = True

    def begin(self, job: Job, recipe: Path, folder: Path, own: Path) -> Work:
        raise IndexError("list index out of range")

    def end(self, job: str) -> int:
        if not self.ends:
            raise IndexError("list index out of range")
        return super().end(job)


@pytest.fixture
def place(tmp_path: Path) -> Faulty:
    return Faulty(ServeConfig.model_validate({"runs": tmp_path, "queue": {"workers": 1}}))


@pytest.fixture
def store(place: Faulty, tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(f"sqlite:///{tmp_path}/jobs.sqlite")
    here = Workplace(place.settings, opened, ResultCache(place.settings, opened.engine), place)
    threads = Threads(here)
    threads.start()
    yield opened
    assert threads.is_well
    place.ends = True
    threads.stop()
    opened.close()


def put(store: JobStore) -> str:
    id = new_id()
    job = Job(id, "ada", "events.simulate", {}, RECIPE, 1, f"run-{id}", id)
    return store.enqueue(job)[0].id


def seen(store: JobStore, id: str, reached: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        job = store.get(id)
        assert job
        if reached(job):
            return job
        time.sleep(0.02)
    raise AssertionError(f"{id} does not come so far")


def test_a_job_that_meets_a_fault_fails_with_it_and_the_next_one_is_taken(store: JobStore) -> None:
    for id in (put(store), put(store)):
        job = seen(store, id, lambda job: job.state == "failed")
        assert job.error
        assert job.error["code"] == "internal"
        assert "a fault of the service" in job.error["message"]
        assert job.error["message"].endswith("(IndexError)")


def test_a_fault_while_a_job_is_put_away_does_not_take_the_thread_along(
    place: Faulty, store: JobStore
) -> None:
    place.ends = False
    for id in (put(store), put(store)):
        seen(store, id, lambda job: job.state == "running")
