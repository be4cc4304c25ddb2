"""How much is answered at a time."""

from __future__ import annotations

from fovea.config import Config, setting


class PerformanceConfig(Config):
    """How much is answered at a time."""

    max_workers: int = setting(
        4, "threads for answers that wait for the disk or the job table", ge=1, le=256
    )
    max_concurrency: int = setting(
        10, "predictions that may be waited for in open requests; one more is answered 503", ge=1
    )
    timeout_keep_alive: int = setting(30, "s for which an idle connection is kept", ge=0)
    max_requests: int = setting(
        0, "requests after which the server ends, to be started anew; 0 never does", ge=0
    )
