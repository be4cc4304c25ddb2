"""Trackers: they see every metric, never hold up the work, and can be told again."""

import struct
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import BackendError, ConfigError
from fovea.runs import tracking
from fovea.runs.recipe import Recipe
from fovea.runs.run import Run, execute
from fovea.runs.stage import Event
from fovea.runs.tracking import Tracking


class Listener:
    """Keeps what it is told; may wait, or break."""

    name = "listener"

    def __init__(self, gate: threading.Event | None = None, breaks_at: int = -1) -> None:
        self.seen: list[Event] = []
        self.is_closed = False
        self.gate = gate
        self.breaks_at = breaks_at

    def take(self, event: Event) -> None:
        if self.gate:
            self.gate.wait(120)
        if len(self.seen) == self.breaks_at:
            raise ConnectionError("no route")
        self.seen.append(event)

    def close(self) -> None:
        self.is_closed = True


def metric(step: int) -> Event:
    return {"kind": "metric", "stage": "fit", "step": step, "epoch": None, "metrics": {}}


def test_a_tracker_sees_all_events_in_order() -> None:
    listener = Listener()
    tracks = Tracking([lambda: listener])
    for step in range(100):
        tracks.put(metric(step))
    tracks.close()
    assert [event["step"] for event in listener.seen] == list(range(100))
    assert listener.is_closed


def test_a_tracker_that_breaks_is_left_out_with_one_warning() -> None:
    bad, good, warnings = Listener(breaks_at=3), Listener(), list[str]()
    tracks = Tracking([lambda: bad, lambda: good], warn=warnings.append)
    for step in range(10):
        tracks.put(metric(step))
    tracks.close()
    assert len(bad.seen) == 3
    assert len(good.seen) == 10
    (said,) = warnings
    assert "listener ended: ConnectionError: no route. The run goes on" in said


def test_a_tracker_that_cannot_be_opened_is_left_out_too() -> None:
    def closed() -> Listener:
        raise PermissionError("not logged in")

    good, warnings = Listener(), list[str]()
    tracks = Tracking([closed, lambda: good], warn=warnings.append)
    tracks.put(metric(1))
    tracks.close()
    assert len(good.seen) == 1
    assert len(warnings) == 1


def test_when_a_tracker_lags_progress_is_dropped_and_metrics_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking, "CAPACITY", 20)
    gate = threading.Event()
    slow = Listener(gate)
    tracks = Tracking([lambda: slow])
    for step in range(50):
        tracks.put({"kind": "progress", "stage": "fit", "done": step, "total": 50})
        tracks.put(metric(step))
    gate.set()
    tracks.close()
    steps = [event["step"] for event in slow.seen if event["kind"] == "metric"]
    assert steps == list(range(50))
    assert tracks.dropped > 0


def test_an_unknown_or_missing_tracker_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="'tensorbord' is not a tracker"):
        tracking.check(["tensorbord"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"fovea-vision\[wandb\]"):
        tracking.check(["wandb"])


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard draws: it drops the points from the step on at which a session starts."""
    from tensorboardX.proto.event_pb2 import Event as Record
    from tensorboardX.proto.event_pb2 import SessionLog

    curves: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.out.tfevents*"), key=lambda p: p.stat().st_mtime_ns):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            record = Record.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            if record.session_log.status == SessionLog.START:
                for name, points in curves.items():
                    curves[name] = [p for p in points if p[0] < record.step]
            for value in record.summary.value:
                points = curves.setdefault(value.tag, [])
                points.append((record.step, round(value.simple_value, 5)))
    return curves


def run_of(steps: int) -> Recipe:
    return Recipe.single("toy_stages:COUNT", {"steps": steps, "every": 5})


def interrupted_then_finished(root: Path, *, track: list[str]) -> Run:
    recipe = run_of(12)
    seen: list[Event] = []

    def stop() -> bool:
        return sum(event["kind"] == "metric" for event in seen) >= 8

    options: dict[str, Any] = {"root": root, "isolation": "inline", "track": track}
    run = execute(recipe, watch=seen.append, asked_to_stop=stop, **options)
    assert run.state == "interrupted"
    return execute(recipe, **options)


def test_tensorboard_files_are_written_beside_each_stage(tmp_path: Path) -> None:
    run = interrupted_then_finished(tmp_path, track=["tensorboard"])
    files = list((run.stage("count").folder / "tb").glob("events.out.tfevents*"))
    assert len(files) == 2, "one for each session"
    assert all(file.stat().st_size > 100 for file in files)


def test_tensorboard_draws_one_curve_after_a_resume(tmp_path: Path) -> None:
    run = interrupted_then_finished(tmp_path, track=["tensorboard"])
    drawn = scalars(run.stage("count").folder / "tb")["train/value"]
    true = [(p["step"], round(p["metrics"]["train/value"], 5)) for p in run.metrics("count")]
    assert drawn == true


class FakeMlflow:
    """Stands for MlflowClient, and keeps what it is told."""

    told: list[tuple[Any, ...]]

    def __init__(self, uri: str) -> None:
        FakeMlflow.told = [("uri", uri)]

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return "1"

    def create_run(self, experiment: str, run_name: str) -> Any:
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))

    def log_param(self, run: str, name: str, value: str) -> None:
        self.told.append(("param", name, value))

    def log_metric(self, run: str, name: str, value: float, *when: int) -> None:
        self.told.append(("metric", name, *when[1:]))

    def delete_run(self, run: str) -> None:
        self.told.append(("delete", run))

    def set_terminated(self, run: str, state: str) -> None:
        self.told.append(("end", state))


def test_mlflow_is_told_settings_points_and_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("mlflow")
    module.MlflowClient = FakeMlflow  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setattr(tracking, "check", lambda names: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///somewhere.db")
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 3})
    execute(recipe, root=tmp_path, isolation="inline", track=["mlflow"])
    told = FakeMlflow.told
    assert told[0] == ("uri", "sqlite:///somewhere.db")
    assert ("param", "count.steps", "3") in told
    assert [t for t in told if t[:2] == ("metric", "count/train/value")] == [
        ("metric", "count/train/value", step) for step in (1, 2, 3)
    ]
    assert told[-1] == ("end", "FINISHED")


def test_a_tracker_that_cannot_step_back_has_each_point_once_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Listener] = []

    def make(run: Run) -> Listener:
        opened.append(Listener())
        return opened[-1]

    monkeypatch.setitem(tracking.KINDS, "mlflow", make)
    monkeypatch.setattr(tracking, "check", lambda names: None)
    run = interrupted_then_finished(tmp_path, track=["mlflow"])
    again = execute(run_of(12), root=tmp_path, isolation="inline", track=["mlflow"])
    for listener, last in ((opened[0], 8), (opened[-2], 12), (opened[-1], 12)):
        steps = [event["step"] for event in listener.seen if event["kind"] == "metric"]
        assert steps == list(range(1, last + 1))
    assert again.folder != run.folder


def test_what_is_told_again_equals_what_was_told(tmp_path: Path) -> None:
    run = interrupted_then_finished(tmp_path, track=[])
    listener = Listener()
    tracking.tell_again(run, listener)
    steps = [event["step"] for event in listener.seen if event["kind"] == "metric"]
    assert steps == list(range(1, 13))
    assert listener.seen[-1]["scores"] == run.scores("count")
