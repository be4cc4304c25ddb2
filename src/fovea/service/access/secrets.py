"""Secrets that the service makes for itself and keeps beside the job table.

They sign, so they are needed as they are and cannot be kept as a digest. Every service on the same
database finds the same ones. `change` makes a new one and keeps the former for a while, so that
what was signed, or is checked, with it does not break at once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    MetaData,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

log = logging.getLogger(__name__)
_tables = MetaData()
SECRETS = Table(
    "secrets",
    _tables,
    Column("name", String(128), primary_key=True),
    Column("value", Text, nullable=False),
    Column("former", Text),
    Column("former_until", Float),
)
LENGTH_BYTES = 32


class Secrets:
    """The table of secrets."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self._clock = clock
        _tables.create_all(engine)

    def get(self, name: str) -> str:
        """The secret of that name in hex; made when asked for the first time."""
        return self.valid(name)[0]

    def valid(self, name: str) -> tuple[str, ...]:
        """The secret and, for a while after a change, the one before it."""
        row = self._row(name)
        if row is None:
            try:
                with self.engine.begin() as connection:
                    connection.execute(insert(SECRETS).values(name=name, value=_fresh()))
            except IntegrityError:
                log.debug("another service made the secret %s first: its own is taken", name)
            row = self._row(name)
        assert row is not None, "it was written above"
        still_valid = row.former and row.former_until > self._clock()
        return (row.value, row.former) if still_valid else (row.value,)

    def change(self, name: str, keep_s: float) -> str:
        """Make a new secret; the one before stays valid for `keep_s` seconds."""
        former, value = self.get(name), _fresh()
        with self.engine.begin() as connection:
            connection.execute(
                update(SECRETS)
                .where(SECRETS.c.name == name, SECRETS.c.value == former)
                .values(value=value, former=former, former_until=self._clock() + keep_s)
            )
        return self.get(name)

    def _row(self, name: str) -> Row[Any] | None:
        with self.engine.connect() as connection:
            return connection.execute(select(SECRETS).where(SECRETS.c.name == name)).first()


def _fresh() -> str:
    return secrets.token_hex(LENGTH_BYTES)
