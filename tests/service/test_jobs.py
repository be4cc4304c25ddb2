import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fovea.service.jobs import Job, JobStore, StaleKeyError, new_id
from fovea.service.quotas import QuotaError, Quotas, Usage


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


# Failures, retries, quotas


def test_an_older_table_is_given_the_columns_that_it_lacks(tmp_path: Path) -> None:
    from sqlalchemy import text

    url = f"sqlite:///{tmp_path}/jobs.sqlite"
    first = JobStore(url)
    job = first.enqueue(a_job())[0]
    with first.engine.begin() as connection:
        for name in ("jobs_by_fingerprint", "jobs_by_run"):
            connection.execute(text(f"DROP INDEX {name}"))
        for column in ("fingerprint", "lost", "ooms", "waits", "bytes", "gpu_s"):
            connection.execute(text(f"ALTER TABLE jobs DROP COLUMN {column}"))
    first.close()
    again = JobStore(url)
    assert again.get(job.id) == job
    again.close()


def test_what_a_job_lost_is_counted_by_its_class(store: JobStore, clock: Clock) -> None:
    store.enqueue(a_job())
    for because in ("lost", "ooms", "waits"):
        store.release(claim(store), "again", because=because)
    stopped = store.release(claim(store), "with the service")
    assert stopped
    assert (stopped.lost, stopped.ooms, stopped.waits, stopped.attempt) == (1, 1, 1, 3)
    claim(store)
    clock.now += 61
    assert claim(store, "two").lost == 2


def test_a_job_that_ended_badly_is_retried_as_if_it_were_new_and_no_other(store: JobStore) -> None:
    for id in "123":
        store.enqueue(a_job(id=id))
    failed = claim(store)
    assert store.retry(failed.id) is None
    store.fail(failed, {"code": "data", "message": "no"}, bytes=7)
    store.cancel("2")
    succeeded = claim(store)
    store.finish(succeeded, {})
    assert store.retry(succeeded.id) is None
    again = store.retry(failed.id)
    assert again
    assert (again.state, again.error, again.ended, again.lost) == ("queued", None, None, 0)
    assert again.run == failed.run
    assert store.retry("2")
    assert {claim(store).id, claim(store).id} == {"1", "2"}


def test_of_jobs_with_one_fingerprint_one_works_at_a_time(store: JobStore) -> None:
    for id in "123":
        store.enqueue(a_job(id=id, fingerprint="f"))
    store.enqueue(a_job(id="4"))
    first = claim(store)
    assert (first.id, claim(store).id) == ("1", "4")
    assert store.claim("two", 60) is None
    store.release(first, "later", wait_s=5, because="waits")
    assert store.claim("two", 60) is None
    store.cancel("1")
    assert claim(store).id == "2"


def test_an_urgent_job_hurries_the_one_that_it_waits_for(store: JobStore) -> None:
    store.enqueue(a_job(id="1", fingerprint="f"))
    store.enqueue(a_job(id="0"))
    store.enqueue(a_job(id="2", fingerprint="f", priority=9))
    assert claim(store).id == "1"


def test_an_owner_has_no_more_jobs_at_work_than_one_may(store: JobStore) -> None:
    for id in "123":
        store.enqueue(a_job(id=id))
    store.enqueue(a_job(id="4", owner="bob"))
    taken = [store.claim("one", 60, most_per_owner=2) for _ in range(4)]
    assert [job.id if job else None for job in taken] == ["1", "2", "4", None]
    assert store.waiting(9, most_per_owner=2) == []
    assert store.waiting(9) == ["3"]


@pytest.mark.parametrize(
    ("quotas", "code", "status", "words"),
    [
        (Quotas(waiting=2), "queue_full", 503, "2 jobs wait already"),
        (Quotas(queued=2), "quota", 429, "2 of your jobs wait already"),
        (Quotas(gpu_s=50.0), "quota", 429, "60 s of GPU within 24 hours, of 50 s"),
        (Quotas(bytes=1_000_000), "quota", 429, "take 3 MB, of 1 MB"),
    ],
)
def test_a_job_beyond_a_quota_is_refused_and_not_kept(
    store: JobStore, clock: Clock, quotas: Quotas, code: str, status: int, words: str
) -> None:
    store.enqueue(a_job())
    store.finish(claim(store), {}, bytes=3_000_000, gpu_s=60.0)
    for _ in range(2):
        store.enqueue(a_job())
    repeated = a_job(idempotency_key="k")
    store.enqueue(repeated)
    store.cancel(repeated.id)
    before = store.counts()
    with pytest.raises(QuotaError, match=words) as refused:
        store.enqueue(a_job(), quotas)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert refused.value.retry_after_s > 0
    assert store.counts() == before
    assert store.enqueue(a_job(idempotency_key="k"), quotas) == (store.get(repeated.id), False)
    assert store.usage("ada") == Usage(queued=2, running=0, gpu_s=60.0, bytes=3_000_000)
    clock.now += 25 * 3600
    assert store.usage("ada").gpu_s == 0


def test_two_requests_at_once_cannot_both_be_the_last_one(store: JobStore) -> None:
    refused: list[QuotaError] = []

    def ask() -> None:
        for _ in range(5):
            try:
                store.enqueue(a_job(), Quotas(queued=7))
            except QuotaError as error:
                refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(refused), store.counts()) == (13, {"queued": 7})


def test_a_job_knows_how_many_are_before_it(store: JobStore) -> None:
    jobs = [store.enqueue(a_job(id=f"{n}", priority=int(n == 3)))[0] for n in range(4)]
    assert [store.ahead(job) for job in jobs] == [1, 2, 3, 0]


def test_only_what_has_ended_is_forgotten(store: JobStore) -> None:
    store.enqueue(a_job(id="1"))
    assert store.forget("1") is None
    store.finish(claim(store), {})
    assert store.uses_run("run-1")
    gone = store.forget("1")
    assert gone
    assert gone.id == "1"
    assert not store.uses_run("run-1")


WORK = """
import sys, time
from fovea.service.jobs import JobStore
store = JobStore(sys.argv[1])
ledger = open(sys.argv[2], "a", buffering=1)
while True:
    job = store.claim(sys.argv[3], 1.0)
    if job is None:
        time.sleep(0.02)
        continue
    started = store.start(job)
    if started and store.finish(started, {"by": sys.argv[3]}):
        ledger.write(job.id + "\\n")
"""


@pytest.mark.slow
def test_a_thousand_jobs_are_each_finished_once_though_workers_are_killed(
    database: str, tmp_path: Path
) -> None:
    store = JobStore(database)
    for _ in range(1000):
        store.enqueue(a_job())
    ledger = tmp_path / "ledger"
    chance = random.Random(0)

    def start(number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", WORK, database, str(ledger), f"w{number}"]
        return subprocess.Popen(words)

    workers = {number: start(number) for number in range(4)}
    kills = 0
    try:
        while store.counts() != {"succeeded": 1000}:
            time.sleep(0.5)
            done = len(ledger.read_text().splitlines()) if ledger.exists() else 0
            if done > 100 * (kills + 1) and kills < 8:
                number = chance.choice(list(workers))
                workers[number].kill()
                workers[number].wait()
                workers[number] = start(number)
                kills += 1
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()
    finished = ledger.read_text().splitlines()
    assert kills >= 3
    # A worker that was killed between the two may have finished a job and not noted it.
    assert len(finished) == len(set(finished)) >= 1000 - kills
    store.close()
