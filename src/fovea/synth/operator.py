"""Operators: what is done to samples. Each is a Config, its parameters the fields of data-juicer.

    Operator
    ├── Filter         measures rows, then decides from the measurements alone
    │   └── RangeFilter    one measurement between two limits
    ├── Mapper         changes rows, or makes several of one
    │   └── TextMapper     changes texts one by one
    ├── Deduplicator   a key for each row, then one look at all keys
    └── Selector       one look at a value of all rows

Filters and mappers are local: what they do to a row depends on that row alone, so that the engine
runs them fused, batch by batch, in any process. The other two are barriers.
"""

from __future__ import annotations

from abc import abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import PrivateAttr

from fovea.config import Config, setting
from fovea.errors import DataError
from fovea.synth.batch import Batch, Column
from fovea.synth.sample import Fields
from fovea.synth.thresholds import is_place, resolved, within

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

Quirk = Literal[
    "short_texts", "size_decimals", "special_tokens", "full_width_digits", "links_in_addresses",
    "distinct_paths", "truncated_images", "stale_statistics", "traced_texts", "absolute_paths",
    "image_tokens", "reread_statistics",
]  # fmt: skip
"""Odd habits of data-juicer that `compat` brings back; docs/synth.md says what each is."""
QUIRKS: tuple[Quirk, ...] = Quirk.__args__  # pyright: ignore[reportAttributeAccessIssue]

Cost = Literal["cheap", "head", "pixels", "model"]
"""What a row costs: nothing to speak of, a look at a file's head, a decoded picture, a network."""


class Operator(Config):
    """What every operator may be told."""

    text_key: str | None = setting(None, "field it acts on; the recipe's text_keys")
    image_key: str | None = setting(None, "field of the images; the recipe's image_key")
    image_bytes_key: str | None = setting(None, "field of images held in the row")
    skip_op_error: bool | None = setting(
        None, "whether a row that fails goes to the ledger, or stops the run; the recipe's"
    )

    cost: ClassVar[Cost] = "cheap"
    changes: ClassVar[tuple[str, ...]] = ()
    """What a mapper changes: `text`, `images`."""
    quirks: ClassVar[tuple[Quirk, ...]] = ()
    """The quirks it has in `compat`."""
    extras: ClassVar[tuple[str, ...]] = ()
    """Packages it needs beyond the room's."""

    _fields: Fields = PrivateAttr(default_factory=Fields)
    _compat: frozenset[str] = PrivateAttr(default=frozenset())
    _seed: int = PrivateAttr(default=0)
    _place: int = PrivateAttr(default=0)
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        return self._name or type(self).__name__

    def bind(self, fields: Fields, compat: frozenset[str], *, seed: int, place: int) -> None:
        """Tell it the data set's fields, the quirks that are asked for, and its place."""
        self._fields, self._compat, self._seed, self._place = fields, compat, seed, place

    def called(self, name: str) -> Operator:
        """Itself, told its name in the recipe."""
        self._name = name
        return self

    @property
    def text_field(self) -> str:
        """The field it reads and writes."""
        return self.text_key or self._fields.text

    @property
    def image_field(self) -> str:
        """The field of the images."""
        return self.image_key or self._fields.images

    def is_odd(self, quirk: Quirk) -> bool:
        """Whether a quirk is asked for."""
        return quirk in self._compat

    def rng(self, number: int) -> np.random.Generator:
        """A generator for one row, whatever process it is in; -1 is one for the whole."""
        return np.random.default_rng((self._seed, self._place, number + 1))

    def scout(self) -> Scout | None:
        """What measures all rows before it can begin, where a parameter of it is a place."""
        return None

    def settled_by(self, limits: Mapping[str, float]) -> Operator:
        """Itself with what its scout found."""
        return self.model_copy(update=dict(limits))

    def load(self) -> None:
        """Make ready what takes time, once in each process: word lists, classifiers, networks.

        Raises:
            BackendError: a package, a file or a model is missing.
        """

    def pictures(self, batch: Batch, number: int) -> Iterator[tuple[str, bytes | None]]:
        """The images of a row, each with its bytes where the row holds them."""
        names = batch.images(number, self.image_field)
        key = self.image_bytes_key or self._fields.image_bytes
        held = batch.rows[number].get(key) or []
        for place, name in enumerate(names):
            content = held[place] if place < len(held) else None
            # JSON has no bytes: what a row of a jsonl file holds is base64.
            yield name, (b64decode(content) if isinstance(content, str) else content) or None


class Filter(Operator):
    """Measures rows into their statistics, and keeps those whose statistics please."""

    min_closed_interval: bool = setting(True, "whether the lower limit itself is kept")
    max_closed_interval: bool = setting(True, "whether the upper limit itself is kept")
    reversed_range: bool = setting(False, "keep what lies outside of the limits")

    metrics: ClassVar[tuple[str, ...]] = ()
    """The statistics it measures."""

    def measured(self) -> tuple[str, ...]:
        """The statistics it measures with these parameters."""
        return self.metrics

    @abstractmethod
    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Measure every row."""

    @abstractmethod
    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Which rows to keep, from what was measured."""

    def settled(self, stats: Mapping[str, Column]) -> Filter:
        """Itself with places in the distribution of these statistics turned to numbers."""
        return self

    @classmethod
    def deciding(cls) -> frozenset[str]:
        """The parameters that make no difference to what is measured."""
        names = {"min_closed_interval", "max_closed_interval", "reversed_range", "any_or_all"}
        return frozenset(names | {n for n in cls.model_fields if n.startswith(("min_", "max_"))})

    @property
    def waits(self) -> bool:
        """Whether it must see all rows before it can decide."""
        return False


class RangeFilter(Filter):
    """Keeps rows of which one statistic lies between two limits.

    A statistic with a value for each image keeps a row when one of them passes, or all; a row
    without images passes.
    """

    low: ClassVar[str] = "min_ratio"
    high: ClassVar[str] = "max_ratio"
    """The parameters that are its limits; empty where a side has none."""

    def _limits(self) -> tuple[Any, Any]:
        low, high = (getattr(self, n) if n else float("nan") for n in (self.low, self.high))
        return low, high

    @classmethod
    def deciding(cls) -> frozenset[str]:
        """The limits, too."""
        return super().deciding() | {cls.low, cls.high}

    @property
    def waits(self) -> bool:
        """Whether a limit is a place in the distribution."""
        return any(map(is_place, self._limits()))

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Which rows lie within the limits."""
        low, high = self._limits()
        column = stats[self.measured()[0]]
        if self.is_odd("reread_statistics"):
            column = reread(column)

        def passes(values: np.ndarray) -> Bool[np.ndarray, " n"]:
            return within(
                values,
                low,
                high,
                low_closed=self.min_closed_interval,
                high_closed=self.max_closed_interval,
                reversed_range=self.reversed_range,
            )

        return kept_by(column, passes, getattr(self, "any_or_all", "any"))

    def settled(self, stats: Mapping[str, Column]) -> Filter:
        """Itself with numbers for limits."""
        values = flat(stats[self.measured()[0]])
        names = zip((self.low, self.high), self._limits(), strict=True)
        return self.model_copy(
            update={name: resolved(limit, values) for name, limit in names if name}
        )


class Scout(RangeFilter):
    """Measures rows for the operator behind it, and keeps them all.

    Its limits are the parameters of that operator that are places in the distribution.
    """

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Every row."""
        return np.ones(len(stats[self.measured()[0]]), bool)


def kept_by(
    column: Column,
    passes: Callable[[np.ndarray], Bool[np.ndarray, " n"]],
    any_or_all: str,
) -> Bool[np.ndarray, " n"]:
    """Which rows pass a test of one value a row, or of one an image."""
    if isinstance(column, np.ndarray):
        return passes(column)
    if not len(column) or not isinstance(column[0], list):
        return passes(np.asarray(column, np.float64))
    lengths = np.fromiter(map(len, column), np.int64, len(column))
    good = passes(np.asarray([value for row in column for value in row], np.float64))
    owner = np.repeat(np.arange(len(column)), lengths)
    hits = np.bincount(owner, weights=good, minlength=len(column)).astype(np.int64)
    enough = hits == lengths if any_or_all == "all" else hits > 0
    return enough | (lengths == 0)


def reread(column: Column) -> list[Any]:
    """Statistics as data-juicer reads them from a file that it wrote: off in the last bit.

    They are written with 10 decimals and read as whole part plus decimals times a power of ten.
    """

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(inner) for inner in value]
        if not isinstance(value, float):
            return value
        whole, _, decimals = f"{value:.10f}".rstrip("0").partition(".")
        tail = int(decimals) * float(f"1e-{len(decimals)}") if decimals else 0.0
        return int(whole) - tail if whole.startswith("-") else int(whole) + tail

    return [one(value) for value in (column.tolist() if isinstance(column, np.ndarray) else column)]


def flat(column: Column) -> np.ndarray:
    """All numbers of a column, those of lists one after the other."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    inside = [value for row in column for value in (row if isinstance(row, list) else [row])]
    return np.asarray(inside, np.float64)


AnyOrAll = Literal["any", "all"]


class RowFilter(RangeFilter):
    """A filter that measures rows one by one."""

    @abstractmethod
    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Measure one row."""

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Measure every row; one that fails raises."""
        found = [self.measure_row(batch, number) for number in range(len(batch))]
        return {name: [row[name] for row in found] for name in self.measured()}


class Mapper(Operator):
    """Changes rows."""

    @abstractmethod
    def map(self, batch: Batch) -> Batch:
        """The batch after it; `batch` itself may be changed and given back."""


class TextMapper(Mapper):
    """Changes texts one by one."""

    changes: ClassVar[tuple[str, ...]] = ("text",)

    @abstractmethod
    def change(self, text: str) -> str:
        """The text after it."""

    def leaves(self, texts: Sequence[str]) -> bool:
        """Whether a look at all texts at once shows that none will change."""
        return False

    def map(self, batch: Batch) -> Batch:
        """Change every text."""
        texts = batch.texts(self.text_field)
        if not self.leaves(texts):
            batch.set_texts(self.text_field, [self.change(text) for text in texts])
        return batch

    def around_tokens(self, text: str, change: Callable[[str], str]) -> str:
        """Change what stands between special tokens, and leave those as they are."""
        if self.is_odd("special_tokens") or not any(t in text for t in self._fields.tokens):
            return change(text)
        parts = self._fields.any_token.split(text)
        return "".join(part if n % 2 else change(part) for n, part in enumerate(parts))

    def holds_token(self, text: str) -> bool:
        """Whether a special token is in it and must stay."""
        return not self.is_odd("special_tokens") and any(t in text for t in self._fields.tokens)


class Columns(Protocol):
    """The keys of all rows."""

    def column(self, name: str, row: int | None = None) -> np.ndarray:
        """A column; of a matrix, one of its columns alone."""
        ...


class Deduplicator(Operator):
    """Finds rows that say the same, and keeps one of each group."""

    keep_best_by: str | None = setting(
        None, "statistic or dotted field whose largest value is kept; else the first row is"
    )

    @abstractmethod
    def keys(self, batch: Batch) -> dict[str, np.ndarray]:
        """What is compared of each row, a column of arrays."""

    def exported(self, keys: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """The hash columns as data-juicer names and writes them."""
        return {}

    @abstractmethod
    def groups(self, columns: Columns) -> Int64[np.ndarray, " n"]:
        """For each row the first row of its group."""


class Selector(Operator):
    """Picks rows by a look at a value of all of them."""

    field_key: str = setting("", "dotted field whose value is looked at, __dj__stats__.text_len")

    @abstractmethod
    def select(self, values: list[Any], count: int, rng: np.random.Generator) -> np.ndarray:
        """The places of the rows to keep, in the order they shall have.

        Args:
            values: of the field, one a row; empty where `field_key` is.
            count: of the rows.
            rng: for random choices.
        """

    def value(self, sample: Mapping[str, Any]) -> Any:
        """The value of the field in a row.

        Raises:
            DataError: the row has no such field.
        """
        return field_of(sample, self.field_key)


def field_of(sample: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted field.

    Raises:
        DataError: the row has no such field.
    """
    value: Any = sample
    for word in key.split("."):
        if not isinstance(value, Mapping) or word not in value:
            raise DataError(f"the row has no field '{key}'; it has {', '.join(sample)}.")
        value = value[word]
    return value
