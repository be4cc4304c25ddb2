"""How jobs wait, and who works on them."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting


class QueueConfig(Config):
    """How jobs wait, and who works on them."""

    executor: Literal["local", "rq", "ray"] = setting(
        "local", "who works: this machine, `fovea worker` on several, or a Ray cluster"
    )
    address: str = setting(
        "",
        "of the queue in Redis (rq; empty is redis.url) or of the cluster (ray; empty begins one)",
    )
    workers: int = setting(1, "jobs at the same time", ge=0, le=64)
    database: str = setting("", "address of the job table; empty is a SQLite file among the runs")
    max_waiting: int = setting(1000, "jobs that may wait; one more is answered 503", ge=1)
    owner_queued: int = setting(0, "jobs of one caller that may wait; 0 is any number", ge=0)
    owner_running: int = setting(0, "jobs of one caller at the same time; 0 is any number", ge=0)
    owner_gpu_s: float = setting(0.0, "s of GPU of one caller in 24 hours; 0 is any", ge=0)
    owner_mb: float = setting(0.0, "MB of results of one caller; 0 is any", ge=0)
    warm_jobs: int = setting(
        0,
        "short predictions after which the process that keeps the network loaded for them is"
        " replaced; 0 gives each job a process of its own",
        ge=0,
    )
    warm_mb: float = setting(
        1000.0, "MB by which such a process may grow before it is replaced", gt=0, advanced=True
    )
    lease_s: float = setting(60.0, "how long a worker may be silent in s", gt=0, advanced=True)
    grace_s: float = setting(10.0, "how long a job may take to stop in s", ge=0, advanced=True)
    attempts: int = setting(3, "times a job whose process was lost is started", ge=1, advanced=True)
    nice: int = setting(
        5, "by how much jobs stand back for the service's answers", ge=0, le=19, advanced=True
    )
