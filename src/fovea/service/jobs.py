"""What is done with the table of jobs: by those who ask, by those who work, by those who tidy up.

Every change is one SQL statement, so that it happens wholly or not at all, whichever of the threads
and processes comes first. A worker holds a job by a lease that it renews, and by a fence: a number
that grows with each claim. Whatever it writes carries worker and fence, and does nothing once
another worker has the job. The statements are SQLAlchemy Core and mean the same on SQLite and
PostgreSQL; there, a claim passes over rows that others are about to take.

    queued -> leased -> running -> succeeded | failed | cancelled
       ^---------------------'        lost its worker, or was told to wait: `retry_at`
       ^------------------------------------------ failed | cancelled, and asked for once more

Of jobs with the same fingerprint one works at a time, the oldest first: those behind it find its
result when their turn comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from fovea.errors import FoveaError
from fovea.service.quotas import Quotas, Usage, lock, usage
from fovea.service.table import HELD, JOBS, OPEN, Job, create_tables, new_id, open_engine

__all__ = ["HELD", "JOBS", "OPEN", "Job", "JobStore", "StaleKeyError", "new_id"]
ENDED = ("succeeded", "failed", "cancelled")
UNLIMITED = Quotas()


class StaleKeyError(FoveaError):
    """The same idempotency key came with another request."""

    exit_code = 2
    code = "idempotency_conflict"


class JobStore:
    """The table, and all that is done with it."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.engine: Engine = open_engine(url)
        """Other stores keep their tables here, too."""
        self.at_end: list[Callable[[Connection, Job], None]] = []
        """Write what belongs to a job's end, in its transaction: both are there, or neither."""
        self._clock = clock
        create_tables(self.engine)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # What callers do ---------------------------------------------------------------------------

    def enqueue(self, job: Job, quotas: Quotas = UNLIMITED) -> tuple[Job, bool]:
        """Put a job in the queue; a repetition under the same key gives the job of the first time.

        Returns:
            The job, and whether it is new.

        Raises:
            StaleKeyError: the key was used for another request.
            QuotaError: there is no room for it.
        """
        values = {column.name: getattr(job, column.name) for column in JOBS.columns}
        earlier = self._of_key(job)
        if earlier:
            return earlier, False
        try:
            with self.engine.begin() as connection:
                if quotas != UNLIMITED:
                    lock(connection, "enqueue")
                connection.execute(insert(JOBS).values(values))
                if job.state == "queued":
                    quotas.check(connection, job.owner, self._clock())
                    connection.execute(_as_urgent(job))
                else:
                    self._note_end(connection, job)
        except IntegrityError:
            earlier = self._of_key(job)
            if earlier is None:
                raise
            return earlier, False
        return job, True

    def get(self, id: str) -> Job | None:
        """The job of that id."""
        found = self._select(JOBS.c.id == id)
        return found[0] if found else None

    def list(
        self,
        owner: str | None,
        *,
        states: Sequence[str] = (),
        before: str = "",
        limit: int | None = 50,
    ) -> list[Job]:
        """The newest jobs, newest first; `before` is the id at which the last page ended.

        No owner means everybody's.
        """
        wanted: list[ColumnElement[bool]] = [JOBS.c.owner == owner] if owner is not None else []
        if states:
            wanted.append(JOBS.c.state.in_(states))
        if before:
            wanted.append(JOBS.c.id < before)
        return self._select(and_(true(), *wanted), limit=limit)

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

    def retry(self, id: str) -> Job | None:
        """Put a job that failed or was cancelled back into the queue, as it was first asked for.

        Returns:
            The job; None where it succeeded, or has not ended.
        """
        return self._change(
            update(JOBS)
            .where(JOBS.c.id == id, JOBS.c.state.in_(("failed", "cancelled")))
            .values(
                state="queued",
                cancel_requested=False,
                worker=None,
                retry_at=None,
                ended=None,
                error=None,
                lost=0,
                ooms=0,
                waits=0,
                message="asked for once more",
            )
        )

    def forget(self, id: str) -> Job | None:
        """Remove a job that has ended; says which it was."""
        with self.engine.begin() as connection:
            removed = connection.execute(
                delete(JOBS)
                .where(JOBS.c.id == id, JOBS.c.state.in_(ENDED))
                .returning(*JOBS.columns)
            )
            row = removed.mappings().first()
            return Job(**row) if row else None

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state))
            return {state: number for state, number in rows}

    def ahead(self, job: Job) -> int:
        """How many jobs wait that will be taken before this one."""
        if job.state != "queued":
            return 0
        sooner = or_(
            JOBS.c.priority > job.priority,
            and_(JOBS.c.priority == job.priority, JOBS.c.id < job.id),
        )
        query = select(func.count()).select_from(JOBS).where(JOBS.c.state == "queued", sooner)
        with self.engine.connect() as connection:
            return connection.scalar(query) or 0

    def usage(self, owner: str) -> Usage:
        """What an owner has of everything now."""
        with self.engine.connect() as connection:
            return usage(connection, owner, self._clock())

    def uses_run(self, run: str) -> bool:
        """Whether any job's result stands in that run."""
        return bool(self._select(JOBS.c.run == run, limit=1))

    # What workers do ---------------------------------------------------------------------------

    def claim(
        self, worker: str, lease_s: float, *, id: str | None = None, most_per_owner: int = 0
    ) -> Job | None:
        """Take the next job: one that waits, or one whose worker has been silent for too long.

        Args:
            worker: who takes it.
            lease_s: for how long, unless it is renewed.
            id: take this one or none.
            most_per_owner: jobs of one owner that may be at work at the same time; 0 is any number.
        """
        now = self._clock()
        wanted = self._can_be_taken(now, most_per_owner)
        chosen = (
            select(JOBS.c.id)
            .where(wanted if id is None else and_(wanted, JOBS.c.id == id))
            .order_by(JOBS.c.priority.desc(), JOBS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        is_lost = JOBS.c.state.in_(HELD)
        statement = (
            update(JOBS)
            .where(JOBS.c.id == chosen)
            .values(
                state="leased",
                worker=worker,
                fence=JOBS.c.fence + 1,
                attempt=JOBS.c.attempt + 1,
                lost=JOBS.c.lost + case((is_lost, 1), else_=0),
                lease_until=now + lease_s,
                retry_at=None,
            )
        )
        # Claims that count what others hold must come one after the other.
        return self._change(statement, alone="claim" if most_per_owner else "")

    def waiting(self, limit: int, *, most_per_owner: int = 0) -> list[str]:
        """The ids of the jobs that can be taken now, in the order in which they will be."""
        query = (
            select(JOBS.c.id)
            .where(self._can_be_taken(self._clock(), most_per_owner))
            .order_by(JOBS.c.priority.desc(), JOBS.c.id)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return list(connection.scalars(query))

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

    def finish(self, job: Job, result: dict[str, Any], **cost: Any) -> Job | None:
        """It is done; `run`, where the result stands in another's, and what it cost."""
        return self._end(job, "succeeded", result=result, error=None, message="", **cost)

    def fail(self, job: Job, error: dict[str, Any], **cost: Any) -> Job | None:
        """It failed, and trying again would not help."""
        message = str(error.get("message", ""))
        return self._end(job, "failed", error=error, message=message, **cost)

    def cancelled(self, job: Job, **cost: Any) -> Job | None:
        """It was ended because somebody asked for that."""
        return self._end(job, "cancelled", message="cancelled", **cost)

    def release(
        self, job: Job, message: str, *, wait_s: float = 0.0, because: str = "", **cost: Any
    ) -> Job | None:
        """Put it back into the queue, for later.

        Args:
            job: which.
            message: why, for its caller.
            wait_s: nobody takes it before that time is over.
            because: what is counted: `lost`, `ooms`, `waits`; empty does not count this attempt.
            cost: what it has cost so far.
        """
        counted = {because: JOBS.c[because] + 1} if because else {"attempt": JOBS.c.attempt - 1}
        return self._held(
            job,
            state="queued",
            worker=None,
            lease_until=None,
            retry_at=self._clock() + wait_s if wait_s else None,
            message=message,
            **counted,
            **cost,
        )

    def recover(self, is_dead: Callable[[str], bool]) -> list[Job]:
        """Put the jobs of dead workers back into the queue, without waiting for their leases."""
        lost = [job for job in self._select(JOBS.c.state.in_(HELD)) if is_dead(job.worker or "")]
        message = "its worker was lost; it goes on from there"
        released = [self.release(job, message, because="lost") for job in lost]
        return [job for job in released if job]

    # How ---------------------------------------------------------------------------------------

    def _can_be_taken(self, now: float, most_per_owner: int) -> ColumnElement[bool]:
        other = JOBS.alias()
        before_it = or_(
            other.c.state.in_(HELD), and_(other.c.state == "queued", other.c.id < JOBS.c.id)
        )
        same_work = exists().where(
            other.c.fingerprint == JOBS.c.fingerprint, other.c.id != JOBS.c.id, before_it
        )
        waits = and_(
            JOBS.c.state == "queued",
            or_(JOBS.c.retry_at.is_(None), JOBS.c.retry_at <= now),
            or_(JOBS.c.fingerprint == "", ~same_work),
        )
        if most_per_owner:
            mine = and_(other.c.owner == JOBS.c.owner, other.c.state.in_(HELD))
            at_work = select(func.count()).select_from(other).where(mine).scalar_subquery()
            waits = and_(waits, at_work < most_per_owner)
        abandoned = and_(JOBS.c.state.in_(HELD), JOBS.c.lease_until < now)
        return or_(waits, abandoned)

    def _of_key(self, job: Job) -> Job | None:
        """The job that was asked for under the same key before.

        Raises:
            StaleKeyError: that was another request.
        """
        if job.idempotency_key is None:
            return None
        found = self._select(
            and_(JOBS.c.owner == job.owner, JOBS.c.idempotency_key == job.idempotency_key)
        )
        if found and found[0].digest != job.digest:
            raise StaleKeyError(
                f"the Idempotency-Key '{job.idempotency_key}' was used for job {found[0].id}"
                " with another body. Send a new key with a new request."
            )
        return found[0] if found else None

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

    def _change(self, statement: Update, *, alone: str = "") -> Job | None:
        with self.engine.begin() as connection:
            if alone:
                lock(connection, alone)
            row = connection.execute(statement.returning(*JOBS.columns)).mappings().first()
            job = Job(**row) if row else None
            if job is not None and not job.is_open:
                self._note_end(connection, job)
            return job

    def _note_end(self, connection: Connection, job: Job) -> None:
        for write in self.at_end:
            write(connection, job)

    def _select(self, condition: ColumnElement[bool], limit: int | None = None) -> list[Job]:
        query = select(JOBS).where(condition).order_by(JOBS.c.id.desc()).limit(limit)
        with self.engine.connect() as connection:
            return [Job(**row) for row in connection.execute(query).mappings()]


def _as_urgent(job: Job) -> Update:
    """Let the jobs that do the same work, and that this one will wait for, be as urgent as it."""
    same_work = and_(JOBS.c.fingerprint == job.fingerprint, JOBS.c.fingerprint != "")
    waits = and_(JOBS.c.state == "queued", JOBS.c.priority < job.priority)
    return update(JOBS).where(same_work, waits).values(priority=job.priority)
