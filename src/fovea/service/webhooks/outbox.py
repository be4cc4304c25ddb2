"""The outbox: who wants to be told, and what is still to be told.

A message is written where a job ends, by whichever process ends it and in the same transaction: a
process that dies between the two loses neither. The postman of a server sends it. Its id is made of
the job, its attempt, the event and the URL, so that writing it twice is writing it once, and so
that a receiver knows a repetition. Sending takes a lease as jobs do: a server that dies leaves its
messages to the next.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from fovea.service.access.secrets import Secrets
from fovea.service.jobs import Job
from fovea.service.problems import RefusedError
from fovea.service.settings.webhooks import WebhookConfig
from fovea.service.webhooks.payloads import Event, payload
from fovea.service.webhooks.targets import Lookup, check, look_up

log = logging.getLogger(__name__)

EVENTS: tuple[Event, ...] = get_args(Event)
EVERYBODY = ""
"""The owner of the addresses that are told of all jobs."""
MOST_TARGETS = 100
DAY_S = 86_400

_tables = MetaData()
TARGETS = Table(
    "webhook_targets",
    _tables,
    Column("id", String(64), primary_key=True),
    Column("event", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("created", Float, nullable=False),
)
FOLLOWED = Table(
    "webhook_followed",
    _tables,
    Column("job", String(36), primary_key=True),
    Column("url", Text, nullable=False),
    Column("created", Float, nullable=False),
)
MESSAGES = Table(
    "webhook_messages",
    _tables,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("job", String(36), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("created", Float, nullable=False),
    Column("ended", Float),
    Index("webhook_messages_due", "state", "next_at"),
)


@dataclass(frozen=True)
class Message:
    """A message and how its sending goes. Times are seconds since 1970."""

    id: str
    owner: str
    """Whose secret signs it; empty for the addresses of the service."""
    event: Event
    job: str
    url: str
    body: str
    state: str
    """`waiting`, `delivered` or `failed`."""
    attempt: int
    """Tries so far, the one at work included."""
    next_at: float
    """When it is tried, or, of one at work, when it is given up for lost and tried again."""
    status: int | None
    """What the receiver answered last."""
    error: str | None
    created: float
    ended: float | None


class Outbox:
    """The tables, and what is done with them."""

    def __init__(
        self,
        engine: Engine,
        settings: WebhookConfig,
        secrets: Secrets,
        *,
        clock: Callable[[], float] = time.time,
        lookup: Lookup = look_up,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.lookup = lookup
        self.on_put: Callable[[], None] = lambda: None
        """Called when there is something to send."""
        self._secrets = secrets
        self._clock = clock
        _tables.create_all(engine)

    # Who wants to be told ------------------------------------------------------------------------

    def register(self, event: Event, url: str) -> None:
        """Tell this URL of that event of every job.

        Raises:
            RefusedError: it must not be told, or there are too many.
        """
        check(url, self.settings, self.lookup)
        if len(self.targets()[event]) >= MOST_TARGETS:
            raise RefusedError(409, "too_many", f"{MOST_TARGETS} addresses are told already.")
        values = {"id": _digest(event, url), "event": event, "url": url, "created": self._clock()}
        self._insert(TARGETS, values)

    def unregister(self, event: Event, url: str | None = None) -> int:
        """Tell this URL, or everybody who registered, no more; says how many that were."""
        which = TARGETS.c.event == event
        with self.engine.begin() as connection:
            removed = connection.execute(
                delete(TARGETS).where(which if url is None else and_(which, TARGETS.c.url == url))
            )
            return removed.rowcount

    def targets(self) -> dict[Event, list[str]]:
        """Who is told, those of the settings first."""
        with self.engine.connect() as connection:
            return self._targets(connection)

    def _targets(self, connection: Connection) -> dict[Event, list[str]]:
        told: dict[Event, list[str]] = {
            "task_completed": _several(self.settings.task_completed),
            "task_failed": _several(self.settings.task_failed),
        }
        query = select(TARGETS.c.event, TARGETS.c.url).order_by(TARGETS.c.created, TARGETS.c.id)
        for event, url in connection.execute(query):
            if url not in told[event]:
                told[event].append(url)
        return told

    def follow(self, job: str, url: str) -> None:
        """Tell this URL when that job ends; to be said before the job is put into the queue.

        Raises:
            RefusedError: it must not be told, or nobody is.
        """
        if not self.settings.enabled:
            raise RefusedError(
                422,
                "webhooks_off",
                "webhook_url was given, and this service tells nobody. Leave it out, or have it"
                " started with webhook.enabled=true.",
            )
        check(url, self.settings, self.lookup)
        self._insert(FOLLOWED, {"job": job, "url": url, "created": self._clock()})

    def signing_secrets(self, owner: str) -> tuple[str, ...]:
        """What signs messages: the secret, and during a change the one before it, too."""
        if owner == EVERYBODY and self.settings.secret:
            return tuple(filter(None, (self.settings.secret, self.settings.former_secret)))
        return tuple(_standard(value) for value in self._secrets.valid(_name(owner)))

    def change_secret(self, owner: str) -> str:
        """Make a new secret; for a while messages are signed with the former one, too.

        Raises:
            RefusedError: the settings say which it is.
        """
        if owner == EVERYBODY and self.settings.secret:
            raise RefusedError(
                409,
                "secret_in_settings",
                "the secret stands in the settings of the service. Change webhook.secret there, and"
                " put this one into webhook.former_secret.",
            )
        return _standard(self._secrets.change(_name(owner), self.settings.keep_former_s))

    # What is told --------------------------------------------------------------------------------

    def put(self, event: Event, job: Job, more: Mapping[str, Any] | None = None) -> None:
        """Write the messages of an event of a job, to everybody who wants to know; sends nothing.

        Args:
            event: what happened.
            job: to which job, as it is now.
            more: what is said besides what is always said, or in place of it.
        """
        with self.engine.begin() as connection:
            self._write(connection, event, job, more)
        self.on_put()

    def write_end(self, connection: Connection, job: Job) -> None:
        """Write the messages of a job that ends, in the transaction in which it does.

        Nobody is told of what they cancelled.
        """
        events: dict[str, Event] = {"succeeded": "task_completed", "failed": "task_failed"}
        if job.state in events:
            self._write(connection, events[job.state], job)

    def _write(
        self,
        connection: Connection,
        event: Event,
        job: Job,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        if not self.settings.enabled:
            return
        followed = connection.scalar(select(FOLLOWED.c.url).where(FOLLOWED.c.job == job.id))
        receivers = [(url, EVERYBODY) for url in self._targets(connection)[event]]
        receivers += [(followed, job.owner)] if followed else []
        if not receivers:
            return
        said = payload(event, job, self.settings.base_url, more or {})
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        now = self._clock()
        for url, owner in receivers:
            values = dict.fromkeys(Message.__dataclass_fields__) | {
                "id": f"msg_{_digest(event, job.id, str(job.attempt), owner, url)[:40]}",
                "owner": owner,
                "event": event,
                "job": job.id,
                "url": url,
                "body": body,
                "state": "waiting",
                "attempt": 0,
                "next_at": now,
                "created": now,
            }
            # Written twice is written once. A violated key would end the whole transaction.
            is_there = select(MESSAGES.c.id).where(MESSAGES.c.id == values["id"])
            if connection.scalar(is_there) is None:
                connection.execute(insert(MESSAGES).values(values))

    def claim(self, lease_s: float) -> Message | None:
        """Take the next message that is due; it is due again if nothing is heard of it."""
        now = self._clock()
        chosen = (
            select(MESSAGES.c.id)
            .where(MESSAGES.c.state == "waiting", MESSAGES.c.next_at <= now)
            .order_by(MESSAGES.c.next_at, MESSAGES.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = (
            update(MESSAGES)
            .where(MESSAGES.c.id == chosen)
            .values(attempt=MESSAGES.c.attempt + 1, next_at=now + lease_s)
            .returning(*MESSAGES.columns)
        )
        with self.engine.begin() as connection:
            row = connection.execute(statement).mappings().first()
            return Message(**row) if row else None

    def delivered(self, message: Message, status: int) -> None:
        """It was taken."""
        self._note(message, state="delivered", status=status, error=None, ended=self._clock())

    def failed(self, message: Message, error: str, status: int | None = None) -> str:
        """It was not taken: it is tried again later, or given up after the last try.

        Returns:
            Its state now.
        """
        waits = self.settings.retry_after_s
        if message.attempt > len(waits) or status == 410:
            self._note(message, state="failed", status=status, error=error, ended=self._clock())
            return "failed"
        next_at = self._clock() + waits[message.attempt - 1]
        self._note(message, next_at=next_at, status=status, error=error)
        return "waiting"

    def give_back(self, message: Message) -> None:
        """Let another send it: this try does not count."""
        self._note(message, attempt=message.attempt - 1, next_at=self._clock())

    def messages(self, limit: int = 100) -> list[Message]:
        """The newest messages, newest first."""
        query = select(MESSAGES).order_by(MESSAGES.c.created.desc(), MESSAGES.c.id).limit(limit)
        with self.engine.connect() as connection:
            return [Message(**row) for row in connection.execute(query).mappings()]

    def tidy(self) -> None:
        """Forget what was sent, or could not be, a while ago."""
        before = self._clock() - self.settings.keep_days * DAY_S
        done = and_(MESSAGES.c.state != "waiting", MESSAGES.c.ended < before)
        with self.engine.begin() as connection:
            connection.execute(delete(MESSAGES).where(done))
            connection.execute(delete(FOLLOWED).where(FOLLOWED.c.created < before))

    def _note(self, message: Message, **values: Any) -> None:
        held = and_(
            MESSAGES.c.id == message.id,
            MESSAGES.c.attempt == message.attempt,
            MESSAGES.c.state == "waiting",
        )
        with self.engine.begin() as connection:
            connection.execute(update(MESSAGES).where(held).values(**values))

    def _insert(self, table: Table, values: dict[str, Any]) -> None:
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(table).values(values))
        except IntegrityError:
            log.debug("%s has this already", table.name)


def _several(urls: str | tuple[str, ...]) -> list[str]:
    return [url for url in ([urls] if isinstance(urls, str) else urls) if url]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _name(owner: str) -> str:
    return f"webhooks:{owner}"


def _standard(value: str) -> str:
    """A secret as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(bytes.fromhex(value)).decode()}"
