"""How often a caller may ask: so many requests in any window of so many seconds.

Counted by key where there is one, else by address; in memory, or in Redis where several services
share it. A Redis that does not answer is replaced by memory until it does: a limit that is a little
too wide is better than a service that is down.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import MovingWindowRateLimiter

from fovea.service.problems import RefusedError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rate:
    """What is left of a caller's requests."""

    limit: int
    window_s: int
    remaining: int
    reset_s: int
    """Seconds until one more is allowed, or until all are."""

    def headers(self) -> dict[str, str]:
        """As they are said: the ones everybody knows, and those of the IETF's draft."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_s}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_s}',
        }


class RateLimits:
    """The counters of all callers."""

    def __init__(
        self,
        *,
        with_key: int,
        without_key: int,
        window_s: int,
        redis_url: str = "",
        prefix: str = "fovea",
    ) -> None:
        self._window_s = window_s
        self._items = {
            "key": _item(with_key, window_s),
            "address": _item(without_key, window_s),
        }
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._shared = _redis(redis_url, prefix) if redis_url else None

    def hit(self, kind: str, who: str) -> Rate | None:
        """Count a request of a `key` or an `address`; None where nothing is limited.

        Raises:
            RefusedError: 429, too many.
        """
        item = self._items[kind]
        if item is None:
            return None
        try:
            return self._hit(self._shared or self._memory, item, kind, who)
        except StorageError as error:
            log.warning("rate limits are counted in memory, as Redis does not answer: %s", error)
            return self._hit(self._memory, item, kind, who)

    def _hit(
        self, limiter: MovingWindowRateLimiter, item: RateLimitItem, kind: str, who: str
    ) -> Rate:
        allowed = limiter.hit(item, kind, who)
        reset, remaining = limiter.get_window_stats(item, kind, who)
        reset_s = max(1, math.ceil(reset - time.time()))
        rate = Rate(item.amount, self._window_s, max(0, remaining), reset_s)
        if allowed:
            return rate
        raise RefusedError(
            429,
            "too_many_requests",
            f"{item.amount} requests go in {self._window_s} s. Wait {reset_s} s.",
            headers={"Retry-After": str(reset_s), **(rate.headers())},
        )


def _item(requests: int, window_s: int) -> RateLimitItem | None:
    return RateLimitItemPerSecond(requests, window_s) if requests else None


def _redis(url: str, prefix: str) -> MovingWindowRateLimiter:
    storage: Storage = RedisStorage(
        url,
        wrap_exceptions=True,
        key_prefix=f"{prefix}:rate",
        socket_connect_timeout=1,
        socket_timeout=1,
    )
    return MovingWindowRateLimiter(storage)
