import logging
import time

import pytest
from servers import RedisServer

from fovea.service.access.limits import RateLimits
from fovea.service.problems import RefusedError


def limits(redis_url: str = "", window_s: int = 60) -> RateLimits:
    return RateLimits(with_key=3, without_key=1, window_s=window_s, redis_url=redis_url)


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_so_many_requests_go_in_a_window_and_the_next_is_told_when(
    where: str, request: pytest.FixtureRequest
) -> None:
    counted = limits(request.getfixturevalue("redis_url") if where == "redis" else "")
    left = [rate.remaining for _ in range(3) if (rate := counted.hit("key", "a"))]
    assert left == [2, 1, 0]
    with pytest.raises(RefusedError, match=r"3 requests go in 60 s\. Wait") as caught:
        counted.hit("key", "a")
    assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
    headers = caught.value.headers
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert headers["X-RateLimit-Limit"] == "3"
    assert headers["X-RateLimit-Remaining"] == "0"
    assert headers["X-RateLimit-Reset"] == headers["Retry-After"]
    assert headers["RateLimit-Policy"] == '"default";q=3;w=60'
    assert headers["RateLimit"] == f'"default";r=0;t={headers["Retry-After"]}'
    # Others have counters of their own, and an address is no key.
    assert counted.hit("key", "b")
    assert counted.hit("address", "a")
    with pytest.raises(RefusedError):
        counted.hit("address", "a")


def test_the_window_moves() -> None:
    counted = limits(window_s=1)
    for _ in range(3):
        counted.hit("key", "a")
    with pytest.raises(RefusedError):
        counted.hit("key", "a")
    time.sleep(1.1)
    assert counted.hit("key", "a")


def test_nothing_is_limited_where_the_limit_is_zero() -> None:
    counted = RateLimits(with_key=0, without_key=0, window_s=1)
    assert counted.hit("key", "a") is None


def test_two_services_count_together_in_redis(redis_url: str) -> None:
    one, other = limits(redis_url), limits(redis_url)
    for counted in (one, other, one):
        counted.hit("key", "shared")
    with pytest.raises(RefusedError):
        other.hit("key", "shared")


def test_a_redis_that_has_gone_is_replaced_by_memory(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        counted = limits(server.url)
        counted.hit("key", "a")
        server.kill()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                counted.hit("key", "a")
            with pytest.raises(RefusedError):
                counted.hit("key", "a")
        assert "as Redis does not answer" in caplog.text
        server.start()
        assert counted.hit("key", "a").remaining == 2  # type: ignore[union-attr]
