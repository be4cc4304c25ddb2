"""A point of a series, and how text becomes a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """Some metrics at one step."""

    step: int
    metrics: Mapping[str, float]
    epoch: float | None = None


def number(value: Any) -> float | None:
    """The number that a value is or writes, `'2.461'` too; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def point(record: Mapping[str, Any], *, step: str, otherwise: int) -> Point:
    """The numbers of one record; `otherwise` is its step where the record has none."""
    at, epoch = number(record.get(step)), number(record.get("epoch"))
    is_whole = at is not None and at == at and abs(at) < 2**62
    metrics = {
        name: value
        for name, text in record.items()
        if name not in (step, "epoch") and (value := number(text)) is not None
    }
    return Point(int(at) if is_whole and at is not None else otherwise, metrics, epoch)
