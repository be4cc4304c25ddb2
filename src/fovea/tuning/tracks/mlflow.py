"""MLflow: a parent run for the study, a child run for each trial."""

from __future__ import annotations

import importlib
import logging
import time
from typing import Any

from filelock import FileLock

from fovea.tuning.tracks.card import Card, End, Point

PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"
STUDY, TRIAL = "fovea.study", "fovea.trial"
LONGEST = 500
"""Letters of a parameter's value that MLflow keeps everywhere."""


class MLflow:
    """The run of one trial."""

    name = "mlflow"

    def __init__(self, card: Card, address: str) -> None:
        """Open it, in place of a former one.

        Args:
            card: the trial.
            address: of the store; `auto` is SQLite in the study's folder.
        """
        client: Any = importlib.import_module("mlflow").MlflowClient
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table it makes
        entities: Any = importlib.import_module("mlflow.entities")
        self._metric, self._param = entities.Metric, entities.Param
        self.card = card
        if address == "auto":
            address = f"sqlite:///{(card.study_folder / 'mlflow.db').absolute()}"
        # One at a time: the first makes the store's tables, the experiment and the parent run.
        with FileLock(card.study_folder / "mlflow.lock"):
            self._client = client(address)
            experiment = self._experiment()
            parent = self._parent(experiment)
            for former in self._found(experiment, f"tags.`{TRIAL}` = '{card.id}'"):
                self._client.delete_run(former)
            tags = {PARENT: parent, STUDY: card.study_id, TRIAL: card.id}
            self._id = self._client.create_run(
                experiment, tags=tags, run_name=card.name
            ).info.run_id
        shown = [(name, str(value)[:LONGEST]) for name, value in card.parameters.items()]
        self._client.log_batch(self._id, params=[self._param(*pair) for pair in shown])

    def take(self, point: Point) -> None:
        """Use the numbers of a step."""
        when = int(point.time * 1000)
        named = dict(point.metrics) | ({} if point.epoch is None else {"epoch": point.epoch})
        found = [self._metric(name, value, when, point.step) for name, value in named.items()]
        self._client.log_batch(self._id, metrics=found)

    def close(self, end: End) -> None:
        """Note the goals' values, the state and why."""
        now = int(time.time() * 1000)
        for goal, value in zip(self.card.goals, end.values, strict=False):
            self._client.log_metric(self._id, f"objective/{goal}", value, now, 0)
        self._client.set_tag(self._id, "state", end.state)
        if end.failure:
            self._client.set_tag(self._id, "failure", end.failure)
        states = {"complete": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED"}
        self._client.set_terminated(self._id, states.get(end.state, "FAILED"))

    def _experiment(self) -> str:
        known = self._client.get_experiment_by_name(self.card.study)
        return known.experiment_id if known else self._client.create_experiment(self.card.study)

    def _parent(self, experiment: str) -> str:
        """The run of the study."""
        query = f"tags.`{STUDY}` = '{self.card.study_id}' and tags.`{TRIAL}` = 'none'"
        for found in self._found(experiment, query):
            return found
        tags = {STUDY: self.card.study_id, TRIAL: "none"}
        made = self._client.create_run(experiment, tags=tags, run_name=self.card.study)
        self._client.set_terminated(made.info.run_id, "FINISHED")
        return made.info.run_id

    def _found(self, experiment: str, query: str) -> list[str]:
        return [run.info.run_id for run in self._client.search_runs([experiment], query)]
