"""What is removed after a while, and what never is."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fovea.config import resolve
from fovea.service.cache import ResultCache
from fovea.service.jobs import Job, JobStore, new_id
from fovea.service.outcome import cost
from fovea.service.retention import Retention
from fovea.service.settings import ServeConfig

DAY_S = 86_400.0
NOW = 100 * DAY_S


class Shelf:
    """A folder of runs with jobs in it."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.uploads = folder / "uploads"
        self.store = JobStore(f"sqlite:///{folder}/jobs.sqlite")

    def job(self, *, age_days: float, mb: float = 1, owner: str = "ada", **values: Any) -> Job:
        id = new_id()
        job = Job(
            id=id,
            owner=owner,
            kind="toy.count",
            config={},
            recipe="",
            stages=1,
            run=f"run-{id}",
            digest="d",
            state="succeeded",
            bytes=int(mb * 1e6),
            created=NOW - age_days * DAY_S,
            ended=NOW - age_days * DAY_S,
        )
        job = self.store.enqueue(dataclasses.replace(job, **values))[0]
        (self.runs / job.run).mkdir(parents=True, exist_ok=True)
        (self.runs / job.run / "run.json").write_text("{}")
        (self.runs / ".service" / "jobs" / job.id).mkdir(parents=True)
        return job

    def tidied(self, *words: str) -> set[str]:
        """The ids of the jobs that are gone after a round with these limits."""
        words = (f"runs={self.runs}", *(f"retention.{word}" for word in words))
        settings = resolve(ServeConfig, name="serve", environment={}, arguments=words).config
        cache = ResultCache(settings, self.store.engine)
        retention = Retention(settings, self.store, cache, self.uploads, clock=lambda: NOW)
        return {job.id for job in retention.tidy()}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.store.close()


def test_nothing_is_removed_unless_somebody_says_so(shelf: Shelf) -> None:
    shelf.job(age_days=99, mb=1e6)
    assert shelf.tidied() == set()


def test_old_results_go_with_all_that_belongs_to_them(shelf: Shelf) -> None:
    old, new = shelf.job(age_days=8), shelf.job(age_days=6)
    assert shelf.tidied("days=7") == {old.id}
    assert shelf.store.get(old.id) is None
    assert [path.name for path in shelf.runs.glob("run-*")] == [new.run]
    assert [path.name for path in (shelf.runs / ".service/jobs").iterdir()] == [new.id]


def test_a_job_that_waits_or_works_is_never_removed(shelf: Shelf) -> None:
    for state in ("queued", "leased", "running"):
        shelf.job(age_days=99, mb=50, state=state, ended=None)
    assert shelf.tidied("days=1", "total_mb=1", "owner_mb=1") == set()


def test_the_oldest_go_until_the_rest_fits(shelf: Shelf) -> None:
    jobs = [shelf.job(age_days=10 - n, mb=3) for n in range(4)]
    assert shelf.tidied("total_mb=7") == {jobs[0].id, jobs[1].id}


def test_one_who_keeps_too_much_loses_only_his_own(shelf: Shelf) -> None:
    mine = [shelf.job(age_days=5 - n, mb=4) for n in range(2)]
    shelf.job(age_days=50, mb=4, owner="bob")
    assert shelf.tidied("owner_mb=5") == {mine[0].id}


def test_a_run_that_another_job_shows_is_kept(shelf: Shelf) -> None:
    first = shelf.job(age_days=9)
    second = shelf.job(age_days=1, run=first.run)
    assert shelf.tidied("days=7") == {first.id}
    assert (shelf.runs / first.run).is_dir()
    assert shelf.tidied("days=0.5") == {second.id}
    assert not (shelf.runs / first.run).exists()


def test_uploads_go_unless_an_open_job_reads_them(shelf: Shelf) -> None:
    for name in ("aa11", "bb22", "cc33"):
        (shelf.uploads / name).mkdir(parents=True)
        age_days = 1 if name == "cc33" else 9
        os.utime(shelf.uploads / name, (NOW, NOW - age_days * DAY_S))
    shelf.job(age_days=9, state="queued", ended=None, recipe="data: uploads/aa11/content")
    shelf.tidied("uploads_days=7")
    assert {path.name for path in shelf.uploads.iterdir()} == {"aa11", "cc33"}


def test_what_a_run_costs_is_read_from_its_records(tmp_path: Path) -> None:
    from fovea.runs.record import StageRecord

    for name, device, reused in (("a", "cuda:0", ""), ("b", "cpu", ""), ("c", "cuda:0", "x")):
        record = StageRecord(name, "toy.count", "f", {}, device=device, seconds=10.0)
        record.reused_from = reused
        record.write(tmp_path / "stages" / name)
    (tmp_path / "big").write_bytes(bytes(5000))
    found = cost(tmp_path)
    assert found["gpu_s"] == 10.0
    assert 5000 < found["bytes"] < 9000
    assert cost(tmp_path / "nothing") == {"bytes": 0, "gpu_s": 0}
