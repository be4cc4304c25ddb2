"""Trackers: where numbers and pictures go besides metrics.jsonl, which is the truth.

A tracker follows a run's events in a thread of its own, so that a slow one never holds up the work,
and one that breaks is left out with one warning. Whatever it missed can be made again from the
run's folder: see `replay`. The step is the one axis; `epoch` is a value like others. A `rewind`
makes what a stage logged beyond its checkpoint void.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from fovea import console, dialect
from fovea.errors import BackendError, ConfigError
from fovea.runs.run import Run
from fovea.runs.stage import Event

CAPACITY = 10_000


class Tracker(Protocol):
    """Takes the events of one run. Its methods are called from one thread."""

    name: str

    def take(self, event: Event) -> None:
        """Use an event, or leave it."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


class Tracking:
    """Feeds trackers in the background; handing it an event never waits for one of them."""

    def __init__(
        self,
        trackers: Sequence[Callable[[], Tracker]],
        warn: Callable[[str], None] = console.warn,
    ) -> None:
        self._open = trackers
        self._warn = warn
        self._queue: deque[Event] = deque()
        self._change = threading.Condition()
        self._is_closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Hand over an event. When trackers lag far behind, progress is dropped, metrics never."""
        with self._change:
            if len(self._queue) >= CAPACITY:
                self._make_room()
            self._queue.append(event)
            self._change.notify()

    def close(self, patience_s: float = 60.0) -> None:
        """Let the trackers finish what they were handed."""
        with self._change:
            self._is_closing = True
            self._change.notify()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._warn(
                f"trackers had not finished after {patience_s:.0f} s and were left behind; 'fovea "
                "runs export' makes their records again."
            )

    def _make_room(self) -> None:
        kept = [event for event in self._queue if event["kind"] != "progress"]
        self.dropped += len(self._queue) - len(kept)
        self._queue = deque(kept)

    def _work(self) -> None:
        at_work: list[Tracker] | None = None
        while (event := self._next()) is not None:
            if at_work is None:  # with the first event the run's manifest is there to be read
                at_work = self._opened()
            for tracker in list(at_work):
                if not self._guarded(tracker.name, lambda t=tracker, e=event: t.take(e)):
                    at_work.remove(tracker)
        for tracker in at_work or ():
            self._guarded(tracker.name, tracker.close)

    def _opened(self) -> list[Tracker]:
        found: list[Tracker] = []
        for make in self._open:
            self._guarded("one of them", lambda make=make: found.append(make()))
        return found

    def _guarded(self, name: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001, a tracker's fault is not the run's
            self._warn(
                f"tracking with {name} ended: {type(error).__name__}: {error}. The run goes on; "
                "'fovea runs export' makes the record again."
            )
            return False
        return True

    def _next(self) -> Event | None:
        with self._change:
            while not self._queue and not self._is_closing:
                self._change.wait()
            return self._queue.popleft() if self._queue else None


class TensorBoard:
    """Scalars and pictures, for each stage in its own `tb/`."""

    name = "tensorboard"

    def __init__(self, run: Run) -> None:
        self.run = run
        self._writers: dict[str, Any] = {}
        self._purge: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Use an event, or leave it."""
        stage = event["stage"]
        if event["kind"] == "rewind":
            self._end(stage)
            self._purge[stage] = event["step"] + 1
        elif event["kind"] == "metric":
            for name, value in event["metrics"].items():
                self._writer(stage).add_scalar(name, value, event["step"], event["time"])
            if event["epoch"] is not None:
                self._writer(stage).add_scalar(
                    "epoch", event["epoch"], event["step"], event["time"]
                )
        elif event["kind"] == "picture":
            path = self.run.stage(stage).folder / event["path"]
            self._writer(stage).add_image(
                event["name"], _pixels(path), event["step"], event["time"], dataformats="HWC"
            )
        elif event["kind"] == "state" and stage is not None and event["state"] != "running":
            folder = self.run.stage(stage).folder / "tb"
            for point in points_of(self.run, stage) if not folder.exists() else ():
                self.take(point)  # it was taken over from another run
            self._end(stage)

    def close(self) -> None:
        """Write what is still held back."""
        for stage in list(self._writers):
            self._end(stage)

    def _writer(self, stage: str) -> Any:
        if stage not in self._writers:
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingTypeStubs]

            folder = self.run.stage(stage).folder / "tb"
            self._writers[stage] = SummaryWriter(
                str(folder),
                purge_step=self._purge.pop(stage, None),
                filename_suffix=f".{time.time_ns()}",  # two sessions may begin in one second
            )
        return self._writers[stage]

    def _end(self, stage: str) -> None:
        writer = self._writers.pop(stage, None)
        if writer is not None:
            writer.close()


class Retelling:
    """A tracker that cannot take a step back: when the run does, it is opened anew and told again.

    So is what earlier sessions of the run had told it, which opening anew replaces.
    """

    def __init__(self, name: str, run: Run, history: Sequence[Event]) -> None:
        self.name = name
        self.run = run
        self.history = list(history)
        self._tracker = self._opened()

    def take(self, event: Event) -> None:
        """Use an event, or leave it."""
        if event["kind"] == "rewind":
            self._step_back(event["stage"], event["step"])
            return
        if event["kind"] == "metric":
            self.history.append(event)
        elif event.get("reused") and all(e["stage"] != event["stage"] for e in self.history):
            for point in points_of(self.run, event["stage"]):
                self.take(point)
        self._tracker.take(event)

    def close(self) -> None:
        """Write what is still held back."""
        self._tracker.close()

    def _step_back(self, stage: str, step: int) -> None:
        kept = [e for e in self.history if e["stage"] != stage or e["step"] <= step]
        if len(kept) < len(self.history):
            self._tracker.close()
            self.history = kept
            self._tracker = self._opened()

    def _opened(self) -> Tracker:
        tracker = KINDS[self.name](self.run)
        for event in self.history:
            tracker.take(event)
        return tracker


class WandB:
    """Weights & Biases, offline unless WANDB_MODE says otherwise.

    Offline it has one record a run; opening it anew replaces the former.
    """

    name = "wandb"

    def __init__(self, run: Run, folder: Path | None = None) -> None:
        wandb: Any = importlib.import_module("wandb")

        self.run = run
        folder = folder or run.folder / "trackers"
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        if mode == "offline":
            shutil.rmtree(folder / "wandb", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "fovea"),
            name=run.folder.name,
            config=settings_of(run),
            dir=str(folder),
            mode=mode,
            reinit="create_new",
        )
        for stage in run.stages:
            self._run.define_metric(f"{stage.key}/*", step_metric=f"{stage.key}/step")

    def take(self, event: Event) -> None:
        """Use an event, or leave it."""
        stage = event["stage"]
        if event["kind"] == "metric":
            named = {f"{stage}/{name}": value for name, value in event["metrics"].items()}
            self._run.log(named | {f"{stage}/step": event["step"]})
        elif event["kind"] == "state" and stage is not None:
            for name, value in event.get("scores", {}).items():
                self._run.summary[f"{stage}/{name}"] = value

    def close(self) -> None:
        """Write what is still held back."""
        self._run.finish(exit_code=0 if self.run.manifest["state"] in ("done", "running") else 1)


class MLflow:
    """MLflow, in the store that MLFLOW_TRACKING_URI names, else a file beside the runs.

    Opening it anew deletes the record of a former session.
    """

    name = "mlflow"

    def __init__(self, run: Run) -> None:
        client: Any = importlib.import_module("mlflow").MlflowClient
        self.run = run
        store = f"sqlite:///{run.folder.absolute().parent / 'mlflow.db'}"
        self._client = client(os.environ.get("MLFLOW_TRACKING_URI", store))
        note = run.folder / "trackers" / "mlflow.id"
        if note.is_file():
            self._client.delete_run(note.read_text())
        known = self._client.get_experiment_by_name(run.name)
        experiment = known.experiment_id if known else self._client.create_experiment(run.name)
        self._id = self._client.create_run(experiment, run_name=run.folder.name).info.run_id
        note.parent.mkdir(exist_ok=True)
        note.write_text(self._id)
        for stage, settings in settings_of(run).items():
            for name, value in settings.items():
                self._client.log_param(self._id, f"{stage}.{name}", str(value)[:500])

    def take(self, event: Event) -> None:
        """Use an event, or leave it."""
        if event["kind"] == "metric":
            when = int(event["time"] * 1000)
            for name, value in event["metrics"].items():
                key = f"{event['stage']}/{name}"
                self._client.log_metric(self._id, key, value, when, event["step"])
        elif event["kind"] == "state" and event["stage"] is not None:
            for name, value in event.get("scores", {}).items():
                self._client.log_metric(self._id, f"{event['stage']}/final/{name}", value)

    def close(self) -> None:
        """Write what is still held back."""
        state = {"done": "FINISHED", "running": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(self._id, state.get(self.run.manifest["state"], "KILLED"))


KINDS: dict[str, Callable[[Run], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}
_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}


def check(names: Sequence[str]) -> None:
    """Refuse a tracker that is unknown or not installed, before the work starts.

    Raises:
        ConfigError: there is no such tracker.
        BackendError: its package is missing.
    """
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"'{name}' is not a tracker. Trackers: {', '.join(KINDS)}.")
        if importlib.util.find_spec(_PACKAGES[name]) is None:
            raise BackendError(
                f"tracking with {name} needs the package {_PACKAGES[name]}, which is not there. "
                f"pip install 'fovea-vision[{name}]'."
            )


def trackers(names: Sequence[str], run: Run) -> list[Callable[[], Tracker]]:
    """What opens each tracker on a run that is about to begin or go on."""
    is_begun = (run.folder / "run.json").is_file()
    history = [e for s in run.stages for e in points_of(run, s.key)] if is_begun else []

    def opened(name: str) -> Tracker:
        return TensorBoard(run) if name == TensorBoard.name else Retelling(name, run, history)

    return [lambda name=name: opened(name) for name in names]


def replay(run: Run, name: str) -> None:
    """Make a tracker's record of a run again, from its metrics."""
    check([name])
    if name == TensorBoard.name:
        for stage in run.stages:
            shutil.rmtree(stage.folder / "tb", ignore_errors=True)
    tracker = KINDS[name](run)
    tell_again(run, tracker)
    tracker.close()


def tell_again(run: Run, tracker: Tracker) -> None:
    """Hand a tracker what the run's metrics already hold."""
    for stage in run.stages:
        for event in points_of(run, stage.key):
            tracker.take(event)
        if stage.state == "done":
            final = {"kind": "state", "stage": stage.key, "state": "done", "scores": stage.scores}
            tracker.take(final)


def points_of(run: Run, stage: str) -> list[Event]:
    """The metrics of a stage as the events they once were, without those made void."""
    head = {"kind": "metric", "stage": stage, "epoch": None}
    return [head | point for point in run.metrics(stage)]


def settings_of(run: Run) -> dict[str, dict[str, Any]]:
    """The settings of a run's stages, by their keys."""
    stages = dialect.mapping(dialect.load(run.folder / "config.yaml").data["stages"])
    return {key: dialect.mapping(stage["with"]) for key, stage in stages.items()}


def _pixels(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)
