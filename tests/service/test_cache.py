"""The cache of results: real runs, real Redis; what is forged leads nowhere."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import RedisServer

from fovea.config import resolve
from fovea.runs.recipe import Recipe
from fovea.runs.run import execute
from fovea.service.cache import ResultCache
from fovea.service.jobs import Job, JobStore, new_id
from fovea.service.settings import ServeConfig


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Bench:
    """A folder of runs, and caches over it."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.folder = folder
        self.stores: list[JobStore] = []

    def cache(self, *words: str) -> ResultCache:
        """A service's cache, with a database of its own."""
        words = (f"runs={self.runs}", *words)
        settings = resolve(ServeConfig, name="serve", environment={}, arguments=words).config
        number = len(self.stores)
        self.stores.append(JobStore(f"sqlite:///{self.folder}/{number}.sqlite"))
        return ResultCache(settings, self.stores[-1].engine, clock=Clock())

    def done(self, cache: ResultCache, **config: Any) -> Job:
        """A job that has been done and noted."""
        recipe = self.recipe(**config)
        run = execute(recipe, root=self.runs, new=True, isolation="inline")
        job = Job(
            id=new_id(),
            owner="ada",
            kind="toy.count",
            config=config,
            recipe=recipe.to_yaml(),
            stages=1,
            run=run.folder.name,
            digest="d",
            fingerprint=cache.fingerprint(recipe),
            state="succeeded",
            bytes=1000,
        )
        cache.note(job)
        return job

    def recipe(self, **config: Any) -> Recipe:
        return Recipe.single("toy.count", {"steps": 1, **config})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for store in made.stores:
        store.close()


def test_the_same_work_is_found_by_its_settings_and_the_content_of_its_inputs(
    bench: Bench, tmp_path: Path
) -> None:
    cache = bench.cache()
    for name, content in (("a", b"1"), ("same", b"1"), ("other", b"2")):
        (tmp_path / name).write_bytes(content)
    job = bench.done(cache, start=tmp_path / "a", label="x")
    same = cache.fingerprint(
        bench.recipe(start=tmp_path / "same", label="x", pace={"pause_s": 1.0})
    )
    assert same == job.fingerprint
    found = cache.find(same)
    assert found
    assert found.run == job.run
    assert found.result["artifacts"][0]["name"] == "count.number"
    for config in ({"start": tmp_path / "other", "label": "x"}, {"start": tmp_path / "a"}):
        assert cache.find(cache.fingerprint(bench.recipe(**config))) is None
    figures = cache.statistics()
    assert (figures["hits"], figures["misses"], figures["hit_rate"]) == (1, 2, 33.33)
    assert (figures["size"], figures["bytes"]) == (1, 1000)


def test_a_result_that_was_noted_is_still_known_after_a_restart(bench: Bench) -> None:
    job = bench.done(bench.cache())
    again = ResultCache(
        resolve(ServeConfig, name="serve", environment={}, arguments=[f"runs={bench.runs}"]).config,
        bench.stores[0].engine,
    )
    assert again.find(job.fingerprint)


def test_a_cache_that_was_cleared_knows_nothing_and_nor_do_later_runs(bench: Bench) -> None:
    cache = bench.cache()
    job = bench.done(cache)
    assert cache.find(job.fingerprint)
    stage = Recipe.single("toy.count", {"steps": 1})
    assert cache.clear() == 1
    assert cache.find(job.fingerprint) is None
    assert (cache.statistics()["hits"], cache.statistics()["misses"]) == (0, 1)
    run = execute(stage, root=bench.runs, new=True, isolation="inline")
    assert run.stages[0].reused_from == ""


def test_the_least_lately_used_goes_first(bench: Bench) -> None:
    cache = bench.cache("cache.size=2")
    first, second = bench.done(cache, label="1"), bench.done(cache, label="2")
    assert cache.find(first.fingerprint)
    third = bench.done(cache, label="3")
    found = [bool(cache.find(job.fingerprint)) for job in (first, second, third)]
    assert found == [True, False, True]


def test_results_take_no_more_than_so_many_bytes(bench: Bench) -> None:
    cache = bench.cache("cache.megabytes=0.0025")
    jobs = [bench.done(cache, label=str(n)) for n in range(4)]
    assert cache.statistics()["bytes"] == 2000
    assert [bool(cache.find(job.fingerprint)) for job in jobs] == [False, False, True, True]


def test_a_cache_that_is_off_looks_nothing_up(bench: Bench) -> None:
    job = bench.done(bench.cache())
    off = bench.cache("cache.enabled=false")
    assert off.fingerprint(bench.recipe()) == ""
    assert off.find(job.fingerprint) is None
    assert not off.statistics()["enabled"]
    assert off.statistics()["hit_rate"] == 0


def test_a_result_whose_files_were_changed_is_not_used(bench: Bench) -> None:
    cache = bench.cache()
    job = bench.done(cache)
    made = next(bench.runs.glob(f"{job.run}/stages/*/out/number.json"))
    made.write_text("something longer than it was")
    assert cache.find(job.fingerprint) is None
    assert cache.statistics()["size"] == 0


def test_a_job_that_failed_or_has_no_fingerprint_is_not_noted(bench: Bench) -> None:
    cache = bench.cache()
    job = bench.done(cache)
    cache.clear()
    cache.note(dataclasses.replace(job, state="failed"))
    cache.note(dataclasses.replace(job, fingerprint=""))
    cache.note(dataclasses.replace(job, fingerprint="0" * 64))
    assert cache.statistics()["size"] == 0


# Shared through Redis


def test_services_tell_each_other_of_results(bench: Bench, redis_url: str) -> None:
    shared = ("redis.enabled=true", f"redis.url={redis_url}", "redis.prefix=team")
    first, second = bench.cache(*shared), bench.cache(*shared)
    job = bench.done(first)
    assert second.find(job.fingerprint)
    with redis.Redis.from_url(redis_url) as client:
        key = f"team:result:{job.fingerprint}"
        assert client.keys() == [key.encode()]
        assert 604_000 < client.ttl(key) <= 604_800
        client.set("another:result:x", "y")
        first.clear()
        assert client.keys() == [b"another:result:x"]


def test_what_somebody_put_into_redis_leads_nowhere(bench: Bench, redis_url: str) -> None:
    shared = ("redis.enabled=true", f"redis.url={redis_url}")
    cache = bench.cache(*shared)
    other = bench.done(cache, label="another")
    fingerprint = cache.fingerprint(bench.recipe(label="wanted"))
    for forged in (other.run, "../runs", "/etc", "", "nothing", b"\xff\xfe", "a" * 100_000, "."):
        with redis.Redis.from_url(redis_url) as client:
            client.set(f"mlsharp:result:{fingerprint}", forged)
        assert bench.cache(*shared).find(fingerprint) is None


def test_a_redis_that_is_gone_is_counted_and_done_without(bench: Bench) -> None:
    with RedisServer() as server:
        cache = bench.cache("redis.enabled=true", f"redis.url={server.url}")
        first = bench.done(cache, label="1")
        server.kill()
        assert cache.find("0" * 64) is None
        assert cache.statistics()["shared_failures"] == 1
        second = bench.done(cache, label="2")
        assert cache.find(first.fingerprint)
        assert cache.find(second.fingerprint)
        assert cache.statistics()["shared_failures"] == 1  # it is left alone for some seconds
