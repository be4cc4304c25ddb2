"""The verbs of `fovea tune`, as they are typed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import ArtifactError, ConfigError
from fovea.tuning.command import main
from fovea.tuning.plan import load
from fovea.tuning.study import Study
from fovea.tuning.verbs import VERBS

StudyFile = Callable[..., Path]
TWO_GOALS: dict[str, Any] = {
    "objective": None,
    "objectives": [{"metric": "val/score"}, {"metric": "train/loss"}],
    "space": {"x": {"float": [-5, 5]}, "steps": {"int": [1, 6]}},
    "enqueue": [{"x": 2.0, "steps": 1}, {"x": 0.0, "steps": 6}],
    "baseline": False,
}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_every_verb_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, about in VERBS.items():
        with pytest.raises(SystemExit) as left:
            main([verb, "--help"])
        assert left.value.code == 0
        assert about.summary.split()[0] in said(capsys)


def test_the_command_line_makes_and_shows_a_study(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(study_file())
    assert main(["plan", path]) == 0
    assert "bayesian" in said(capsys)
    assert not Path("studies").exists()
    assert main([path, "--trials", "2", "search.seed=5"]) == 0
    assert "all 2 trials are done" in said(capsys)
    assert main(["status", "toy"]) == 0
    assert "2 complete" in said(capsys)
    assert main(["enqueue", "studies/toy", "x=2", "depth=3"]) == 0
    assert main(["retry", "studies/toy", "1"]) == 0
    assert main(["studies/toy", "--trials", "4"]) == 0
    said(capsys)
    assert main(["best", "toy", "--pick", "trial:2"]) == 0
    assert "fovea run studies/toy/best.yaml" in said(capsys)
    assert main(["report", "toy", "--light"]) == 0
    assert "<script" not in Path("studies/toy/report.html").read_text()
    with Study.open(Path("studies/toy")) as made:
        assert made.records[2].parameters == {"x": 2.0, "depth": 3}
        assert made.records[3].parameters == made.records[1].parameters
    for name in ("best.yaml", "report.html", "report.json", "trials.csv"):
        assert (Path("studies/toy") / name).is_file()


def test_several_goals_ask_which_trial_is_meant(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(study_file(**TWO_GOALS))]) == 0
    with pytest.raises(ConfigError, match="--pick knee"):
        main(["best", "toy"])
    assert main(["best", "toy", "--pick", "metric:train/loss"]) == 0
    assert "steps=6" in said(capsys)
    assert main(["best", "toy", "--pick", "knee"]) == 0
    for wrong in ("kne", "metric:val/scor", "trial:99"):
        with pytest.raises(ConfigError, match=wrong.partition(":")[2] or wrong):
            main(["best", "toy", "--pick", wrong])


def test_the_best_file_says_where_it_comes_from(study_file: StudyFile) -> None:
    assert main([str(study_file(budget={"trials": 1}))]) == 0
    first = Path("studies/toy/best.yaml").read_text().splitlines()[0]
    assert first.startswith("# toy, trial 0: val/score = ")
    assert first.endswith(time.strftime("%Y-%m-%d"))


def test_leaders_are_confirmed_on_seeds_that_no_trial_had(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"x": {"float": [-5, 5]}, "noise": {"choice": [0.0, 4.0]}}
    path = study_file(
        space=space,
        enqueue=[{"x": 2.0, "noise": 0.0}, {"x": 2.0, "noise": 4.0}],
        baseline=False,
        fixed={"steps": 1},
    )
    assert main([str(path)]) == 0
    said(capsys)
    assert main(["confirm", "toy", "--top", "2", "--seeds", "3"]) == 0
    told = said(capsys)
    assert "on 3 new seeds" in told
    with Study.open(Path("studies/toy")) as study:
        confirmed = study.store.attributes["confirmed"]
        quiet = next(r.number for r in study.records if r.parameters["noise"] == 0.0)
        loud = next(r.number for r in study.records if r.parameters["noise"] == 4.0)
        assert len(study.records) == 3  # what is confirmed is no trial
    assert set(confirmed) <= {str(r) for r in range(3)}
    assert all(one["seeds"] == [1, 2, 3] for one in confirmed.values())
    if str(quiet) in confirmed:
        assert confirmed[str(quiet)]["deviation"] == 0
    if str(loud) in confirmed:
        assert confirmed[str(loud)]["deviation"] > 0
    assert main(["report", "toy"]) == 0
    assert "on 3 new seeds has val/score" in Path("studies/toy/report.html").read_text()


def test_nothing_to_confirm_is_said(study_file: StudyFile) -> None:
    with Study.create(load(study_file())):
        pass
    with pytest.raises(ArtifactError, match="no complete trial to confirm"):
        main(["confirm", "toy"])


def test_an_earlier_study_warms_a_new_one_or_is_believed(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(study_file(study="earlier", budget={"trials": 5}))]) == 0
    with Study.open(Path("studies/earlier")) as study:
        known = study.records
    narrower = {"x": {"float": [-1, 5]}, "depth": {"int": [1, 8]}}
    inside = [record for record in known if record.parameters["x"] >= -1]
    path = str(study_file(space=narrower, budget={"trials": 2}, baseline=False))
    assert main(["import", path, "--from", "earlier", "--prior", "fixed"]) == 0
    assert f"{5 - len(inside)} lie outside" in said(capsys) or len(inside) == 5
    assert main([path]) == 0
    with Study.open(Path("studies/toy")) as study:
        states = [record.state for record in study.records]
        assert states == ["imported"] * len(inside) + ["complete"] * 2
        assert study.best is not None
        assert study.best.state == "complete"
    path = str(study_file(study="warm", space=narrower, budget={"trials": 1}, baseline=False))
    assert main(["import", path, "--from", "studies/earlier", "--top", "2"]) == 0
    assert main([path]) == 0
    ranked = sorted(inside, key=lambda record: -record.values[0])
    with Study.open(Path("studies/warm")) as study:
        assert study.records[0].parameters == ranked[0].parameters
        assert study.records[0].values == ranked[0].values


def test_a_study_of_other_goals_is_not_imported(study_file: StudyFile) -> None:
    assert main([str(study_file(study="earlier", budget={"trials": 1}))]) == 0
    path = study_file(objective={"metric": "train/loss"})
    with pytest.raises(ConfigError, match="looked for max val/score"):
        main(["import", str(path), "--from", "earlier"])


def test_the_doctor_says_what_would_waste_the_trials(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", "/nowhere")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    path = study_file(
        objective={"metric": "test/score", "goal": "max"},
        search={"method": "bayesian", "startup": 10},
        prune={"method": "median", "startup": 5},
        track={"wandb": {"mode": "online"}},
        resources={"workers": 500, "min_free": "1000 TB"},
        trial={"isolation": "inline"},
    )
    assert main(["doctor", str(path)]) == 0
    told = said(capsys)
    for words in (
        "toy.work does not declare the metric test/score",
        "picks the winner on the test split",
        "nothing is ever learnt",
        "nothing is ever pruned",
        "wandb login",
        "500 workers share",
        "no trial would begin",
    ):
        assert words in told
    assert main(["doctor", str(study_file(budget={"trials": 8}))]) == 0
    assert "nothing would waste its trials" in said(capsys)


def test_a_study_at_work_is_stopped_from_another_shell(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study_file(
        fixed={"steps": 400, "pause_s": 0.1}, trial={"isolation": "process"}, baseline=False
    )
    work = subprocess.Popen([sys.executable, "-m", "fovea", "tune", str(path)])
    try:
        _wait(lambda: bool(list(Path("studies/toy/trials").glob("*/metrics.jsonl"))))
        assert main(["stop", "toy", "--wait", "200"]) == 0
        assert "has stopped" in said(capsys)
        assert work.wait(200) == 130
    finally:
        work.kill()
        work.wait()
    with Study.open(Path("studies/toy")) as study:
        assert [r.state for r in study.records] == ["failed", "waiting"]
    assert main(["stop", "toy"]) == 0
    assert "nothing to stop" in said(capsys)


def test_the_dashboard_answers_on_the_loopback(study_file: StudyFile) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard")
    assert main([str(study_file(budget={"trials": 1}))]) == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "fovea", "tune", "dashboard", "toy", "--port", str(port)]
    shown = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/api/studies"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
            listed = json.load(answer)
        assert [one["study_name"] for one in listed["study_summaries"]] == ["toy"]
    finally:
        os.killpg(shown.pid, signal.SIGKILL)
        shown.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def _wait(is_so: Callable[[], bool], patience_s: float = 240.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
