"""One stage of a recipe, with its config and what it waits for."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fovea import catalog
from fovea.config import Config
from fovea.errors import ArtifactError, RecipeError
from fovea.runs.artifact import kind
from fovea.runs.stage import Stage

REFERENCE = re.compile(r"\$\{([\w-]+(?:\[[^\]]*\])?)\.out\.(\w+)\}")
"""An output of another stage, `${fit.out.scene}`."""


@dataclass(frozen=True)
class Join:
    """An input that is an earlier stage's output."""

    key: str
    output: str


@dataclass(frozen=True)
class Step:
    """One stage of a recipe, with its config and what it waits for."""

    key: str
    use: str
    """The stage's name, or where it is declared, `package.module:STAGE`."""
    stage: Stage
    config: Config
    """Joined inputs hold their reference, `${fit.out.scene}`, until the run puts the path there."""
    joins: Mapping[str, Join] = field(default_factory=dict[str, Join])
    """By the name of the input; of one that takes several, `scores.0`."""
    needs: tuple[str, ...] = ()
    """The keys of all stages that must be done before."""
    goes_on: bool = False
    """Whether the run goes on with what does not need this stage when it fails."""
    gpus: int = 0
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    def bound(self, paths: Mapping[str, Path]) -> Config:
        """The config with the joined inputs in place."""
        return self.stage.placed(self.config, paths)

    def check_files(self) -> None:
        """Refuse inputs that are missing or of another kind.

        Raises:
            ArtifactError: one is.
        """
        for _, sentence in self.missing_files():
            raise ArtifactError(sentence)

    def missing_files(self) -> Iterator[tuple[Path, str]]:
        """The inputs that are missing or of another kind, and what is to be said of each."""
        for name, (wanted, path) in self.stage.given(self.config).items():
            if name in self.joins:
                continue
            try:
                kind(wanted).check(path, wanted_by=f"stage '{self.key}' ({name})")
            except ArtifactError as error:
                yield path, str(error)


def find_stage(use: str) -> Stage:
    """The stage of that name, or declared at `module:STAGE`.

    Raises:
        RecipeError: there is none.
    """
    module, _, attribute = use.partition(":")
    if not attribute:
        return catalog.stage(use)
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise RecipeError(f"stage '{use}' cannot be loaded: {error}. Check its module.") from error
    if not isinstance(found, Stage):
        raise RecipeError(f"'{use}' is no stage: {module} has no Stage named {attribute}.")
    return found


def declaration(stage: Stage) -> str:
    """How a recipe names this stage, so that another process finds it.

    Raises:
        RecipeError: it is neither in the catalog nor a global of an imported module.
    """
    if stage.name in catalog.STAGES and catalog.stage(stage.name) is stage:
        return stage.name
    for name, module in list(sys.modules.items()):
        for attribute, value in vars(module).items() if name != "__main__" and module else ():
            if value is stage:
                return f"{name}:{attribute}"
    raise RecipeError(
        f"stage '{stage.name}' is not in the catalog, and no imported module has it as a global. "
        "Declare it at the top of a module."
    )


def with_whole_paths(stage: Stage, config: Config) -> Config:
    """Inputs by absolute path, so that the run can be resumed from another folder."""
    whole = {
        name: path.expanduser().absolute()
        for name, (_, path) in stage.given(config).items()
        if not REFERENCE.fullmatch(str(path))
    }
    return stage.placed(config, whole)
