"""Batches: several photographs asked for at once, each with its own fate.

A photograph is an item. It has a job of its own, or shares one with others of the batch when
`optimization.enable_batch_processing` is on: then the network is loaded once for them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
)
from sqlalchemy.schema import CreateTable

ITEMS = Table(
    "batch_items",
    MetaData(),
    Column("batch", String(36), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("job", String(36)),
    Column("file", String(255), nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("created", Float, nullable=False),
)


@dataclass(frozen=True)
class Item:
    """One photograph of a batch."""

    number: int
    name: str
    """What its sender calls it."""
    job: str | None = None
    """The job that predicts it; none where it was refused."""
    file: str = ""
    """Its name in a job that several share, `0001`; empty where it has a job of its own."""
    error: dict[str, Any] | None = None
    """Why it was refused."""


class BatchStore:
    """The table of items, beside that of the jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            connection.execute(CreateTable(ITEMS, if_not_exists=True))

    def put(self, batch: str, owner: str, items: Sequence[Item]) -> None:
        """Remember a batch."""
        created = time.time()
        rows = [vars(item) | {"batch": batch, "owner": owner, "created": created} for item in items]
        with self._engine.begin() as connection:
            connection.execute(insert(ITEMS), rows)

    def get(self, batch: str, owner: str) -> list[Item]:
        """The items of an owner's batch, in order; none where there is no such batch."""
        query = (
            select(ITEMS.c.number, ITEMS.c.name, ITEMS.c.job, ITEMS.c.file, ITEMS.c.error)
            .where(ITEMS.c.batch == batch, ITEMS.c.owner == owner)
            .order_by(ITEMS.c.number)
        )
        with self._engine.connect() as connection:
            return [Item(**row) for row in connection.execute(query).mappings()]
