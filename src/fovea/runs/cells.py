"""The cells of a recipe: its entries with groups opened, matrices combined and rounds repeated."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fovea.dialect import Document, mapping
from fovea.errors import RecipeError

ENTRY_KEYS = ("use", "preset", "with", "needs", "matrix", "on_error", "launch")
GROUP_KEYS = ("matrix", "repeat", "stages")
_VALUE = re.compile(r"\$\{(vars|matrix)\.(\w+)\}")


@dataclass(frozen=True)
class Cell:
    """One entry at one place of the matrices and rounds around it."""

    base: str
    """The key under which it is written, `student`."""
    entry: Document
    """As written, with variables and the place filled in."""
    place: Mapping[str, Any]
    """`{"seed": 0, "round": 2}`."""
    rounds: frozenset[str]
    """Those names of `place` that count rounds."""
    where: str
    """`selftrain.yaml:12`."""

    @property
    def key(self) -> str:
        """`student[seed=0,round=2]`, or the base alone."""
        label = ",".join(f"{name}={_plain(value)}" for name, value in self.place.items())
        return f"{self.base}[{label}]" if label else self.base

    def agrees(self, other: Cell) -> bool:
        """Whether both stand at the same place of every matrix they share; rounds may differ."""
        shared = set(self.place) & set(other.place) - self.rounds - other.rounds
        return all(self.place[name] == other.place[name] for name in shared)


def cells(document: Document, variables: Mapping[str, Any]) -> Iterator[Cell]:
    """All cells of a recipe, in the order in which they run.

    Raises:
        RecipeError: the grammar is not kept, or a variable is not defined.
    """
    yield from _opened(document.at("stages"), document, ("stages",), variables, {}, frozenset())


def base_entries(document: Document) -> dict[str, Document]:
    """The entries that use a stage, by key, those in groups too, as they are written.

    Raises:
        RecipeError: a key stands twice, or an entry does not say which stage.
    """
    found: dict[str, Document] = {}
    for path, entry in _written(document, ("stages",)):
        key, where = path[-1], document.where(path)
        if "use" not in entry.data:
            raise RecipeError(f"{where}: stage '{key}' does not say which. Give `use: room.verb`.")
        if key in found:
            raise RecipeError(f"{where}: stage '{key}' stands twice. Give each its own key.")
        found[key] = entry
    return found


def _written(
    document: Document, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Document]]:
    for key in document.at(*path).data:
        entry = document.at(*path, key)
        if "stages" in entry.data:
            yield from _written(document, (*path, key, "stages"))
        else:
            yield (*path, key), entry


def _opened(
    entries: Document,
    document: Document,
    path: tuple[str, ...],
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
    rounds: frozenset[str],
) -> Iterator[Cell]:
    for key in entries.data:
        here, where = (*path, key), document.where((*path, key))
        entry = entries.at(key)
        is_group = "stages" in entry.data
        refuse_unknown(entry.data, GROUP_KEYS if is_group else ENTRY_KEYS, where)
        known = {"vars": variables, "matrix": place}
        repeat = _rounds(filled(entry.data.get("repeat") or {}, known, where), where)
        matrix = _matrix(filled(entry.data.get("matrix") or {}, known, where), where)
        for choice in _combinations(matrix | repeat):
            inner = {**place, **choice}
            if is_group:
                below = entry.at("stages")
                counted = rounds | set(repeat)
                yield from _opened(below, document, (*here, "stages"), variables, inner, counted)
            else:
                data = filled(entry.data, {"vars": variables, "matrix": inner}, where)
                yield Cell(key, Document(data, entry.sources), inner, rounds, where)


def _rounds(repeat: Any, where: str) -> dict[str, list[Any]]:
    counts = mapping(repeat)
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise RecipeError(f"{where}: repeat '{name}' is {count!r}; give how often, 0 or more.")
    if repeat and not counts:
        raise RecipeError(
            f"{where}: repeat is {repeat!r}; name the rounds, `repeat: {{round: 2}}`."
        )
    return {name: list(range(1, count + 1)) for name, count in counts.items()}


def _matrix(matrix: Any, where: str) -> dict[str, list[Any]]:
    for name, values in mapping(matrix).items():
        if not isinstance(values, list) or not values:
            raise RecipeError(f"{where}: matrix '{name}' is {values!r}; give a list of values.")
    return mapping(matrix)


def _combinations(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def filled(value: Any, known: Mapping[str, Mapping[str, Any]], where: str) -> Any:
    """Put variables in place: a value that is only `${vars.x}` keeps its type."""
    if isinstance(value, dict):
        return {key: filled(inner, known, where) for key, inner in mapping(value).items()}
    if isinstance(value, list):
        return [filled(inner, known, where) for inner in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> Any:
        group, name = match.groups()
        if name not in known[group]:
            names = ", ".join(known[group]) or "none"
            raise RecipeError(f"{where}: {match[0]} is not defined. Known {group}: {names}.")
        return known[group][name]

    whole = _VALUE.fullmatch(value)
    return lookup(whole) if whole else _VALUE.sub(lambda match: str(lookup(match)), value)


def refuse_unknown(data: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse keys that the grammar does not have.

    Raises:
        RecipeError: there is one.
    """
    for name in data:
        if name not in known:
            raise RecipeError(
                f"{where}: '{name}' is not understood here.{near(name, known)} "
                f"Known: {', '.join(known)}."
            )


def near(name: str, known: Any) -> str:
    """` Did you mean 'fit'?`, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{found[0]}'?" if found else ""


def _plain(value: Any) -> str:
    return "-".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
