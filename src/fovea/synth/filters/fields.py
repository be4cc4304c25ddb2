"""Filters of any field of a row: its value, its number, a condition, the suffix of a file."""

from __future__ import annotations

import ast
import operator as signs
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PrivateAttr, field_validator

from fovea.config import setting
from fovea.errors import DataError
from fovea.synth.batch import Batch, Column
from fovea.synth.operator import Filter, RangeFilter, field_of
from fovea.synth.sample import STATS
from fovea.synth.thresholds import Limit, within

if TYPE_CHECKING:
    from jaxtyping import Bool

INF = float("inf")


def value_of(batch: Batch, number: int, key: str) -> Any:
    """The value of a dotted field, measured statistics among them.

    Raises:
        DataError: the row has no such field.
    """
    first, _, rest = key.partition(".")
    if first == STATS and rest in batch.stats:
        return batch.stats[rest][number]
    return field_of(batch.rows[number], key)


class FieldFilter(Filter):
    """A filter of one field; what it saw stands in the statistics under the field's name."""

    field_key: str = setting("", "dotted field, meta.source")

    def measured(self) -> tuple[str, ...]:
        """The field itself."""
        return (self.field_key,) if self.field_key else ()

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Copy the values."""
        if not self.field_key:
            return {}
        return {self.field_key: [value_of(batch, n, self.field_key) for n in range(len(batch))]}


class SpecifiedField(FieldFilter):
    """Keeps rows whose field has one of the values named; of a list all must be."""

    target_value: list[Any] = setting([], "the values that are kept; none named keeps all")

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Compare."""
        if not (self.field_key and self.target_value):
            return np.ones(len(next(iter(stats.values()), ())), bool)
        found = [
            all(one in self.target_value for one in (value if isinstance(value, list) else [value]))
            for value in stats[self.field_key]
        ]
        return np.asarray(found, bool) ^ self.reversed_range


class SpecifiedNumericField(FieldFilter):
    """Keeps rows whose field is a number between two limits."""

    min_value: float = setting(-INF, "least value")
    max_value: float = setting(INF, "largest value")

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Compare; what is no number goes."""
        if not self.field_key:
            return np.ones(len(next(iter(stats.values()), ())), bool)
        values = np.asarray([_number(value) for value in stats[self.field_key]], np.float64)
        inside = within(
            values, self.min_value, self.max_value, low_closed=self.min_closed_interval,
            high_closed=self.max_closed_interval, reversed_range=self.reversed_range,
        )  # fmt: skip
        return inside & ~np.isnan(values)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


class StatRange(RangeFilter):
    """Keeps rows of which any statistic lies between two limits, whoever measured it."""

    stat: str = setting(..., "name of the statistic, image_text_similarity")
    min_value: Limit = setting(-INF, "least value")
    max_value: Limit = setting(INF, "largest value")
    any_or_all: str = setting("any", "of a value for each image, whether one must pass, or all",
                              pattern="any|all")  # fmt: skip
    low: ClassVar[str] = "min_value"
    high: ClassVar[str] = "max_value"

    def measured(self) -> tuple[str, ...]:
        """The statistic."""
        return (self.stat,)

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Look it up; it must have been measured."""
        return {self.stat: [value_of(batch, n, f"{STATS}.{self.stat}") for n in range(len(batch))]}


class Suffix(Filter):
    """Keeps rows whose file has one of the suffixes."""

    suffixes: list[str] = setting([], "the suffixes, .txt; none keeps all")

    _SUFFIX: ClassVar[str] = "__dj__suffix__"

    @field_validator("suffixes", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value or []

    def measured(self) -> tuple[str, ...]:
        """The suffix, where it is asked for."""
        return ("suffix",) if self.suffixes else ()

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Read the suffix that the row notes."""
        if not self.suffixes:
            return {}
        return {"suffix": [row.get(self._SUFFIX, "") for row in batch.rows]}

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Compare."""
        if not self.suffixes:
            return np.ones(len(next(iter(stats.values()), ())), bool)
        wanted = {s if s.startswith(".") else f".{s}" for s in self.suffixes} | set(self.suffixes)
        found = np.asarray([value in wanted for value in stats["suffix"]], bool)
        return found ^ self.reversed_range


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Gt: signs.gt, ast.Lt: signs.lt, ast.Eq: signs.eq, ast.NotEq: signs.ne, ast.GtE: signs.ge,
    ast.LtE: signs.le, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_PLAIN = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Name, ast.Load, ast.Attribute,
    ast.Constant, ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.List, ast.Tuple, ast.Set, *_COMPARE,
)  # fmt: skip


class GeneralField(Filter):
    """Keeps rows for which a condition on fields holds: `10 < num <= 30 and text != 'x'`."""

    metrics: ClassVar[tuple[str, ...]] = ("general_field_filter_condition",)
    filter_condition: str = setting("", "comparisons of fields and constants, with and, or, not")

    _tree: Any = PrivateAttr(default=None)

    @field_validator("filter_condition")
    @classmethod
    def _valid(cls, value: str) -> str:
        if value.strip():
            parsed(value)
        return value

    def load(self) -> None:
        """Read the condition."""
        self._tree = parsed(self.filter_condition) if self.filter_condition.strip() else None

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Say for each row whether it holds."""
        if self._tree is None:
            self.load()
        found = [
            True if self._tree is None else bool(self._of(self._tree.body, batch, number))
            for number in range(len(batch))
        ]
        return {self.metrics[0]: found}

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Keep where it holds."""
        return np.asarray(stats[self.metrics[0]], bool) ^ self.reversed_range

    def _of(self, node: ast.expr, batch: Batch, number: int) -> Any:
        """The value of a part of the condition."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() | ast.Attribute():
                return self._field(node, batch, number)
            case ast.BoolOp():
                values = (self._of(value, batch, number) for value in node.values)
                return all(values) if isinstance(node.op, ast.And) else any(values)
            case ast.UnaryOp():
                value = self._of(node.operand, batch, number)
                if isinstance(node.op, ast.Not):
                    return not value
                return -value if isinstance(node.op, ast.USub) else value
            case ast.List() | ast.Tuple() | ast.Set():
                return [self._of(value, batch, number) for value in node.elts]
            case ast.Compare():
                return self._compared(node, batch, number)
            case _:
                raise DataError(f"'{ast.unparse(node)}' cannot be part of a condition.")

    def _compared(self, node: ast.Compare, batch: Batch, number: int) -> bool:
        left = self._of(node.left, batch, number)
        for sign, other in zip(node.ops, node.comparators, strict=True):
            right = self._of(other, batch, number)
            if left is None or right is None:
                return isinstance(sign, ast.NotIn)
            if not _COMPARE[type(sign)](left, right):
                return False
            left = right
        return True

    def _field(self, node: ast.expr, batch: Batch, number: int) -> Any:
        """A field; one that the row does not have is nothing."""
        words = ast.unparse(node).split(".")
        if words[0] == STATS and ".".join(words[1:]) in batch.stats:
            return batch.stats[".".join(words[1:])][number]
        value: Any = batch.rows[number]
        for word in words:
            value = value.get(word) if isinstance(value, Mapping) else None
        return value


def parsed(condition: str) -> ast.Expression:
    """A condition of comparisons; nothing in it is ever called.

    Raises:
        ValueError: it is not such a condition.
    """
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"is no condition: {error.msg}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _PLAIN):
            raise ValueError(f"may hold comparisons alone; '{ast.unparse(node)}' is none")
    return tree
