"""The best trial of a foreign trainer: its settings file, and the command that calls it.

Both stand by themselves: what the trial wrote into its own folder goes to a new one, so that no
trainer goes on from the trial's checkpoints and does nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fovea.errors import ArtifactError
from fovea.runs.durable import write_text
from fovea.tuning.definition import read
from fovea.tuning.foreign.command import Command


def write(study: Path, trial: Path, path: Path, head: list[str]) -> str:
    """Write a trial's settings file to `path`, and beside it a script, `best.sh`.

    Args:
        study: the folder of the study; its study.yaml has all paths whole.
        trial: the folder of the trial.
        path: of the settings file; where the command wants JSON, it ends in .json.
        head: lines that say where it comes from.

    Returns:
        The command that runs it.

    Raises:
        ArtifactError: the trial's folder is gone.
    """
    if not (trial / "trial.json").is_file():
        raise ArtifactError(
            f"{trial} has no trial.json: the folder was removed, or it never began."
        )
    file = read(study / "study.yaml")
    assert file.target.command is not None, "asked only of commands"
    about: dict[str, Any] = json.loads((trial / "trial.json").read_text(encoding="utf-8"))
    command = Command.read(file.target.command, path.parent)
    out = path.absolute().with_suffix("")
    places = command.places(study=file.study, number=about["number"], folder=out)
    config = settings_file(command, path)
    call = command.delivery(about["settings"], places, config.absolute())
    script = path.absolute().with_suffix(".sh")
    if call.text:
        is_json = config.suffix == ".json"
        write_text(config, call.text if is_json else "\n".join([*head, call.text]))
    lines = ["#!/bin/sh", *head, f"mkdir -p '{out}'", call.line()]
    write_text(script, "\n".join(lines) + "\n")
    return f"sh {script}"


def settings_file(command: Command, path: Path) -> Path:
    """Where the settings file goes: JSON where the command wants JSON."""
    wanted = command.settings.config
    return path.with_suffix(".json") if wanted and wanted.write.endswith(".json") else path
