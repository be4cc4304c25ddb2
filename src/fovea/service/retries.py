"""Which failures are tried again, how often, and after how long.

    lost   the process or its worker was ended from outside: `attempts` times, as it may be the
           job itself that takes its worker down
    ooms   memory ran out: once, as others may have had it
    waits  something was busy or full that might not be later: `attempts` times

Everything else, wrong settings or data above all, would fail again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fovea.service.table import Job

Failure = Literal["lost", "ooms", "waits"]
CLASSES: dict[str, Failure] = {
    "worker_lost": "lost",
    "killed": "lost",
    "oom": "ooms",
    "busy": "waits",
    "disk": "waits",
    "temporary": "waits",
}
"""By the code of an error."""
OOMS = 1
WORDS: dict[Failure, str] = {
    "lost": "its process was lost; it goes on from there",
    "ooms": "memory ran out; it is tried once more",
    "waits": "{message} It is tried again.",
}


@dataclass(frozen=True)
class Again:
    """A job is to be tried again."""

    because: Failure
    wait_s: float
    message: str


def again(job: Job, error: dict[str, Any]) -> Again | None:
    """Whether a job that failed so is to be tried again.

    Args:
        job: with what was counted before this failure.
        error: `code` and `message`.
    """
    because = CLASSES.get(error["code"])
    if because is None:
        return None
    before = {"lost": job.lost, "ooms": job.ooms, "waits": job.waits}[because]
    most = OOMS if because == "ooms" else job.max_attempts - 1
    if before >= most:
        return None
    wait_s = {"lost": (before + 1) ** 2, "ooms": 10, "waits": 5 * 2**before}[because]
    message = WORDS[because].format(message=error.get("message", ""))
    return Again(because, float(wait_s), message)
