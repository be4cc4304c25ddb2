"""The target `stage`: what a study knows of a stage of fovea, and the config of any trial of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from fovea import dialect
from fovea.config import Config, Resolved, find, nearest, preset_file, resolve, to_yaml
from fovea.dialect import Document
from fovea.errors import ConfigError, Problem
from fovea.runs.recipe import Recipe, find_stage
from fovea.runs.stage import Stage
from fovea.tuning.definition import StudyFile
from fovea.tuning.foreign.command import Command


@dataclass(frozen=True)
class StageTarget:
    """A stage of fovea, run anew for each trial."""

    use: str
    """Its name, or where it is declared."""
    stage: Stage
    base: Document
    """The settings below all trials, without those of the space."""
    folder: Path
    """Where the study file lies."""

    checkpoints = "run/stages/*/ckpt"
    """A glob of what a trial only needs to go on."""

    @property
    def name(self) -> str:
        """What is tuned, in words."""
        return self.stage.name

    @property
    def metrics(self) -> Mapping[str, Literal["min", "max"]]:
        """The metrics whose direction is known."""
        return self.stage.metrics

    def config_of(self, settings: Mapping[str, Any], *, source: str) -> Resolved[Any]:
        """The stage's Config with these settings over the base.

        Raises:
            ConfigError: the stage does not take them.
        """
        return resolve(
            self.stage.config,
            name=self.stage.name,
            files=[self.base],
            overrides=dict(settings),
            overrides_source=source,
        )

    def check(self, settings: Mapping[str, Any], *, source: str) -> None:
        """Refuse settings that the stage does not take.

        Raises:
            ConfigError: it does not.
        """
        self.config_of(settings, source=source)

    def path_problem(self, path: str) -> str:
        """What is wrong with a setting of that name; empty where nothing is."""
        keys, field, left = find(self.stage.config, path.split("."))
        if field is not None:
            return ""
        hint = nearest(self.stage.config, (*keys, *left))
        return f"{self.stage.name} has no setting {path}" + (f"; {hint}" if hint else "")

    def defaults(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """The settings below the space, by path.

        Raises:
            FoveaError: they are not complete.
        """
        return dict(flat(self.config_of(fixed, source="fixed").config.model_dump(mode="json")))

    def shown(self, settings: Mapping[str, Any], *, source: str) -> str:
        """The config of a trial with these settings, for people."""
        return to_yaml(self.config_of(settings, source=source).config)

    def identity(self) -> dict[str, Any]:
        """What makes it the same target."""
        return {"target.stage": self.use}

    def recipe_of(self, config: Config) -> Recipe:
        """The recipe of a trial with this config.

        Raises:
            ArtifactError: an input of the stage is missing.
        """
        return Recipe.single(self.use, config)


def read_target(file: StudyFile, folder: Path) -> StageTarget | Command:
    """What is tuned.

    Raises:
        FoveaError: the stage or a file is missing.
    """
    target = file.target
    if (target.stage is None) == (target.command is None):
        text = (
            "needs either a stage of fovea or a command; "
            "write {stage: relight.fit} or {command: {argv: [...]}}"
        )
        raise ConfigError(text, (Problem("target", "either", text),))
    if target.command is not None and target.config is not None:
        text = "belongs to a stage; for a command write command: {config: {base: FILE}}"
        raise ConfigError(text, (Problem("target.config", "misplaced", text),))
    if file.target.command is not None:
        return Command.read(file.target.command, folder)
    use = file.target.stage or ""
    stage = find_stage(use)
    return StageTarget(use, stage, _base(stage, file.target.config, folder), folder)


def _base(stage: Stage, config: str | None, folder: Path) -> Document:
    """The settings below all trials: of a preset, or of a file."""
    if config is None:
        return Document({}, {})
    is_file = config.endswith((".yaml", ".yml"))
    # Not resolved yet: a required setting may still come from the space or from `fixed`.
    return dialect.load(folder / config if is_file else preset_file(stage.name, config))


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted paths."""
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from flat(cast(dict[str, Any], value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
