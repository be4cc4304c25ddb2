"""What a study file says under `track`."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting

TRACKERS = ("tensorboard", "wandb", "mlflow")


class WandbTrack(Config):
    """Weights & Biases."""

    mode: Literal["offline", "online", "disabled"] = setting(
        "offline", "offline writes files and asks for no account; `fovea track sync` sends them"
    )
    project: str = setting("fovea", "name of the project", min_length=1)
    entity: str | None = setting(None, "whose project it is")
    tags: tuple[str, ...] = setting((), "tags of every trial, beside its state")


class Track(Config):
    """Where numbers go besides metrics.jsonl."""

    tensorboard: bool = setting(
        True, "event files in each trial's tb/, with a line in the table of hyperparameters"
    )
    wandb: WandbTrack | None = setting(None, "Weights & Biases, `{mode: offline}`")
    mlflow: str | None = setting(
        None, "address of an MLflow store; auto is SQLite in the study's folder", min_length=1
    )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The trackers by name."""
        is_wandb = self.wandb is not None and self.wandb.mode != "disabled"
        given = (self.tensorboard, is_wandb, self.mlflow is not None)
        return tuple(name for name, is_on in zip(TRACKERS, given, strict=True) if is_on)
