import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fovea.service.jobs import Job, JobStore, StaleKeyError, new_id


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.sqlite"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store(database: str, clock: Clock) -> Iterator[JobStore]:
    opened = JobStore(database, clock=clock)
    yield opened
    opened.close()


def a_job(**values: Any) -> Job:
    known = {"id": new_id(), "owner": "ada", "kind": "toy.count", "config": {"steps": 3}}
    rest = {"recipe": "stages: {}", "stages": 1, "run": "run-1", "digest": "d1"}
    return Job(**(known | rest | values))


def claim(store: JobStore, worker: str = "one") -> Job:
    job = store.claim(worker, 60)
    assert job
    return job


def test_a_job_comes_back_as_it_was_put_in(store: JobStore) -> None:
    job = a_job(config={"label": "Ünïcode", "list": [1, 2.5, None]})
    store.enqueue(job)
    assert store.get(job.id) == job


def test_ids_sort_by_time() -> None:
    ids = [new_id() for _ in range(50)]
    stamps = [id[:13] for id in ids]
    assert stamps == sorted(stamps)
    assert len(set(ids)) == 50
    assert all(id[14] == "7" and id[19] in "89ab" for id in ids)


def test_the_first_in_is_the_first_out_unless_another_is_more_urgent(store: JobStore) -> None:
    jobs = [a_job(id=f"{n}") for n in range(3)] + [a_job(id="9", priority=5)]
    for job in jobs:
        store.enqueue(job)
    assert [claim(store).id for _ in jobs] == ["9", "0", "1", "2"]
    assert store.claim("one", 60) is None


def test_many_workers_never_take_one_job_twice(store: JobStore) -> None:
    for _ in range(60):
        store.enqueue(a_job())
    taken: list[str] = []

    def work(name: str) -> None:
        while job := store.claim(name, 60):
            started = store.start(job)
            assert started
            assert store.finish(started, {"artifacts": []})
            taken.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 60
    assert store.counts() == {"succeeded": 60}


def test_a_silent_worker_loses_its_job_and_can_write_nothing_more(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue(a_job())
    first = store.start(claim(store))
    assert first
    clock.now += 61
    second = claim(store, "two")
    assert (second.id, second.attempt, second.fence) == (first.id, 2, first.fence + 1)
    assert store.renew(first, 60) is None
    assert store.progress(first, {"fraction": 1}, "all done") is None
    assert store.finish(first, {"artifacts": []}) is None
    assert store.fail(first, {"code": "job"}) is None
    assert store.release(first, "mine", because="lost") is None
    assert store.get(first.id) == second


def test_the_same_worker_cannot_write_with_the_fence_of_an_earlier_claim(
    store: JobStore, clock: Clock
) -> None:
    store.enqueue(a_job())
    first = claim(store)
    clock.now += 61
    second = claim(store)
    assert first.worker == second.worker
    assert store.finish(first, {}) is None
    assert store.finish(second, {})


def test_a_lease_that_is_renewed_is_kept(store: JobStore, clock: Clock) -> None:
    store.enqueue(a_job())
    job = claim(store)
    for _ in range(3):
        clock.now += 45
        assert store.renew(job, 60)
        assert store.claim("two", 60) is None


def test_a_waiting_job_is_cancelled_at_once_and_a_held_one_when_its_worker_says_so(
    store: JobStore,
) -> None:
    waiting, held = a_job(id="2"), a_job(id="1")
    store.enqueue(held)
    store.enqueue(waiting)
    job = claim(store)
    cancelled, asked = store.cancel(waiting.id), store.cancel(held.id)
    assert cancelled
    assert (cancelled.state, cancelled.is_open) == ("cancelled", False)
    assert asked
    assert (asked.state, asked.cancel_requested) == ("leased", True)
    assert store.cancelled(job)
    assert store.cancel(held.id) is None
    assert store.claim("two", 60) is None


def test_a_job_that_is_to_wait_is_not_taken_before_its_time(store: JobStore, clock: Clock) -> None:
    store.enqueue(a_job())
    store.release(claim(store), "busy", wait_s=10, because="waits")
    assert store.claim("one", 60) is None
    clock.now += 10
    assert claim(store).attempt == 2


def test_the_jobs_of_a_dead_worker_are_queued_again_and_those_of_others_are_not(
    store: JobStore,
) -> None:
    for id in "12":
        store.enqueue(a_job(id=id))
    claim(store, "dead")
    claim(store, "alive")
    recovered = store.recover(lambda worker: worker == "dead")
    assert [job.id for job in recovered] == ["1"]
    assert store.counts() == {"queued": 1, "leased": 1}


def test_a_repeated_request_gives_the_first_job_and_another_under_its_key_is_refused(
    store: JobStore,
) -> None:
    first = a_job(idempotency_key="k")
    assert store.enqueue(first) == (first, True)
    assert store.enqueue(a_job(idempotency_key="k")) == (first, False)
    assert store.enqueue(a_job(idempotency_key="k", owner="bob"))[1]
    with pytest.raises(StaleKeyError, match=f"was used for job {first.id} with another body"):
        store.enqueue(a_job(idempotency_key="k", digest="d2"))
