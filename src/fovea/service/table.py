"""The table of jobs and the object that one row of it is, on SQLite or PostgreSQL."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from fovea.errors import BackendError, ConfigError
from fovea.runs.durable import make_folder
from fovea.service.full import is_full

_DATABASES = "queue.database is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"

JOBS = Table(
    "jobs",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(128), nullable=False),
    Column("config", JSON, nullable=False),
    Column("preset", String(128), nullable=False, server_default=""),
    Column("recipe", Text, nullable=False),
    Column("stages", Integer, nullable=False),
    Column("run", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False, server_default=""),
    Column("idempotency_key", String(255)),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("ooms", Integer, nullable=False, server_default="0"),
    Column("waits", Integer, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False),
    Column("worker", String(255)),
    Column("lease_until", Float),
    Column("retry_at", Float),
    Column("progress", JSON(none_as_null=True)),
    Column("message", Text, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("gpu_s", Float, nullable=False, server_default="0"),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    UniqueConstraint("owner", "idempotency_key", name="one_job_per_key"),
    Index("jobs_by_state", "state", "priority", "id"),
    Index("jobs_by_fingerprint", "fingerprint", "state"),
    Index("jobs_by_run", "run"),
)

HELD = ("leased", "running")
OPEN = ("queued", *HELD)


PublicState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
"""How the API calls the states of a job."""


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
    preset: str = ""
    """The preset that was named beside the settings."""
    fingerprint: str = ""
    """What its result depends on: settings and the content of inputs. Empty: it is not shared."""
    idempotency_key: str | None = None
    priority: int = 0
    state: str = "queued"
    cancel_requested: bool = False
    attempt: int = 0
    max_attempts: int = 3
    """How often it may lose its process."""
    lost: int = 0
    """How often it lost its process, or the worker that looked after it."""
    ooms: int = 0
    """How often memory ran out."""
    waits: int = 0
    """How often something was busy or full that might not be later."""
    fence: int = 0
    worker: str | None = None
    lease_until: float | None = None
    retry_at: float | None = None
    progress: dict[str, Any] | None = None
    message: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    bytes: int = 0
    """What its run takes of the disk."""
    gpu_s: float = 0.0
    """Seconds of work times the GPUs that it held."""
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still waits or works."""
        return self.state in OPEN

    @property
    def public_state(self) -> PublicState:
        """The state in the words of the API; a lease is nobody else's business."""
        return cast(PublicState, {"leased": "queued"}.get(self.state, self.state))


def new_id() -> str:
    """An identifier that sorts by time (UUID version 7, RFC 9562)."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    number = stamp << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def open_engine(url: str) -> Engine:
    """The database of that address, set up for several processes.

    Args:
        url: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        ConfigError: it is another address, or none.
        ArtifactError: the file's folder cannot be made.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise ConfigError(f"{_DATABASES}; this is no address of either: {url!r}.") from None
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"{_DATABASES}; found {address.render_as_string()}.")
    if address.get_backend_name() != "sqlite":
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        return create_engine(address, json_serializer=_json, pool_pre_ping=True, max_overflow=30)
    make_folder(Path(address.database or "").parent, "the job table")
    engine = create_engine(address, json_serializer=_json)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def create_tables(engine: Engine) -> None:
    """Make the table, or add to an older one the columns that it lacks.

    Raises:
        BackendError: the database does not answer.
    """
    try:
        engine.connect().close()
    except OperationalError as error:
        if is_full(error):
            raise
        said = str(error.orig).strip().splitlines()[0]
        raise BackendError(
            f"the job table {engine.url.render_as_string()} cannot be had: {said}. Start its "
            "server, or give another address by queue.database."
        ) from error
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two services that begin at once would both see that there is none.
            connection.execute(text("SELECT pg_advisory_xact_lock(20261121)"))
        connection.execute(CreateTable(JOBS, if_not_exists=True))
        there = {column["name"] for column in inspect(connection).get_columns(JOBS.name)}
        for column in JOBS.columns:
            if column.name not in there:
                declared = CreateColumn(column).compile(dialect=engine.dialect)
                connection.execute(text(f"ALTER TABLE {JOBS.name} ADD COLUMN {declared}"))
        for index in JOBS.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
