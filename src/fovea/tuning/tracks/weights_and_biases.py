"""Weights & Biases: a run a trial, in the group of its study, offline unless asked.

Offline a run cannot be gone on with: a second one of the same id begins at step 0 again. So a trial
that is told anew gets a new record in the former's place.
"""

from __future__ import annotations

import importlib
import shutil
from typing import Any

from fovea.tuning.tracks.card import Card, End, Point
from fovea.tuning.tracks.settings import WandbTrack


class WandB:
    """The run of one trial."""

    name = "wandb"

    def __init__(self, card: Card, wanted: WandbTrack) -> None:
        """Open it; offline in place of a former one."""
        wandb: Any = importlib.import_module("wandb")
        self.card = card
        if wanted.mode == "offline":
            shutil.rmtree(card.records / "wandb", ignore_errors=True)
        card.records.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=wanted.project,
            entity=wanted.entity,
            id=card.id,
            name=card.name,
            group=card.study,
            job_type="trial",
            tags=[*wanted.tags, *(["base"] if card.is_baseline else [])],
            config=dict(card.parameters),
            dir=str(card.records),
            mode=wanted.mode,
            reinit="create_new",
            # This process's own console, packages and processor say nothing of the trial, and its
            # command line may hold the address of a storage.
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                x_disable_stats=True,
                x_disable_meta=True,
                x_save_requirements=False,
            ),
        )
        self._run.define_metric("step", hidden=True)
        self._known: set[str] = set()

    def take(self, point: Point) -> None:
        """Use the numbers of a step; `step` is a value here, so that none comes too late."""
        named = dict(point.metrics)
        if point.epoch is not None:
            named["epoch"] = point.epoch
        for name in named.keys() - self._known:
            self._run.define_metric(name, step_metric="step")
            self._known.add(name)
        self._run.log(named | {"step": point.step})

    def close(self, end: End) -> None:
        """Note the goals' values, the state and why; end with the trial's exit code."""
        for goal, value in zip(self.card.goals, end.values, strict=False):
            self._run.summary[f"objective/{goal}"] = value
        self._run.summary.update(
            {"state": end.state, "failure": end.failure, "seconds": end.seconds}
        )
        self._run.tags = (*(self._run.tags or ()), end.state)
        self._run.finish(exit_code=end.exit_code)
