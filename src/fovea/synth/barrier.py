"""Barriers: what needs a look at all rows before any goes on.

A deduplicator keeps one row of each group, a selector picks rows by a value, a filter whose limits
are places in a distribution learns what they are. Each reads the keys that the parts have kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.synth.operator import Deduplicator, Filter, Scout, Selector
from fovea.synth.plan import Plan, Step
from fovea.synth.sample import Sample
from fovea.synth.state import State, loaded

if TYPE_CHECKING:
    from jaxtyping import Int64

TOLD_GROUPS = 1000
"""Groups of duplicates that are told with their words; of further ones the row numbers alone."""


@dataclass(frozen=True)
class Decision:
    """Which rows go on."""

    chosen: Int64[np.ndarray, "k 2"]
    """The state and the row in it, in the order they go on."""
    label: str = ""
    dropped: int = 0
    made: int = 0
    """Rows that go on more than once."""
    clusters: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Of duplicates: what is kept of each group and what is not."""
    limits: dict[str, float] = field(default_factory=dict[str, float])
    """What places in a distribution turned out to be."""
    is_scouted: bool = False
    """Whether the limits are those of the operator behind."""
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[Any]])


class Columns(Mapping[str, np.ndarray]):
    """The keys of all parts as columns, read when asked for."""

    def __init__(self, states: Sequence[State]) -> None:
        self.states = states
        self.counts = [state.rows() for state in states]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.column(name)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return sum(self.counts)

    def column(self, name: str, row: int | None = None) -> np.ndarray:
        """A column; of a matrix, one of its columns alone."""
        filled = [s for s, count in zip(self.states, self.counts, strict=True) if count]
        if not filled:
            return np.zeros(0)
        return np.concatenate([state.key(name, row) for state in filled])


def decide(step: Step | None, states: Sequence[State], plan: Plan) -> Decision:
    """What goes on behind a barrier; without one, everything."""
    columns = Columns(states)
    every = np.concatenate(
        [np.stack([np.full(count, number), np.arange(count)], 1)
         for number, count in enumerate(columns.counts)]
    ).astype(np.int64) if states else np.zeros((0, 2), np.int64)  # fmt: skip
    if step is None:
        return Decision(every)
    operator = step.operator
    if isinstance(operator, Deduplicator):
        return _without_duplicates(step, operator, columns, every, plan)
    if isinstance(operator, Selector):
        values = columns.column("value").tolist() if len(columns) else []
        picked = np.asarray(operator.select(values, len(every), operator.rng(-1)), np.int64)
        distinct = len(np.unique(picked))
        return Decision(every[picked], step.label, len(every) - distinct, len(picked) - distinct)
    assert isinstance(operator, Filter), "only these are barriers"
    stats = {name: _column(columns, name) for name in operator.measured()}
    settled = operator.settled(stats)
    keep = settled.keep(stats)
    limits = {
        name: getattr(settled, name)
        for name in type(settled).model_fields
        if getattr(settled, name) != getattr(operator, name)
    }
    is_scouted = isinstance(operator, Scout)
    return Decision(
        every[keep], step.label, int((~keep).sum()), limits=limits, is_scouted=is_scouted
    )


def _column(columns: Columns, name: str) -> Any:
    values = columns.column(name).tolist()
    is_plain = not values or not isinstance(values[0], list | str)
    return np.asarray(values, np.float64) if is_plain else values


def _without_duplicates(
    step: Step, operator: Deduplicator, columns: Columns, every: np.ndarray, plan: Plan
) -> Decision:
    if not len(every):
        return Decision(every, step.label)
    roots = operator.groups(columns)
    keep = roots == np.arange(len(roots))
    if operator.keep_best_by:
        keep = best_of(roots, columns["best"])
    groups = groups_of(roots)
    reader = _Reader(columns.states, every)
    clusters = [
        _cluster(group, keep, reader, plan, with_text=number < TOLD_GROUPS)
        for number, group in enumerate(groups)
    ]
    pairs = [
        {"dup1": reader.row(int(group[keep[group]][0])).get(plan.handling.fields.text),
         "dup2": reader.row(int(group[~keep[group]][0])).get(plan.handling.fields.text)}
        for group in groups[: plan.handling.trace_num]
    ] if _is_traced(step, plan) else []  # fmt: skip
    examples = {step.label: pairs} if pairs else {}
    dropped = int((~keep).sum())
    return Decision(every[keep], step.label, dropped, clusters=clusters, examples=examples)


def groups_of(roots: Int64[np.ndarray, " n"]) -> list[np.ndarray]:
    """The rows of each group of several, in the order of their first rows."""
    several = np.flatnonzero(np.bincount(roots, minlength=len(roots))[roots] > 1)
    if not len(several):
        return []
    ordered = several[np.argsort(roots[several], kind="stable")]
    cuts = np.flatnonzero(np.diff(roots[ordered])) + 1
    return list(np.split(ordered, cuts))


def best_of(roots: Int64[np.ndarray, " n"], scores: np.ndarray) -> np.ndarray:
    """Which row of each group has the largest score; of equal ones the first."""
    order = np.lexsort((np.arange(len(roots)), -np.nan_to_num(scores, nan=-np.inf), roots))
    firsts = np.concatenate(([True], roots[order][1:] != roots[order][:-1]))
    keep = np.zeros(len(roots), bool)
    keep[order[firsts]] = True
    return keep


def _is_traced(step: Step, plan: Plan) -> bool:
    named = plan.handling.traced
    return named is not None and (not named or step.operator.name in named)


class _Reader:
    """Single rows of states."""

    def __init__(self, states: Sequence[State], every: np.ndarray) -> None:
        self.states = states
        self.every = every
        self._places: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def row(self, place: int) -> Sample:
        state, row = self.every[place].tolist()
        _, ends = self._of(state)
        with (self.states[state].folder / "rows.jsonl").open("rb") as file:
            file.seek(int(ends[row]))
            return loaded(file.read(int(ends[row + 1] - ends[row])))

    def number(self, place: int) -> int:
        state, row = self.every[place].tolist()
        return int(self._of(state)[0][row])

    def _of(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        if state not in self._places:
            self._places[state] = self.states[state].places()
        return self._places[state]


def _cluster(
    group: np.ndarray, keep: np.ndarray, reader: _Reader, plan: Plan, *, with_text: bool
) -> dict[str, Any]:
    """What is said of a group; the rows' own words only where there is room for them."""
    text = plan.handling.fields.text

    def told(place: int) -> dict[str, Any]:
        said: dict[str, Any] = {"row": reader.number(place)}
        if with_text:
            row = reader.row(place)
            said |= {"id": row.get("id"), text: row.get(text)}
        return said

    kept = [told(place) for place in group[keep[group]].tolist()]
    dropped = [told(place) for place in group[~keep[group]].tolist()]
    return {"size": len(group), "kept": kept, "dropped": dropped}
