"""A trainer that reports itself: what it reports to, and where its records go.

The study then keeps its own tracker out of it, so that no trial is listed twice, and tells the
trainer by the environment which group and name are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.tuning.tracks.settings import TRACKERS, Track

if TYPE_CHECKING:
    from fovea.tuning.foreign.command import Command
    from fovea.tuning.target import StageTarget

SETTING = "report_to"
"""As Hugging Face's Trainer calls it, and all that is built on that."""


def reported_by_trainer(
    target: StageTarget | Command, settings: Mapping[str, Any]
) -> frozenset[str]:
    """The trackers that the trainer of a trial reports to itself.

    Args:
        target: of the study.
        settings: of the trial, by path.
    """
    from fovea.tuning.foreign.command import Command

    if not isinstance(target, Command):
        return frozenset()
    said = target.settings
    injected: Any = said.config.inject.get(SETTING) if said.config else None
    value: Any = settings.get(SETTING, injected or target.base.data.get(SETTING))
    argv = list(said.argv or ())
    for at, word in enumerate(argv):
        if word == f"--{SETTING}" and at + 1 < len(argv):
            value = argv[at + 1]
        elif word.startswith(f"--{SETTING}="):
            value = word.partition("=")[2]
    words = value if isinstance(value, list) else str(value or "none").split(",")
    named = {str(word).strip() for word in words}
    return frozenset(TRACKERS) if "all" in named else frozenset(TRACKERS) & named


def environment(track: Track, *, study: str, folder: Path) -> dict[str, str]:
    """What a trainer that reports to W&B or MLflow itself has to know.

    Args:
        track: what the study file says.
        study: its name.
        folder: of the trial.
    """
    added = {
        "WANDB_MODE": track.wandb.mode if track.wandb else "offline",
        "WANDB_RUN_GROUP": study,
        "WANDB_JOB_TYPE": "trial",
        "WANDB_NAME": folder.name.partition("-")[0],
        "WANDB_RUN_ID": folder.name,
        "WANDB_DIR": str(folder),
    }
    if track.wandb:
        added["WANDB_PROJECT"] = track.wandb.project
    if track.mlflow:
        store = f"sqlite:///{(folder.parent.parent / 'mlflow.db').absolute()}"
        added["MLFLOW_TRACKING_URI"] = store if track.mlflow == "auto" else track.mlflow
        added["MLFLOW_EXPERIMENT_NAME"] = study
    return added
