"""How jobs wait, and who works on them."""

from __future__ import annotations

from fovea.config import Config, setting


class QueueConfig(Config):
    """How jobs wait, and who works on them."""

    workers: int = setting(1, "jobs at the same time", ge=0, le=64)
    database: str = setting("", "address of the job table; empty is a SQLite file among the runs")
    max_waiting: int = setting(1000, "jobs that may wait; one more is answered 503", ge=1)
    lease_s: float = setting(60.0, "how long a worker may be silent in s", gt=0, advanced=True)
    grace_s: float = setting(10.0, "how long a job may take to stop in s", ge=0, advanced=True)
    attempts: int = setting(3, "times a job whose process was lost is started", ge=1, advanced=True)
