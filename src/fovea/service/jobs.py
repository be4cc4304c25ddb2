"""The job table: what was asked for, who works on it, how it ended.

Every change is one SQL statement, so that it happens wholly or not at all, whichever of the threads
and processes comes first. A worker holds a job by a lease that it renews, and by a fence: a number
that grows with each claim. Whatever it writes carries worker and fence, and does nothing once
another worker has the job. The statements are SQLAlchemy Core and mean the same on SQLite and
PostgreSQL.

    queued -> leased -> running -> succeeded | failed | cancelled
       ^---------------------'        lost its worker, or was told to wait: `retry_at`
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Update,
    and_,
    case,
    create_engine,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from fovea.errors import FoveaError

_tables = MetaData()

JOBS = Table(
    "jobs",
    _tables,
    Column("id", String(36), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(128), nullable=False),
    Column("config", JSON, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("stages", Integer, nullable=False),
    Column("run", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", String(255)),
    Column("lease_until", Float),
    Column("retry_at", Float),
    Column("progress", JSON(none_as_null=True)),
    Column("message", Text, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    UniqueConstraint("owner", "idempotency_key", name="one_job_per_key"),
    Index("jobs_by_state", "state", "priority", "id"),
)

HELD = ("leased", "running")
OPEN = ("queued", *HELD)


class StaleKeyError(FoveaError):
    """The same idempotency key came with another request."""

    exit_code = 2
    code = "idempotency_conflict"


@dataclass(frozen=True)
class Job:
    """One row of the table. Times are seconds since 1970."""

    id: str
    owner: str
    kind: str
    config: dict[str, Any]
    """What the caller sent, with the names of uploads as they were given."""
    recipe: str
    """What runs: a recipe as YAML."""
    stages: int
    run: str
    """The run's folder inside the folder of runs."""
    digest: str
    """Of the request, to tell a repetition from another request under the same key."""
    idempotency_key: str | None = None
    priority: int = 0
    state: str = "queued"
    cancel_requested: bool = False
    attempt: int = 0
    max_attempts: int = 3
    fence: int = 0
    worker: str | None = None
    lease_until: float | None = None
    retry_at: float | None = None
    progress: dict[str, Any] | None = None
    message: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still waits or works."""
        return self.state in OPEN

    @property
    def public_state(self) -> str:
        """The state in the words of the API; a lease is nobody else's business."""
        return {"leased": "queued"}.get(self.state, self.state)


class JobStore:
    """The table, and the ten things that are done with it."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = _engine(url)
        self._clock = clock
        _tables.create_all(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # What callers do ---------------------------------------------------------------------------

    def enqueue(self, job: Job) -> tuple[Job, bool]:
        """Put a job in the queue; a repetition under the same key gives the job of the first time.

        Returns:
            The job, and whether it is new.

        Raises:
            StaleKeyError: the key was used for another request.
        """
        values = {column.name: getattr(job, column.name) for column in JOBS.columns}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(JOBS).values(values))
        except IntegrityError:
            same_key = and_(
                JOBS.c.owner == job.owner, JOBS.c.idempotency_key == job.idempotency_key
            )
            earlier = self._select(same_key)
            if not earlier:
                raise
            if earlier[0].digest != job.digest:
                raise StaleKeyError(
                    f"the Idempotency-Key '{job.idempotency_key}' was used for job {earlier[0].id}"
                    " with another body. Send a new key with a new request."
                ) from None
            return earlier[0], False
        return job, True

    def get(self, id: str) -> Job | None:
        """The job of that id."""
        found = self._select(JOBS.c.id == id)
        return found[0] if found else None

    def list(
        self, owner: str, *, states: Sequence[str] = (), before: str = "", limit: int = 50
    ) -> list[Job]:
        """The newest jobs, newest first; `before` is the id at which the last page ended."""
        wanted: list[ColumnElement[bool]] = [JOBS.c.owner == owner]
        if states:
            wanted.append(JOBS.c.state.in_(states))
        if before:
            wanted.append(JOBS.c.id < before)
        return self._select(and_(*wanted), limit=limit)

    def cancel(self, id: str) -> Job | None:
        """Ask for the end of a job: a waiting one is over at once, another when its worker says."""
        waits = JOBS.c.state == "queued"
        return self._change(
            update(JOBS)
            .where(JOBS.c.id == id, JOBS.c.state.in_(OPEN))
            .values(
                cancel_requested=True,
                state=case((waits, "cancelled"), else_=JOBS.c.state),
                ended=case((waits, self._clock()), else_=JOBS.c.ended),
                message=case((waits, "cancelled before it began"), else_=JOBS.c.message),
            )
        )

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state))
            return {state: number for state, number in rows}

    # What workers do ---------------------------------------------------------------------------

    def claim(self, worker: str, lease_s: float) -> Job | None:
        """Take the next job: one that waits, or one whose worker has been silent for too long."""
        now = self._clock()
        waits = and_(
            JOBS.c.state == "queued", or_(JOBS.c.retry_at.is_(None), JOBS.c.retry_at <= now)
        )
        abandoned = and_(JOBS.c.state.in_(HELD), JOBS.c.lease_until < now)
        chosen = (
            select(JOBS.c.id)
            .where(or_(waits, abandoned))
            .order_by(JOBS.c.priority.desc(), JOBS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        return self._change(
            update(JOBS)
            .where(JOBS.c.id == chosen)
            .values(
                state="leased",
                worker=worker,
                fence=JOBS.c.fence + 1,
                attempt=JOBS.c.attempt + 1,
                lease_until=now + lease_s,
                retry_at=None,
            )
        )

    def start(self, job: Job) -> Job | None:
        """The work begins. None, as below, where the job is no longer this worker's."""
        return self._held(
            job, state="running", started=func.coalesce(JOBS.c.started, self._clock()), message=""
        )

    def renew(self, job: Job, lease_s: float) -> Job | None:
        """Keep the lease; the row that comes back says whether somebody wants the job cancelled."""
        return self._held(job, lease_until=self._clock() + lease_s)

    def progress(self, job: Job, progress: dict[str, Any], message: str) -> Job | None:
        """Say how far it is."""
        return self._held(job, progress=progress, message=message)

    def finish(self, job: Job, result: dict[str, Any]) -> Job | None:
        """It is done."""
        return self._end(job, "succeeded", result=result, message="")

    def fail(self, job: Job, error: dict[str, Any]) -> Job | None:
        """It failed, and trying again would not help."""
        return self._end(job, "failed", error=error, message=str(error.get("message", "")))

    def cancelled(self, job: Job) -> Job | None:
        """It was ended because somebody asked for that."""
        return self._end(job, "cancelled", message="cancelled")

    def release(
        self, job: Job, message: str, *, wait_s: float = 0.0, undo: bool = False
    ) -> Job | None:
        """Put it back into the queue, for later; `undo` does not count this attempt."""
        return self._held(
            job,
            state="queued",
            worker=None,
            lease_until=None,
            retry_at=self._clock() + wait_s if wait_s else None,
            attempt=JOBS.c.attempt - (1 if undo else 0),
            message=message,
        )

    def recover(self, is_dead: Callable[[str], bool]) -> list[Job]:
        """Put the jobs of dead workers back into the queue, without waiting for their leases."""
        lost = [job for job in self._select(JOBS.c.state.in_(HELD)) if is_dead(job.worker or "")]
        released = [self.release(job, "its worker was lost; it goes on from there") for job in lost]
        return [job for job in released if job]

    # How ---------------------------------------------------------------------------------------

    def _held(self, job: Job, **values: Any) -> Job | None:
        return self._change(
            update(JOBS)
            .where(
                JOBS.c.id == job.id,
                JOBS.c.worker == job.worker,
                JOBS.c.fence == job.fence,
                JOBS.c.state.in_(HELD),
            )
            .values(**values)
        )

    def _end(self, job: Job, state: str, **values: Any) -> Job | None:
        return self._held(job, state=state, ended=self._clock(), lease_until=None, **values)

    def _change(self, statement: Update) -> Job | None:
        with self._engine.begin() as connection:
            row = connection.execute(statement.returning(*JOBS.columns)).mappings().first()
            return Job(**row) if row else None

    def _select(self, condition: ColumnElement[bool], limit: int | None = None) -> list[Job]:
        query = select(JOBS).where(condition).order_by(JOBS.c.id.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [Job(**row) for row in connection.execute(query).mappings()]


def new_id() -> str:
    """An identifier that sorts by time (UUID version 7, RFC 9562)."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    number = stamp << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _engine(url: str) -> Engine:
    is_sqlite = url.startswith("sqlite")
    if is_sqlite:
        Path(url.partition("///")[2]).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        json_serializer=lambda value: json.dumps(value, ensure_ascii=False),
        pool_pre_ping=not is_sqlite,
    )
    if is_sqlite:

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _record: Any) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}").close()

    return engine
