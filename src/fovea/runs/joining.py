"""Joining: each cell of a recipe becomes a step whose inputs are files or earlier outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from fovea import catalog
from fovea.config import resolve
from fovea.declaration import is_a
from fovea.dialect import Document, mapping
from fovea.errors import RecipeError
from fovea.runs.artifact import kind
from fovea.runs.cells import Cell, near
from fovea.runs.stage import Stage
from fovea.runs.steps import REFERENCE, Join, Step, find_stage, with_whole_paths

NEWEST = "newest"
"""In place of a stage's key: whichever stage before this one made such an output last."""


class Joiner:
    """Joins the cells of a recipe one after the other."""

    def __init__(
        self,
        names: Collection[str],
        typed: Mapping[str, list[tuple[str, str]]],
        environment: Mapping[str, str],
    ) -> None:
        self.names = names
        self.typed = typed
        self.environment = environment
        self.steps: dict[str, Step] = {}
        self.cells: dict[str, Cell] = {}

    def add(self, cell: Cell) -> None:
        """Add the step of a cell.

        Raises:
            RecipeError: an input cannot be joined.
            ConfigError: settings are not valid.
        """
        self.steps[cell.key] = self._step(cell)
        self.cells[cell.key] = cell

    def _step(self, cell: Cell) -> Step:
        entry = cell.entry
        stage = find_stage(str(entry.data["use"]))
        needs = self._needs(cell, entry.data.get("needs") or ())
        keys = dict.fromkeys((cell.base, cell.key))
        typed = [change for key in keys for change in self.typed.get(key, ())]
        layer = entry.at("with")
        named = {name.partition(".")[0] for name, _ in typed} | set(layer.data)
        joined = self._joined(cell, stage, named, needs)
        spread = Document(self._spread(cell, stage, layer.data), layer.sources)
        resolved = resolve(
            stage.config,
            name=stage.name,
            preset=entry.data.get("preset"),
            files=[Document(joined, dict.fromkeys([(n,) for n in joined], "joined")), spread],
            environment=self.environment,
            arguments=[f"{name}={value}" for name, value in typed],
            prefix=f"{cell.base}.",
        )
        config = with_whole_paths(stage, resolved.config)
        joins = dict(self._references(cell, stage, config))
        return Step(
            key=cell.key,
            use=str(entry.data["use"]),
            stage=stage,
            config=config,
            joins=joins,
            needs=tuple(dict.fromkeys([*needs, *(join.key for join in joins.values())])),
            goes_on=entry.data.get("on_error", "stop") == "continue",
            gpus=int(mapping(entry.data.get("launch")).get("gpus", 0)),
            sources=resolved.sources,
        )

    def _needs(self, cell: Cell, wanted: Any) -> list[str]:
        found: list[str] = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            found += self._earlier(name, f"{cell.where}: stage '{cell.key}' needs '{name}'")
        return found

    def _earlier(self, name: str, claim: str) -> list[str]:
        if name in self.steps:
            return [name]
        found = [key for key, cell in self.cells.items() if cell.base == name]
        if not found and name in self.names:
            raise RecipeError(f"{claim}, which comes later. Move '{name}' before it.")
        if not found:
            raise RecipeError(f"{claim}, and no stage has that name.{near(name, self.steps)}")
        return found

    def _like(self, cell: Cell, keys: Sequence[str], *, all_rounds: bool) -> list[str]:
        """Those at the same place of the matrices, and of each all rounds or only the last."""
        if all_rounds:
            return [key for key in keys if cell.agrees(self.cells[key])]
        last: dict[Any, str] = {}
        for key in keys:
            other = self.cells[key]
            if cell.agrees(other):
                place = {n: v for n, v in other.place.items() if n not in other.rounds}
                last[other.base, tuple(map(str, place.items()))] = key
        return list(last.values())

    def _joined(
        self, cell: Cell, stage: Stage, named: set[str], needs: Sequence[str]
    ) -> dict[str, Any]:
        """References for the inputs nobody named; an optional one is joined by its name only."""
        joined: dict[str, Any] = {}
        for name, wanted in stage.inputs.items():
            if name in named:
                continue
            is_required = stage.config.model_fields[name].is_required()
            fitting = self._fitting(cell, name, wanted, needs, by_name_only=not is_required)
            if fitting:
                references = [f"${{{join.key}.out.{join.output}}}" for join in fitting]
                joined[name] = references if _takes_several(stage, name) else references[0]
            elif is_required and not cell.entry.data.get("preset"):
                before = ", ".join(self.steps) or "none"
                raise RecipeError(
                    f"stage '{cell.key}' needs '{name}' ({kind(wanted).help}) and no earlier stage "
                    f"makes it. Stages before it: {before}.{_maker(wanted)} "
                    f"Or give {cell.key}.{name}=PATH."
                )
        return joined

    def _fitting(
        self, cell: Cell, name: str, wanted: str, needs: Sequence[str], *, by_name_only: bool
    ) -> list[Join]:
        """Earlier outputs of a kind, the newest first, those of the input's name before others."""
        order = [*needs, *(key for key in reversed(self.steps) if key not in needs)]
        found = [
            Join(key, output)
            for key in order
            if cell.agrees(self.cells[key])
            for output, made in self.steps[key].stage.outputs.items()
            if made.kind == wanted and not made.optional
        ]
        same_name = [join for join in found if join.output == name]
        others = [] if by_name_only else [join for join in found if join.output != name]
        return [*same_name, *others]

    def _spread(self, cell: Cell, stage: Stage, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is given, with references that mean a cell of a matrix or of rounds made whole."""
        whole = dict(given)
        for name in stage.inputs:
            value = given.get(name)
            if _takes_several(stage, name):
                values = cast("list[Any]", value if isinstance(value, list) else [value])
                if name in given:
                    meant = (self._meant(cell, name, v, all_rounds=True) for v in values)
                    whole[name] = [each for several in meant for each in several]
            elif name in given:
                meant = self._meant(cell, name, value)
                if len(meant) > 1:
                    which = ", ".join(REFERENCE.sub(r"\1", each) for each in meant)
                    raise RecipeError(
                        f"stage '{cell.key}' takes '{name}' from {value}, which are several. Say"
                        f" which: {which}."
                    )
                whole[name] = meant[0]
        return whole

    def _meant(self, cell: Cell, name: str, value: Any, *, all_rounds: bool = False) -> list[Any]:
        """The references that one stands for, or the value as it is."""
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if not match:
            return [value]
        claim = f"stage '{cell.key}' takes '{name}' from {value}"
        if match[1] == NEWEST:
            return [f"${{{self._newest(cell, match[2], claim)}.out.{match[2]}}}"]
        keys = self._earlier(match[1], claim)
        like = (
            [match[1]] if match[1] in self.steps else self._like(cell, keys, all_rounds=all_rounds)
        )
        if not like:
            raise RecipeError(f"{claim}, and none stands at the same place: {', '.join(keys)}.")
        return [f"${{{key}.out.{match[2]}}}" for key in like]

    def _newest(self, cell: Cell, output: str, claim: str) -> str:
        for key in reversed(self.steps):
            if cell.agrees(self.cells[key]) and output in self.steps[key].stage.outputs:
                return key
        raise RecipeError(f"{claim}, and no stage before it makes a '{output}'.")

    def _references(self, cell: Cell, stage: Stage, config: Any) -> Iterator[tuple[str, Join]]:
        kinds = {name: wanted for name, (wanted, _) in stage.given(config).items()}
        values: dict[str, Any] = {name: path for name, (_, path) in stage.given(config).items()}
        for name in type(config).model_fields:
            if name not in stage.inputs:
                values[name] = getattr(config, name)
        for name, value in values.items():
            match = REFERENCE.fullmatch(str(value))
            if not match:
                continue
            claim = f"stage '{cell.key}' takes '{name}' from {match[0]}"
            if name not in kinds:
                names = ", ".join(stage.inputs) or "none"
                raise RecipeError(f"{claim}, but '{name}' is no input of it. Inputs: {names}.")
            found = self._earlier(match[1], claim)
            if len(found) > 1:
                raise RecipeError(f"{claim}, which are several. Say which: {', '.join(found)}.")
            yield name, self._checked(claim, Join(found[0], match[2]), kinds[name])

    def _checked(self, claim: str, join: Join, wanted: str) -> Join:
        outputs = self.steps[join.key].stage.outputs
        if join.output not in outputs:
            raise RecipeError(
                f"{claim}, and '{join.key}' makes no '{join.output}'. "
                f"It makes: {', '.join(outputs)}."
            )
        made = outputs[join.output].kind
        if made != wanted:
            raise RecipeError(
                f"{claim}, which is {kind(made).help} ({made}); "
                f"wanted is {kind(wanted).help} ({wanted})."
            )
        return join


def _takes_several(stage: Stage, name: str) -> bool:
    return is_a(stage.config.model_fields[name].annotation, tuple)


def _maker(wanted: str) -> str:
    makers = [
        stage.name
        for stage in catalog.all_stages()
        if any(output.kind == wanted for output in stage.outputs.values())
    ]
    return f" Add {' or '.join(makers)} before it." if makers else ""
