"""One row of the table of jobs, read at once: for an event loop, which must not wait.

A SQLite file in WAL mode is read whoever writes it at the same time, and a row by its id takes some
ten microseconds, less than handing the question to a thread. The connection is this reader's own,
and cannot write. Another database is across a network: there is nothing to read at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, bindparam, select
from sqlalchemy.dialects import sqlite

from fovea.service.table import JOBS, Job

_Decoder = Callable[[Any], Any] | None


class Glance:
    """Reads rows of the table; of one thread."""

    def __init__(self, engine: Engine) -> None:
        self._file = engine.url.database or ""
        self._can_see = engine.dialect.name == "sqlite" and self._file not in ("", ":memory:")
        self._connection: sqlite3.Connection | None = None
        dialect = sqlite.dialect()  # whatever the engine's is: nothing else is read here
        query = select(JOBS).where(JOBS.c.id == bindparam("id"))
        self._query = str(query.compile(dialect=dialect))
        self._names = [column.name for column in JOBS.columns]
        self._decoders: list[_Decoder] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in JOBS.columns
        ]

    def job(self, id: str) -> Job | None:
        """The job of that id; None where there is none, or where it cannot be read at once."""
        if not self._can_see:
            return None
        try:
            row = self._opened().execute(self._query, (id,)).fetchone()
        except sqlite3.OperationalError:  # busy, for once
            return None
        if row is None:
            return None
        values = (
            value if decode is None else decode(value)
            for value, decode in zip(row, self._decoders, strict=True)
        )
        return Job(**dict(zip(self._names, values, strict=True)))

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            # A URI would need the file's name quoted; read-only is said by a pragma instead.
            self._connection = sqlite3.connect(self._file, timeout=0, isolation_level=None)
            self._connection.execute("PRAGMA query_only=ON").close()
        return self._connection
