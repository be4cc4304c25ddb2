"""How a trial's settings reach the command: a file of its own, arguments, the environment."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.errors import ConfigError
from fovea.runs.durable import write_text
from fovea.tuning.foreign import template
from fovea.tuning.foreign.settings import CommandSettings, ConfigFile


@dataclass(frozen=True)
class Delivery:
    """All that is needed to call the command for one trial."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    """What the study file adds to the environment."""
    config: Path | None = None
    text: str = ""
    """What stands in the config file."""

    def write(self) -> None:
        """Write the config file, whole or not at all."""
        if self.config is not None:
            self.config.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.config, self.text, is_synced=False)

    def line(self) -> str:
        """The command as it is typed into a shell."""
        added = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return f"cd {shlex.quote(str(self.cwd))} && {' '.join([*added, shlex.join(self.argv)])}"


def read_base(path: Path) -> dict[str, Any]:
    """The settings below all trials, of a YAML or a JSON file.

    Raises:
        ConfigError: it is missing, or cannot be read.
    """
    if path.suffix != ".json":
        return dialect.load(path).data
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}. Check target.command.config.base.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {type(data).__name__}, and an object is wanted.")
    return dialect.mapping(data)


def deliver(
    command: CommandSettings,
    base: Mapping[str, Any],
    settings: Mapping[str, Any],
    places: Mapping[str, Any],
    *,
    cwd: Path,
    config: Path | None = None,
) -> Delivery:
    """The call of a trial.

    Args:
        command: how the trainer is called.
        base: the settings of the base file.
        settings: those of the trial, by path.
        places: what the placeholders stand for, but for `{config}`.
        cwd: the folder it works in.
        config: where its settings file is written, where it has one.
    """
    places = {**places, "config": config or ""}
    assert command.argv is not None, "checked when the study was read"
    rest = {name: value for name, value in settings.items() if name not in placed(command)}
    argv: list[str] = []
    for word in command.argv:
        argv += (
            arguments(command, rest)
            if word == template.ARGS
            else [template.fill(word, places, settings)]
        )
    if command.args and template.ARGS not in command.argv:
        argv += arguments(command, rest)
    added = {name: template.fill(text, places, settings) for name, text in command.env.items()}
    file = command.config
    text = "" if file is None else config_text(file, base, rest, places)
    return Delivery(tuple(argv), cwd, added, config if file else None, text)


def placed(command: CommandSettings) -> set[str]:
    """The settings that the study file puts somewhere by name; they go nowhere else."""
    texts = [*(command.argv or ()), *command.env.values()]
    return {path for text in texts for path in template.parameters(text)}


def arguments(command: CommandSettings, settings: Mapping[str, Any]) -> list[str]:
    """The settings as words of the command line."""
    words: list[str] = []
    forms = [command.args] if isinstance(command.args, str) else list(command.args or ())
    for name, value in settings.items():
        if command.flag and isinstance(value, bool):
            words += [forms[0].split("=")[0].replace("{name}", name)] if value else []
            continue
        text = template.written(value)
        words += [form.replace("{name}", name).replace("{value}", text) for form in forms]
    return words


def config_text(
    file: ConfigFile,
    base: Mapping[str, Any],
    settings: Mapping[str, Any],
    places: Mapping[str, Any],
) -> str:
    """The trial's settings file: the base, what is injected, and the trial's own settings."""
    data = laid(base, template.fill_all(file.inject, places, settings), flat=file.flat)
    data = laid(data, settings, flat=file.flat)
    if file.write.endswith(".json"):
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return dialect.dump(data)


def laid(below: Mapping[str, Any], above: Mapping[str, Any], *, flat: bool) -> dict[str, Any]:
    """One mapping over another by dotted paths; with `flat`, by plain names."""
    data = dict(below)
    for path, value in above.items():
        if flat or path in data:
            data[path] = value
            continue
        *groups, leaf = path.split(".")
        at = data
        for group in groups:
            at[group] = dict(dialect.mapping(at.get(group)))
            at = at[group]
        at[leaf] = value
    return data


def visible(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """This process's environment with more laid over it, without some names."""
    return {**{k: v for k, v in os.environ.items() if k not in set(names)}, **environment}
