"""The ledger: every row that could not be read or on which an operator failed, and why.

No row vanishes: those that were read are those that are kept, and those that each operator dropped
or failed on, less those it made. `Counts.check` holds the books to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any


@dataclass
class StepCount:
    """What one operator did to rows."""

    seen: int = 0
    dropped: int = 0
    errors: int = 0
    made: int = 0
    """Rows it added, less those it left out of what it was given without failing."""
    changed: int = 0

    @property
    def left(self) -> int:
        """Rows that went on."""
        return self.seen - self.dropped - self.errors + self.made

    def add(self, other: StepCount) -> None:
        """Count another part's rows, too."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Counts:
    """The books of a part or of the whole."""

    read: int = 0
    unread: int = 0
    """Rows that could not be read or did not pass the validators."""
    mended: int = 0
    kept: int = 0
    steps: dict[str, StepCount] = field(default_factory=dict[str, StepCount])

    def step(self, label: str) -> StepCount:
        """The count of an operator."""
        return self.steps.setdefault(label, StepCount())

    def add(self, other: Counts) -> None:
        """Count another part, too."""
        self.read += other.read
        self.unread += other.unread
        self.mended += other.mended
        self.kept += other.kept
        for label, count in other.steps.items():
            self.step(label).add(count)

    def check(self) -> None:
        """Hold the books to their rule."""
        lost = self.unread + sum(step.dropped + step.errors for step in self.steps.values())
        made = sum(step.made for step in self.steps.values())
        assert self.read + made - lost == self.kept, f"rows are lost: {self.as_data()}"

    def as_data(self) -> dict[str, Any]:
        """For a file."""
        return {
            "read": self.read,
            "unread": self.unread,
            "mended": self.mended,
            "kept": self.kept,
            "operators": [
                {"operator": label, "in": s.seen, "out": s.left, "dropped": s.dropped,
                 "errors": s.errors, "made": s.made, "changed": s.changed}
                for label, s in sorted(self.steps.items())
            ],
        }  # fmt: skip

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Counts:
        """Read back what `as_data` gave."""
        found = cls(data["read"], data["unread"], data["mended"], data["kept"])
        for entry in data["operators"]:
            found.steps[entry["operator"]] = StepCount(
                entry["in"], entry["dropped"], entry["errors"], entry["made"], entry["changed"]
            )
        return found


@dataclass(frozen=True)
class Entry:
    """A row of the ledger."""

    number: int
    line: int
    file: str
    id: Any
    operator: str
    error: str
    message: str
    is_lost: bool = True

    def as_data(self) -> dict[str, Any]:
        """For a file."""
        return {
            "row": self.number, "file": self.file, "line": self.line, "id": self.id,
            "operator": self.operator, "error": self.error, "message": self.message,
            "lost": self.is_lost,
        }  # fmt: skip


class Failure:
    """What a block of code raised, kept instead of raised on: `with Failure() as failure: ...`.

    An operator, also one of somebody else, may fail on a row in any way; that row is lost, and no
    other. What asks the process to end goes through.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self.error: Exception | None = None
        self.keeps = keeps

    def __enter__(self) -> Failure:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception) and self.keeps:
            self.error = error
            return True
        return False


def summary(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows were lost by operator and kind of error."""
    found: dict[str, int] = {}
    for entry in entries:
        if entry["lost"]:
            name = f"{entry['operator']}: {entry['error']}"
            found[name] = found.get(name, 0) + 1
    return found
