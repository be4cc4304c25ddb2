"""Recipes: stages in order with their configs, joined before anything starts.

    name: bear-relight
    vars: {scene: data/bear}
    stages:
      fit:      {use: relight.fit, preset: fast, with: {capture: "${vars.scene}"}}
      evaluate: {use: relight.evaluate, with: {capture: "${vars.scene}"}}
      film:     {use: relight.film, matrix: {path: [orbit, spiral]}, with: {path: "${matrix.path}"},
                 on_error: continue}

An artifact setting takes a path, or `${fit.out.scene}`, an output of an earlier stage; left unset
it is joined to the newest earlier output of its kind, one of the same name before others. `matrix`
makes a stage for each combination, `film[path=orbit]`, and joins like to like. Stages under one key
share what is said there: `matrix`, or `repeat`, which does them again, each round after the last:

      rounds:
        repeat: {round: 2}
        stages:
          label:   {use: events.label}
          student: {use: events.train, with: {data: "${label.out.dataset}"}}

A `use` is a stage's name or `module:STAGE`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.config import RECIPES, Config, resolve
from fovea.dialect import Document, mapping
from fovea.errors import ArtifactError, RecipeError
from fovea.runs.cells import base_entries, cells, near, refuse_unknown
from fovea.runs.joining import Joiner
from fovea.runs.stage import Stage
from fovea.runs.steps import Join, Step, declaration, find_stage, with_whole_paths

__all__ = ["Join", "Recipe", "Step", "declaration", "find_stage", "load", "stages_of"]
RECIPE_KEYS = ("name", "summary", "vars", "jobs", "stages")


@dataclass(frozen=True)
class Recipe:
    """Stages in order, each joined to those before it."""

    name: str
    steps: tuple[Step, ...]
    given: str = ""
    """The file as its author wrote it."""
    jobs: int = 1
    """How many of its stages may work at once where nobody says otherwise; 0 is one a core."""

    @classmethod
    def single(
        cls,
        stage: Stage | str,
        config: Config | Mapping[str, Any],
        *,
        sources: Mapping[str, str] | None = None,
    ) -> Recipe:
        """A recipe of one stage; `sources` say where its settings came from."""
        use = stage if isinstance(stage, str) else declaration(stage)
        declared = find_stage(use) if isinstance(stage, str) else stage
        if not isinstance(config, Config):
            layer = Document(dict(config), {})
            resolved = resolve(declared.config, name=declared.name, files=[layer])
            config, sources = resolved.config, resolved.sources
        key = declared.name.rpartition(".")[2]
        whole = with_whole_paths(declared, config)
        step = Step(key, use, declared, whole, sources=sources or {})
        step.check_files()
        return cls(declared.name.replace(".", "-"), (step,))

    @property
    def id(self) -> str:
        """What makes two recipes the same work: the graph of their stages, not the values."""
        graph = [
            [s.key, s.use, {name: [j.key, j.output] for name, j in sorted(s.joins.items())}]
            for s in self.steps
        ]
        return hashlib.sha256(json.dumps(graph).encode()).hexdigest()[:16]

    def step(self, key: str) -> Step:
        """The step of that key."""
        return next(step for step in self.steps if step.key == key)

    def to_yaml(self) -> str:
        """The recipe with everything filled in; loading it gives the same recipe."""
        stages = {
            step.key: {
                "use": step.use,
                "with": step.config.model_dump(mode="json"),
                "needs": list(step.needs),
                "on_error": "continue" if step.goes_on else "stop",
                "launch": {"gpus": step.gpus},
            }
            for step in self.steps
        }
        jobs = {"jobs": self.jobs or "cores"} if self.jobs != 1 else {}
        return dialect.dump({"name": self.name, **jobs, "stages": stages})


def load(
    path_or_name: Path | str,
    overrides: Sequence[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
) -> Recipe:
    """Read a recipe by its path, or by its name among those of the package.

    Args:
        path_or_name: `bear.yaml`, or `demo`.
        overrides: `stage.key=value` and `vars.name=value`, as typed on the command line.
        environment: the variables that may set settings.

    Raises:
        RecipeError: there is no such recipe, or its stages do not join.
        ConfigError: it is not valid YAML, or settings in it are wrong.
        ArtifactError: an input is missing or of another kind.
    """
    path = _find(path_or_name)
    document = dialect.load(path)
    refuse_unknown(document.data, RECIPE_KEYS, str(path))
    if not mapping(document.data.get("stages")):
        raise RecipeError(f"{path} has no stages. Give `stages: {{fit: {{use: relight.fit}}}}`.")
    entries = base_entries(document)
    typed = _by_stage(overrides, entries, str(path))
    variables = mapping(document.data.get("vars")) | {
        name: dialect.parse(value) for name, value in typed.pop("vars", [])
    }
    joiner = Joiner(entries, typed, environment)
    for cell in cells(document, variables):
        joiner.add(cell)
    _check_files(joiner.steps.values(), variables)
    name = str(document.data.get("name") or path.stem)
    given = path.read_text(encoding="utf-8")
    return Recipe(name, tuple(joiner.steps.values()), given, _jobs(document))


def _check_files(steps: Iterable[Step], variables: Mapping[str, Any]) -> None:
    """Refuse inputs that are missing or of another kind, all of them at once.

    Raises:
        ArtifactError: there are some; each is told with the variable that gives it.
    """
    troubles: dict[Path, str] = {}
    for step in steps:
        for path, sentence in step.missing_files():
            names = [n for n, value in variables.items() if Path(str(value)).absolute() == path]
            given = f" Give it by vars.{names[0]}=PATH." if names else ""
            troubles.setdefault(path, sentence + given)
    if troubles:
        many = f"{len(troubles)} inputs cannot be used.\n" if len(troubles) > 1 else ""
        raise ArtifactError(many + "\n".join(troubles.values()))


def _jobs(document: Document) -> int:
    jobs = document.data.get("jobs", 1)
    if jobs == "cores":
        return 0
    if not isinstance(jobs, int) or jobs < 1:
        raise RecipeError(
            f"{document.where(('jobs',))}: jobs is {jobs!r}; give how many stages may work at once,"
            " or `cores`, one for each."
        )
    return jobs


def stages_of(path: Path) -> dict[str, Stage]:
    """The stages of a recipe by key, whatever is made of each."""
    entries = base_entries(dialect.load(path))
    return {key: find_stage(str(entry.data["use"])) for key, entry in entries.items()}


def _find(path_or_name: Path | str) -> Path:
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise RecipeError(f"there is no recipe {path}. Check the path.")
        return path
    names = sorted(p.stem for p in RECIPES.glob("*.yaml") if "." not in p.stem)
    if str(path_or_name) not in names:
        raise RecipeError(
            f"'{path_or_name}' is not a recipe.{near(str(path_or_name), names)} "
            f"Recipes: {', '.join(names) or 'none'}; or give the path of a .yaml file."
        )
    return RECIPES / f"{path_or_name}.yaml"


def _by_stage(
    overrides: Sequence[str], entries: Mapping[str, Any], where: str
) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word in overrides:
        match = re.fullmatch(r"(?:--)?([\w-]+(?:\[[^\]]*\])?)\.([\w.-]+\+?)=(.*)", word, re.DOTALL)
        if not match:
            raise RecipeError(
                f"'{word}' is not understood. Write stage.key=value or vars.name=value."
            )
        key, name, value = match.groups()
        if key != "vars" and key not in entries and key.partition("[")[0] not in entries:
            raise RecipeError(f"'{word}': {where} has no stage '{key}'.{near(key, entries)}")
        found.setdefault(key, []).append((name, value))
    return found
