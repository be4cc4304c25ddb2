"""The cache of results."""

from __future__ import annotations

from fovea.config import Config, setting


class CacheConfig(Config):
    """The cache of results: the same work is answered from an earlier run."""

    enabled: bool = setting(True, "whether results are used again")
    size: int = setting(100, "results that are kept for that", ge=0)
    megabytes: float = setting(0.0, "most MB they may take; 0 takes any", ge=0)
    ttl_s: float = setting(
        604_800.0, "how long other services are told of one through Redis in s; 0 is for ever", ge=0
    )
    clear_at_start: bool = setting(False, "whether the service begins with an empty cache")
