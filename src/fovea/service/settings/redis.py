"""A Redis that several services share."""

from __future__ import annotations

from fovea.config import Config, setting


class RedisConfig(Config):
    """A Redis that several services share."""

    enabled: bool = setting(False, "whether cache and rate limits are shared through Redis")
    url: str = setting("redis://localhost:6379/0", "where it is")
    prefix: str = setting("mlsharp", "before every key of ours in it", min_length=1)
