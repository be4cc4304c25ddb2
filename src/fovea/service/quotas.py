"""How much one caller may ask for, and how much may wait altogether.

They are looked at in the transaction that puts a job into the queue, so that two requests at once
cannot both be the last one. How many jobs of an owner run at a time is not refused but waited for:
`JobStore.claim` passes over an owner who has as many.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from fovea.errors import FoveaError
from fovea.service.table import JOBS

DAY_S = 86_400.0
MEGABYTE = 1_000_000


class QuotaError(FoveaError):
    """There is no room for this request now."""

    exit_code = 75
    code = "quota"

    def __init__(self, message: str, *, status: int, retry_after_s: int) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class QueueFullError(QuotaError):
    """The queue of the whole service is full."""

    code = "queue_full"


@dataclass(frozen=True)
class Usage:
    """What an owner has of everything now."""

    queued: int
    running: int
    gpu_s: float
    """Of the last 24 hours."""
    bytes: int


@dataclass(frozen=True)
class Quotas:
    """Limits; 0 is none."""

    waiting: int = 0
    """Jobs that wait, of all owners together."""
    queued: int = 0
    """Jobs of one owner that wait."""
    running: int = 0
    """Jobs of one owner at work at the same time."""
    gpu_s: float = 0.0
    """Seconds of GPU of one owner in 24 hours."""
    bytes: int = 0
    """Of the results of one owner that are kept."""

    def check(self, connection: Connection, owner: str, now: float) -> None:
        """Refuse the job that was just put in, within its transaction.

        Raises:
            QueueFullError: too many jobs wait.
            QuotaError: its owner has too much already.
        """
        waiting = select(func.count()).select_from(JOBS).where(JOBS.c.state == "queued")
        if self.waiting and (connection.scalar(waiting) or 0) > self.waiting:
            raise QueueFullError(
                f"the queue is full: {self.waiting} jobs wait already. Ask again in a minute.",
                status=503,
                retry_after_s=60,
            )
        if not (self.queued or self.gpu_s or self.bytes):
            return
        has = usage(connection, owner, now)
        if self.queued and has.queued > self.queued:
            raise QuotaError(
                f"{self.queued} of your jobs wait already, and that is as many as one caller may"
                " have. Ask again when one of them has begun, or cancel one.",
                status=429,
                retry_after_s=30,
            )
        if self.gpu_s and has.gpu_s >= self.gpu_s:
            raise QuotaError(
                f"your jobs had {has.gpu_s:.0f} s of GPU within 24 hours, of {self.gpu_s:.0f} s"
                " that one caller may have. Ask again tomorrow.",
                status=429,
                retry_after_s=3600,
            )
        if self.bytes and has.bytes >= self.bytes:
            raise QuotaError(
                f"the results of your jobs take {has.bytes / MEGABYTE:.0f} MB, of"
                f" {self.bytes / MEGABYTE:.0f} MB that one caller may keep. Remove some:"
                " DELETE /v1/jobs/{id}?forget=true.",
                status=429,
                retry_after_s=60,
            )


def lock(connection: Connection, name: str) -> None:
    """Have the rest of this transaction to itself, among those that lock the same name.

    SQLite lets one transaction write at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def usage(connection: Connection, owner: str, now: float) -> Usage:
    """What an owner has now."""
    rows = connection.execute(
        select(JOBS.c.state, func.count()).where(JOBS.c.owner == owner).group_by(JOBS.c.state)
    )
    counts = {state: int(number) for state, number in rows}
    lately = (JOBS.c.ended.is_(None)) | (JOBS.c.ended > now - DAY_S)
    gpu = select(func.sum(JOBS.c.gpu_s)).where(JOBS.c.owner == owner, lately)
    kept = select(func.sum(JOBS.c.bytes)).where(JOBS.c.owner == owner)
    return Usage(
        queued=counts.get("queued", 0),
        running=counts.get("leased", 0) + counts.get("running", 0),
        gpu_s=float(connection.scalar(gpu) or 0.0),
        bytes=int(connection.scalar(kept) or 0),
    )
