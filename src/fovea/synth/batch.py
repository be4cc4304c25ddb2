"""A batch: the rows of a part of the data set as columns, and what was measured of them.

Rows that a filter drops only lose their place in `alive`; they are taken out when most of a batch
is dropped or when what comes next costs something for each row. Texts are measured together
(`codes`), and what one operator measured of them the next one finds again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.errors import DataError
from fovea.synth.pictures import Pictures
from fovea.synth.sample import STATS, Fields, Sample
from fovea.synth.words import Codes

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

Column = Sequence[Any] | np.ndarray
"""A value for each row: numbers as an array, everything else as a list."""


class Batch:
    """Some rows, in order."""

    def __init__(
        self,
        rows: list[Sample],
        numbers: Int64[np.ndarray, " n"],
        fields: Fields,
        *,
        stats: dict[str, Column] | None = None,
        lines: list[bytes | None] | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.rows = rows
        self.numbers = numbers
        """The place of each row in the data set; rows made of another share its number."""
        self.fields = fields
        self.stats: dict[str, Column] = stats if stats is not None else _given(rows)
        self.stale: set[str] = set()
        """Statistics that were measured before a mapper changed what they are of."""
        self.lines: list[bytes | None] = lines if lines is not None else [None] * len(rows)
        """The line that each row was read from, where nothing changed it."""
        self.alive: Bool[np.ndarray, " n"] = np.ones(len(rows), bool)
        self.pictures = pictures or Pictures()
        self._codes: dict[tuple[str, bool, bool], Codes] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, key: str) -> list[str]:
        """The texts of a field; a missing one is empty."""
        return [row.get(key) or "" for row in self.rows]

    def images(self, number: int, key: str) -> list[str]:
        """The images of a row.

        Raises:
            DataError: the field is no list of paths.
        """
        found = self.rows[number].get(key)
        if found is None:
            return []
        if isinstance(found, list) and all(isinstance(path, str) for path in found):
            return found
        raise DataError(f"'{key}' must be a list of paths; found {_short(found)}. Mend the row.")

    def codes(self, key: str, *, lower: bool = False, bare: bool = False) -> Codes:
        """The texts of a field measured together.

        Args:
            key: of the field.
            lower: in small letters.
            bare: without special tokens.
        """
        name = (key, lower, bare)
        if name not in self._codes:
            texts = self.texts(key)
            if bare:
                texts = [self.fields.without_tokens(text) for text in texts]
            self._codes[name] = Codes([text.lower() for text in texts] if lower else texts)
        return self._codes[name]

    def set_texts(self, key: str, texts: Sequence[str]) -> list[int]:
        """Put other texts into a field.

        Returns:
            The numbers of the rows that changed.
        """
        changed = [
            number
            for number, (row, text) in enumerate(zip(self.rows, texts, strict=True))
            if text is not row.get(key) and text != (row.get(key) or "")
        ]
        for number in changed:
            self.change(number, {key: texts[number]})
        return changed

    def change(self, number: int, values: Mapping[str, Any]) -> None:
        """Set fields of a row."""
        self.rows[number] = {**self.rows[number], **values}
        self.lines[number] = None
        self._codes = {}

    def put(self, name: str, values: Column) -> None:
        """Note a statistic."""
        self.stats[name] = values
        self.stale.discard(name)

    def has(self, names: Iterable[str]) -> bool:
        """Whether these were measured, and of what is there now."""
        return all(name in self.stats and name not in self.stale for name in names)

    def drop(self, keep: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Drop the rows that are not kept.

        Returns:
            Which rows it dropped.
        """
        dropped = self.alive & ~keep
        self.alive &= keep
        return dropped

    def taken(self, where: Int64[np.ndarray, " k"]) -> Batch:
        """These rows as a batch of their own, which shares the pictures."""
        places = where.tolist()
        found = Batch(
            [self.rows[number] for number in places],
            self.numbers[where],
            self.fields,
            stats={name: take(column, where) for name, column in self.stats.items()},
            lines=[self.lines[number] for number in places],
            pictures=self.pictures,
        )
        found.stale = set(self.stale)
        return found

    def compact(self) -> Batch:
        """The rows that are alive; itself when all are."""
        return self if self.alive.all() else self.taken(np.flatnonzero(self.alive))


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches behind one another."""
    if len(batches) == 1:
        return batches[0]
    first = batches[0]
    names = [name for name in first.stats if all(name in other.stats for other in batches)]
    whole = Batch(
        [row for batch in batches for row in batch.rows],
        np.concatenate([batch.numbers for batch in batches]),
        first.fields,
        stats={name: _chained([batch.stats[name] for batch in batches]) for name in names},
        lines=[line for batch in batches for line in batch.lines],
        pictures=first.pictures,
    )
    whole.stale = set().union(*(batch.stale for batch in batches))
    return whole


def take(column: Column, where: Int64[np.ndarray, " k"]) -> Column:
    """Some values of a column."""
    if isinstance(column, np.ndarray):
        return column[where]
    return [column[number] for number in where.tolist()]


def _chained(columns: Sequence[Column]) -> Column:
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns)
    return [value for column in columns for value in list(column)]


def _given(rows: list[Sample]) -> dict[str, Column]:
    """The statistics that the rows of a file bring, where all of them do."""
    if not rows or STATS not in rows[0]:
        return {}
    found = [row.get(STATS) or {} for row in rows]
    names = [name for name in found[0] if all(name in stats for stats in found)]
    return {name: [stats[name] for stats in found] for name in names}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
