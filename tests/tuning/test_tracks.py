"""Trackers of trials: what TensorBoard, W&B and MLflow read back is what the trials reported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea import dialect
from fovea.errors import BackendError, ConfigError
from fovea.runs.events import encode
from fovea.tuning.plan import load
from fovea.tuning.sources.tensorboard import EventFiles
from fovea.tuning.study import Study
from fovea.tuning.tracks import follow as following
from fovea.tuning.tracks.card import Card, End, Point
from fovea.tuning.tracks.doubles import environment, reported_by_trainer
from fovea.tuning.tracks.follow import Following, Telling, settle, told_of
from fovea.tuning.tracks.settings import Track, WandbTrack
from fovea.tuning.tracks.sync import sync

StudyFile = Callable[..., Path]
SPACE = {"x": {"float": [-5, 5]}, "optimizer.kind": {"choice": ["adam", "sgd"]}}
OFF = {"tensorboard": False}


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(following, "_warned", set())


def ran(path: Path) -> Study:
    plan = load(path)
    study = Study.create(plan)
    study.run(plan)
    return study


def card(folder: Path, number: int = 0) -> Card:
    place = folder / "trials" / f"{number:04d}-abcd"
    place.mkdir(parents=True, exist_ok=True)
    return Card("toy", "abcd", number, place, {"x": 1.5}, ["val/score"])


def points(count: int) -> list[Point]:
    return [Point(step, {"val/score": float(step)}, None, 1e9 + step) for step in range(count)]


# TensorBoard


def test_a_trial_has_its_scalars_and_its_line_in_one_folder(study_file: StudyFile) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard, to read what was written")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    path = study_file(space=SPACE, budget={"trials": 2})
    with ran(path) as study:
        for record in study.records:
            (events,) = (study.trial_folder(record) / "tb").glob("events*")
            read = EventAccumulator(str(events.parent)).Reload()
            series = {event.step: event.value for event in read.Scalars("val/score")}
            assert series == pytest.approx(dict(record.points))
            assert list(series) == sorted(series)
            (final,) = read.Scalars("objective/val/score")
            assert final.value == pytest.approx(record.values[0])
            found = read.summary_metadata
            start = metadata.parse_session_start_info_plugin_data(
                found["_hparams_/session_start_info"].plugin_data.content
            )
            assert start.hparams["x"].number_value == record.parameters["x"]
            assert start.hparams["optimizer.kind"].string_value == "adam" or (
                record.parameters["optimizer.kind"] == "sgd"
            )
            end = metadata.parse_session_end_info_plugin_data(
                found["_hparams_/session_end_info"].plugin_data.content
            )
            assert end.status == 1  # success
        read = EventAccumulator(str(study.folder / "tb")).Reload()
        experiment = metadata.parse_experiment_plugin_data(
            read.summary_metadata["_hparams_/experiment"].plugin_data.content
        )
        assert len(list((study.folder / "tb").glob("events*"))) == 1  # domains once a study
    domains = {info.name: info for info in experiment.hparam_infos}
    assert domains["x"].domain_interval.max_value == 5
    values = [value.string_value for value in domains["optimizer.kind"].domain_discrete.values]
    assert values == ["adam", "sgd"]


def test_a_trainer_that_writes_its_own_scalars_gets_only_its_line(tmp_path: Path) -> None:
    from fovea.tuning.tracks.tensorboard import TensorBoard

    own = card(tmp_path).folder / "tb" / "events.out.tfevents.1.trainer"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"")
    sink = TensorBoard(card(tmp_path), with_points=False)
    for point in points(3):
        sink.take(point)
    sink.close(End("complete", (2.0,)))
    found = list(EventFiles(card(tmp_path).folder, "tb").read(is_over=True))
    assert {name for point in found for name in point.metrics} == {"objective/val/score"}
    assert own.is_file()


# Weights & Biases


def records_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What an offline run of W&B holds by kind, read by W&B itself."""
    (path,) = folder.glob("trackers/wandb/offline-run-*/run-*.wandb")
    words = [sys.executable, "-m", "wandb", "leet", "inspect", str(path), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        found.setdefault(record["type"], []).append(record[record["type"]])
    return found


@pytest.mark.acceptance(8)
def test_each_trial_is_an_offline_run_of_its_own_without_key_or_prompt(
    study_file: StudyFile,
) -> None:
    pytest.importorskip("wandb", minversion="0.31", reason="needs wandb with its reader")
    path = study_file(
        space=SPACE,
        budget={"trials": 2},
        track=OFF | {"wandb": {"project": "toys", "tags": ["night"]}},
    )
    words = [sys.executable, "-m", "fovea", "tune", str(path)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wandb" not in done.stderr
    with Study.open(Path("studies/toy")) as study:
        for record in study.records:
            found = records_of(study.trial_folder(record))
            run = found["run"][0]
            assert (run["project"], run["run_group"], run["job_type"]) == ("toys", "toy", "trial")
            assert (run["display_name"], run["run_id"]) == (f"{record.number:04d}", record.folder)
            assert run["config"]["update"]["x"] == record.parameters["x"]
            assert "night" in run["tags"]
            assert "complete" in found["run"][-1]["tags"]
            _check_series(found, record)
            ended = {"state": "complete", "objective/val/score": record.values[0]}
            assert {k: v for k, v in _summary(found).items() if k in ended} == ended
            assert found["exit"][0].get("exit_code", 0) == 0
            assert told_of(study.trial_folder(record)).keys() == {"wandb"}


def _check_series(found: dict[str, list[dict[str, Any]]], record: Any) -> None:
    """Steps rise for each metric, and each metric is bound to them."""
    lines = [line["item"] for line in found["history"]]
    scores = [(line["step"], line["val/score"]) for line in lines if "val/score" in line]
    assert dict(scores) == dict(record.points)
    for name in ("val/score", "train/loss"):
        steps = [line["step"] for line in lines if name in line]
        assert steps == sorted(steps)
        assert len(set(steps)) == len(steps) > 0
    bound = {metric["name"]: metric.get("step_metric") for metric in found["metric"]}
    assert bound["val/score"] == bound["train/loss"] == "step"


def _summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for part in found["summary"]:
        summary |= part["update"]
    return summary


def test_a_failed_trial_ends_its_run_as_failed(study_file: StudyFile) -> None:
    pytest.importorskip("wandb", minversion="0.31", reason="needs wandb with its reader")
    path = study_file(
        fixed={"fate": "error"},
        budget={"trials": 1, "finished": "any"},
        track=OFF | {"wandb": {}},
    )
    with ran(path) as study:
        found = records_of(study.trial_folder(study.records[0]))
    assert found["exit"][0]["exit_code"] == 1
    assert _summary(found)["failure"] == "data"


# MLflow


# MLflow's own tables use what SQLAlchemy will drop.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trials_are_children_of_the_studys_run(study_file: StudyFile) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs mlflow-skinny")
    path = study_file(space=SPACE, budget={"trials": 2}, track=OFF | {"mlflow": "auto"})
    with ran(path) as study:
        records, folder = study.records, study.folder
        client = mlflow.MlflowClient(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
        experiment = client.get_experiment_by_name("toy")
        runs = client.search_runs([experiment.experiment_id])
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
        assert [run.info.run_name for run in parents] == ["toy"]
        assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
        assert sorted(run.info.run_name for run in children) == ["0000", "0001"]
        for run in children:
            record = records[int(run.info.run_name)]
            series = client.get_metric_history(run.info.run_id, "val/score")
            assert {one.step: one.value for one in series} == dict(record.points)
            assert float(run.data.params["x"]) == record.parameters["x"]
            assert run.data.metrics["objective/val/score"] == record.values[0]
            assert run.info.status == "FINISHED"
        # Told again, a trial replaces its own run and nothing else.
        assert sync(study, load(path), "mlflow", anew=True) == 2
        again = client.search_runs([experiment.experiment_id])
        assert len(again) == 3


# What goes wrong


class Broken:
    def __init__(self, breaks: int) -> None:
        self.left = breaks
        self.taken: list[int] = []
        self.ends: list[str] = []

    def __call__(self) -> Any:
        self.taken = []
        return self

    def take(self, point: Point) -> None:
        if point.step == 2 and self.left:
            self.left -= 1
            raise OSError("the network is gone")
        self.taken.append(point.step)

    def close(self, end: End) -> None:
        self.ends.append(end.state)


def test_a_tracker_that_fails_is_told_all_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WAITS_S", (0.05, 0.05))
    monkeypatch.setattr(following, "LOOK_EVERY_S", 0.02)
    once, always = Broken(1), Broken(10**6)
    mine = card(tmp_path)
    lines = [
        {"time": p.time, "step": p.step, "epoch": None, "metrics": dict(p.metrics)}
        for p in points(5)
    ]
    with Following(mine, [Telling("wandb", once), Telling("mlflow", always)]) as followed:
        with (mine.folder / "metrics.jsonl").open("ab") as file:
            file.writelines(map(encode, lines))
        followed.end(End("complete", (4.0,)))
    settle()
    assert (once.taken, once.ends) == ([0, 1, 2, 3, 4], ["complete"])
    assert always.ends == []
    assert told_of(mine.folder).keys() == {"wandb"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_sink_that_fails_fails_no_trial_and_is_said_once(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="needs mlflow-skinny")
    monkeypatch.setattr(following, "WAITS_S", (0.05,))
    path = study_file(budget={"trials": 2}, track=OFF | {"mlflow": "sqlite:////dev/null/all.db"})
    with ran(path) as study:
        assert [record.state for record in study.records] == ["complete"] * 2
        told = capsys.readouterr().err
        assert told.count("is not whole in mlflow") == 1
        assert "fovea track sync" in told
        assert sync(study, load(study_file(budget={"trials": 2})), "tensorboard") == 2
        assert sync(study, load(study_file(budget={"trials": 2})), "tensorboard") == 0


def test_the_command_tells_what_was_missed(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    from fovea.tuning.tracks.command import main

    with ran(study_file(budget={"trials": 2}, track=OFF)) as study:
        folder = study.folder
    with pytest.raises(ConfigError, match="names no tracker"):
        main(["sync", "toy"])
    assert main(["sync", "toy", "--to", "tensorboard"]) == 0
    assert capsys.readouterr().out.endswith("tensorboard: 2 trials were told\n")
    assert len(list(folder.glob("trials/*/tb/events*"))) == 2


def test_pictures_of_a_stage_stand_in_its_record(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard, to read what was written")
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from fovea.tuning.tracks.tensorboard import TensorBoard

    mine = card(tmp_path)
    path = mine.folder / "run" / "stages" / "fit-1" / "pictures" / "test-000050.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (4, 3), "orange").save(path)
    TensorBoard(mine).close(End("complete", (2.0,)))
    read = EventAccumulator(str(mine.folder / "tb")).Reload()
    (shown,) = read.Images("test")
    assert (shown.step, shown.width, shown.height) == (50, 4, 3)


def test_what_cannot_be_told_is_said(study_file: StudyFile) -> None:
    path = study_file(budget={"trials": 1})
    plan = load(path)
    with Study.create(plan) as study:
        with pytest.raises(BackendError, match="wandb login"):
            sync(study, plan, "wandb", online=True)
        with pytest.raises(ConfigError, match="'comet' is not a tracker"):
            sync(study, plan, "comet")


# Trainers that report themselves


@pytest.mark.parametrize(
    ("argv", "inject", "fixed", "own"),
    [
        (["train", "{config}"], {"report_to": "none"}, {}, set()),
        (["train", "{config}"], {}, {"report_to": "wandb"}, {"wandb"}),
        (["train", "{config}"], {}, {"report_to": ["wandb", "swanlab"]}, {"wandb"}),
        (["train", "{config}"], {}, {"report_to": "all"}, {"tensorboard", "wandb", "mlflow"}),
        (["train", "--report_to", "tensorboard,mlflow"], {}, {}, {"tensorboard", "mlflow"}),
        (["train", "--report_to=wandb"], {}, {}, {"wandb"}),
    ],
)
def test_a_trainers_own_reporting_is_seen(
    tmp_path: Path, argv: list[str], inject: dict[str, Any], fixed: dict[str, Any], own: set[str]
) -> None:
    command = {
        "argv": [sys.executable, *argv],
        "config": {"inject": inject},
        "allow_new": True,
        "metrics": [{"jsonl": "log.jsonl"}],
    }
    data = {
        "study": "own",
        "target": {"command": command},
        "objective": {"metric": "loss", "goal": "min"},
        "space": {"rate": {"float": [0, 1]}},
        "fixed": fixed,
        "budget": {"trials": 1},
    }
    (tmp_path / "study.yaml").write_text(dialect.dump(data))
    plan = load(tmp_path / "study.yaml")
    settings = plan.space.settings(plan.space.complete({"rate": 0.5}))
    assert reported_by_trainer(plan.target, settings) == own
    wanted = Track(wandb=WandbTrack(), mlflow="auto")
    names = {t.name for t in following.tellings(wanted, card(tmp_path), frozenset(own))}
    assert names == {"tensorboard", "wandb", "mlflow"} - (own - {"tensorboard"})


def test_a_trainer_that_reports_itself_is_told_its_group_and_name(tmp_path: Path) -> None:
    track = Track(wandb=WandbTrack(project="toys"), mlflow="auto")
    given = environment(track, study="lf", folder=tmp_path / "studies/lf/trials/0007-a1b2")
    assert given["WANDB_MODE"] == "offline"
    assert given["WANDB_RUN_GROUP"] == "lf"
    assert (given["WANDB_NAME"], given["WANDB_RUN_ID"]) == ("0007", "0007-a1b2")
    assert given["WANDB_DIR"].endswith("0007-a1b2")
    assert given["MLFLOW_TRACKING_URI"].endswith("studies/lf/mlflow.db")
