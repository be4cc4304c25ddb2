"""What services tell each other through Redis: which run holds a result.

Keys and values are short texts, `PREFIX:result:FINGERPRINT` and a run's name, so that nothing that
is read there can be more than a hint. A Redis that does not answer is left alone for some seconds
and counted; everything goes on without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fovea.errors import BackendError

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

PATIENCE_S = 0.5
QUIET_S = 5.0


class SharedIndex:
    """Fingerprints and runs in Redis.

    Raises:
        BackendError: the package that speaks to Redis is missing.
    """

    def __init__(self, url: str, prefix: str, ttl_s: float) -> None:
        try:
            import redis
        except ImportError as error:
            raise BackendError(
                "redis.enabled needs the package redis, and it is not installed. Install it with: "
                "pip install 'fovea-vision[redis]'"
            ) from error
        self._redis = redis
        self._client: Redis = redis.Redis.from_url(
            url,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            decode_responses=True,
        )
        self._prefix = f"{prefix}:result:"
        self._ttl_s = int(ttl_s)
        self._quiet_until = 0.0
        self.failures = 0
        """How often it did not answer."""

    def get(self, fingerprint: str) -> str | None:
        """The run that is said to hold the result."""
        said = self._try(lambda: self._client.get(self._prefix + fingerprint))
        return said if isinstance(said, str) and len(said) < 256 else None

    def put(self, fingerprint: str, run: str) -> None:
        """Say that a run holds the result."""
        key = self._prefix + fingerprint
        self._try(lambda: self._client.set(key, run, ex=self._ttl_s or None))

    def drop(self, fingerprints: Sequence[str]) -> None:
        """Take that back."""
        self._try(lambda: self._client.delete(*(self._prefix + one for one in fingerprints)))

    def clear(self) -> None:
        """Take everything back."""

        def delete() -> None:
            for key in self._client.scan_iter(match=f"{self._prefix}*", count=500):
                self._client.delete(key)

        self._try(delete)

    def _try(self, ask: Callable[[], Any]) -> Any:
        if time.monotonic() < self._quiet_until:
            return None
        try:
            return ask()
        except (self._redis.RedisError, UnicodeDecodeError) as error:
            self.failures += 1
            self._quiet_until = time.monotonic() + QUIET_S
            log.warning("Redis does not answer, going on without it: %s", error)
            return None
