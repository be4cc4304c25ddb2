"""Several workers in one study: the budget is exact, whoever joins, dies or is stopped."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from fovea.errors import BackendError
from fovea.tuning import heartbeat, owners, queue, trial, worker
from fovea.tuning.ending import Ending, spent
from fovea.tuning.history import Record
from fovea.tuning.outcome import Outcome, excesses
from fovea.tuning.plan import load
from fovea.tuning.study import Study

StudyFile = Callable[..., Path]
HERE = Path("studies/quick")


def run(path: Path, **rest: Any) -> tuple[Ending, list[Record]]:
    plan = load(path)
    with Study.create(plan) as study:
        return study.run(plan, **rest), study.records


def living(folder: Path) -> list[int]:
    """The processes of trials below the folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("FOVEA_TRIAL_DIR", ""):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def until(is_so: Callable[[], bool], patience_s: float = 120.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def tune(*words: str, **more: Any) -> "subprocess.Popen[str]":
    call = [sys.executable, "-m", "fovea", "tune", *words]
    return subprocess.Popen(call, text=True, start_new_session=True, **more)


@pytest.mark.acceptance(5)
def test_three_workers_share_a_budget_and_draw_different_numbers(quick_study: StudyFile) -> None:
    told: list[int] = []
    path = quick_study(budget={"trials": 12}, resources={"workers": 3})
    ending, records = run(path, tell=lambda record: told.append(record.number))
    assert ending == Ending("all 12 trials are done")
    assert [one.state for one in records] == ["complete"] * 12
    assert sorted(told) == list(range(12))
    assert len({one.parameters["x"] for one in records}) == 12
    with Study.open(HERE) as study:
        workers = study.workers
        assert len({one.about["owner"]["pid"] for one in records}) > 1
    assert len(workers) == 3
    assert all(
        {"host", "pid", "born", "boot_id", "gpus", "version", "ended"} <= set(one)
        for one in workers
    )


def test_the_same_trials_are_tried_by_one_worker_and_by_several(quick_study: StudyFile) -> None:
    alone = run(quick_study(study="alone", budget={"trials": 8}))[1]
    several = run(quick_study(study="several", budget={"trials": 8}, resources={"workers": 3}))[1]
    assert [one.parameters for one in alone] == [one.parameters for one in several]


def test_a_grid_is_tried_whole_and_once_by_several_workers(quick_study: StudyFile) -> None:
    grid = {"x": {"float": None, "linspace": [-2, 2, 9]}}
    ending, records = run(
        quick_study(
            space=grid, search={"method": "grid"}, budget={"trials": None}, resources={"workers": 3}
        )
    )
    assert ending == Ending("all combinations are done")
    assert sorted(one.parameters["x"] for one in records) == [-2 + n / 2 for n in range(9)]


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
@pytest.mark.acceptance(5)
def test_workers_of_two_folders_share_a_database(
    quick_study: StudyFile, server: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(server)
    path = quick_study(pause=0.2, storage=url, budget={"trials": 10}, resources={"workers": 2})
    guest: list[Any] = []

    def join(number: int, values: Any) -> None:
        if not guest:
            guest.append(tune("worker", f"quick@{url}", "--folder", "elsewhere"))

    ending, records = run(path, begin=join)
    assert guest[0].wait(120) == 0
    assert ending == Ending("all 10 trials are done")
    states = Counter(one.state for one in records)
    assert states["complete"] == 10
    assert states["running"] == 0
    with Study.open(HERE) as study:
        assert Counter(one.state for one in study.records)["complete"] == 10
        assert len(study.workers) == 3


def test_a_worker_that_dies_is_replaced_and_its_trial_is_tried_again(
    quick_study: StudyFile, tmp_path: Path
) -> None:
    path = quick_study(pause=1.0, budget={"trials": 4}, resources={"workers": 2})
    killed: list[int] = []

    def kill(number: int, values: Any) -> None:
        if killed:
            return
        with Study.open(HERE) as study:
            record = study.records[number]
            if pid := record.about.get("owner", {}).get("pid"):
                os.kill(pid, signal.SIGKILL)
                killed.append(number)

    ending, records = run(path, begin=kill)
    assert ending == Ending("all 4 trials are done")
    lost = [one for one in records if one.failure == "worker_lost"]
    assert [one.number for one in lost] == killed
    again = next(one for one in records if one.retry_of == lost[0].number)
    assert (again.state, again.parameters) == ("complete", lost[0].parameters)
    assert Counter(one.state for one in records) == {"complete": 4, "failed": 1}
    assert living(tmp_path) == []


def test_when_the_controller_dies_its_workers_die_and_a_new_one_goes_on(
    quick_study: StudyFile, tmp_path: Path
) -> None:
    path = quick_study(pause=1.0, budget={"trials": 5}, resources={"workers": 2})
    process = tune(str(path))
    until(lambda: len(list((tmp_path / HERE).glob("trials/*/log.jsonl"))) >= 2)
    with Study.open(HERE) as study:
        assert study.is_at_work
        pids = [one["pid"] for one in study.workers]
    process.kill()
    process.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    ending, records = run(path)
    assert ending == Ending("all 5 trials are done")
    assert Counter(one.state for one in records)["complete"] == 5
    assert living(tmp_path) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_once_it_keeps_its_trials_for_later(
    quick_study: StudyFile, tmp_path: Path, workers: int
) -> None:
    path = quick_study(pause=30.0, budget={"trials": 3}, resources={"workers": workers})
    process = tune(str(path))
    until(lambda: len(list((tmp_path / HERE).glob("trials/*/log.jsonl"))) == workers)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (130, 143)
    assert living(tmp_path) == []
    with Study.open(HERE) as study:
        states = Counter((one.state, one.failure) for one in study.records)
    assert states == {("failed", "interrupted"): workers, ("waiting", ""): workers}


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_twice_it_ends_at_once_and_keeps_its_trials_too(
    quick_study: StudyFile, tmp_path: Path, workers: int
) -> None:
    path = quick_study(
        pause=60.0, budget={"trials": 3}, resources={"workers": workers}, trial={"grace": 60}
    )
    script = (tmp_path / "quick.py").read_text()
    (tmp_path / "quick.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + script
    )
    process = tune(str(path))
    until(lambda: len(list((tmp_path / HERE).glob("trials/*/log.jsonl"))) == workers)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    until(lambda: living(tmp_path) == [])
    with Study.open(HERE) as study:
        states = Counter((one.state, one.failure) for one in study.records)
    assert states == {("failed", "interrupted"): workers, ("waiting", ""): workers}


def test_a_trial_that_ended_unheard_is_told_and_not_run_again(
    quick_study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the end of a trial and its word to the storage loses nothing."""
    plan = load(quick_study(budget={"trials": 2}))

    class Killed(BaseException):
        pass

    def die(self: Any, number: int, outcome: Outcome, about: Any) -> bool:
        raise Killed

    with Study.create(plan) as study, monkeypatch.context() as patch:
        patch.setattr("fovea.tuning.storage.Storage.tell", die)
        with pytest.raises(Killed):
            study.run(plan)
    with Study.create(plan) as study:
        gone = owners.this_process() | {"pid": 2**22 - 1, "born": 1.0}
        about = study.records[0].about
        study.store.describe(0, {**about, "owner": gone})
        assert study.run(plan) == Ending("all 2 trials are done")
        first = study.records[0]
    assert (first.state, len(study_folders())) == ("complete", 2)
    assert first.values[0] == pytest.approx((first.parameters["x"] - 2) ** 2)


def study_folders() -> list[Path]:
    return list((HERE / "trials").iterdir())


def test_a_seed_each_gives_a_mean_and_a_deviation(study_file: StudyFile) -> None:
    path = study_file(seeds=[3, 5, 9], budget={"trials": 2}, fixed={"noise": 0.5}, baseline=False)
    _, records = run(path)
    for record in records:
        assert record.about["seeds"] == [3, 5, 9]
        assert float(record.about["spread"]["val/score"]) > 0
        folder = Path("studies/toy/trials") / record.folder
        told = [
            json.loads(path.read_text())["values"][0]
            for path in [folder / "scores.json", *sorted(folder.glob("seed-*/scores.json"))]
        ]
        assert len(set(told)) == 3
        assert record.values[0] == pytest.approx(sum(told) / 3)


def test_seeds_reach_a_command_by_its_words(quick_study: StudyFile, tmp_path: Path) -> None:
    path = quick_study(seeds=2, budget={"trials": 1})
    from fovea.errors import ConfigError

    with pytest.raises(ConfigError, match="no word of the command says"):
        load(path)
    (tmp_path / "seeded.sh").write_text('echo "{\\"loss\\": $1}" > "$FOVEA_TRIAL_DIR/end.json"\n')
    command = {
        "argv": ["sh", "seeded.sh", "{seed}", "{param:x}"],
        "metrics": [{"json": "end.json", "final": True}],
    }
    path = quick_study(seeds=[4, 6], budget={"trials": 1}, target={"command": command})
    _, (record,) = run(path)
    assert record.values == (5.0,)
    assert float(record.about["spread"]["loss"]) == pytest.approx(2**0.5, rel=1e-5)


def test_no_trial_begins_while_the_disk_is_full(
    quick_study: StudyFile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(quick_study(resources={"min_free": "900 TB"}, budget={"trials": 1}))
    with Study.create(plan) as study:
        began = time.monotonic()
        ending = study.run(plan, asked_to_stop=lambda: time.monotonic() - began > 3)
        assert (ending.exit_code, study.records) == (130, [])
        assert "no new trial begins until there is room" in caplog.text
    plan = load(quick_study(resources={"min_free": "1 kB"}, budget={"trials": 1}))
    with Study.create(plan) as study:
        assert study.run(plan) == Ending("all 1 trials are done")


def test_a_disk_that_fills_up_fails_the_trial_and_not_the_study(
    quick_study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fovea.runs.durable import disk_full

    whole, failed = trial.write_json, list[Path]()

    def write(path: Path, value: Any, **rest: Any) -> None:
        if path.name == "result.json" and not failed:
            failed.append(path)
            raise disk_full("result.json", path)
        whole(path, value, **rest)

    monkeypatch.setattr(trial, "write_json", write)
    ending, records = run(quick_study(budget={"trials": 2}))
    assert ending == Ending("all 2 trials are done")
    assert [one.failure for one in records] == ["disk", "", ""]
    assert "The disk is full" in records[0].message


def test_a_command_that_vanishes_ends_the_study_and_costs_no_trial(
    quick_study: StudyFile, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text('#!/bin/sh\necho "{\\"loss\\": 1}" > "$FOVEA_TRIAL_DIR/end.json"\nrm "$0"\n')
    tool.chmod(0o755)
    command = {"argv": [str(tool), "{param:x}"], "metrics": [{"json": "end.json", "final": True}]}
    plan = load(quick_study(target={"command": command}, budget={"trials": 3}))
    with Study.create(plan) as study:
        with pytest.raises(BackendError, match="cannot be started"):
            study.run(plan)
        states = [(one.state, one.failure) for one in study.records]
    assert states == [("complete", ""), ("failed", "interrupted"), ("waiting", "")]


def record(number: int, state: str, **about: Any) -> Record:
    return Record(number, state, (), {}, {}, about, 0.0, None)


def test_of_two_that_asked_at_once_the_higher_number_steps_back(quick_study: StudyFile) -> None:
    file = load(quick_study(budget={"trials": 3})).file
    states = ["complete", "failed", "running", "waiting", "running", "running"]
    records = [record(n, state) for n, state in enumerate(states)]
    assert [queue.is_surplus(file, records, n) for n in range(6)] == [False] * 4 + [True] * 2
    assert queue.is_full(file, records)
    assert not queue.is_full(file, records[:4])


def test_a_study_whose_trials_are_always_lost_comes_to_an_end(quick_study: StudyFile) -> None:
    file = load(quick_study(trial={"abort_after": 2, "retries": {"stale": 1}})).file
    lost = [record(n, "failed", failure="worker_lost", ended=n + 1.0) for n in range(4)]
    ending = spent(file, lost, [])
    assert ending is not None
    assert (ending.exit_code, "lost their process" in ending.reason) == (1, True)
    assert spent(file, [*lost[:3], record(3, "complete", ended=9.0)], []) is None


def test_one_that_steps_back_waits_and_is_run_when_there_is_room(
    quick_study: StudyFile, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(quick_study(storage=postgres_url, budget={"trials": 2}))
    looks: list[int] = []

    def first_seems_free(file: Any, records: Any) -> bool:
        looks.append(len(looks))
        return len(looks) > 3 and real(file, records)

    real = queue.is_full
    with Study.create(plan) as study:
        with heartbeat.quiet():
            other = study.store.study.ask()  # another machine's, at work
        study.store.describe(other.number, {"owner": {"host": "elsewhere"}})
        monkeypatch.setattr(queue, "is_full", first_seems_free)
        monkeypatch.setattr(worker, "LONGEST_REST_S", 0.3)
        began = time.monotonic()
        ending = study.run(plan, asked_to_stop=lambda: time.monotonic() - began > 4)
        assert ending.exit_code == 130
        states = [one.state for one in study.records]
        assert states == ["running", "complete", "waiting"]
        study.store.study.tell(other, state=_fail())
        assert study.run(plan) == Ending("all 2 trials are done")
        assert study.records[2].state == "complete"


def test_the_trial_of_a_machine_that_fell_silent_is_tried_again(
    quick_study: StudyFile, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "options", functools.partial(heartbeat.options, 1, 1))
    plan = load(quick_study(storage=postgres_url, budget={"trials": 2}))
    with Study.create(plan) as study:
        with heartbeat.quiet():
            other = study.store.study.ask()
        plan.space.suggest(other)
        study.store.describe(other.number, {"owner": {"host": "elsewhere"}, "index": 0})
        with study.store.alive(other.number):
            time.sleep(0.5)
        time.sleep(2.5)
        assert study.run(plan) == Ending("all 2 trials are done")
        records = study.records
    assert [one.state for one in records] == ["failed", "complete", "complete"]
    assert records[0].failure == "worker_lost"
    assert "not heard of" in records[0].message
    again = next(one for one in records if one.retry_of == 0)
    assert again.parameters == records[0].parameters


def test_a_wish_to_stop_reaches_workers_of_other_machines(quick_study: StudyFile) -> None:
    plan = load(quick_study(budget={"trials": 5}))
    with Study.create(plan) as study:

        def stop(record: Record) -> None:
            study.store.note("stop", time.time())

        assert study.run(plan, tell=stop).exit_code == 130
        assert len([one for one in study.records if one.state == "complete"]) == 1
        assert study.run(plan) == Ending("all 5 trials are done")


def test_memory_that_ran_out_breaks_the_constraint_on_memory(quick_study: StudyFile) -> None:
    path = quick_study(
        constraints=[{"metric": "mem/peak_gb", "max": 4}, {"metric": "loss", "max": 1}]
    )
    file = load(path).file
    assert excesses(file, Outcome("failed", failure="oom")) == {"mem/peak_gb": 1.0}
    measured = Outcome("failed", failure="oom", metrics={"mem/peak_gb": 6.5})
    assert excesses(file, measured) == {"mem/peak_gb": 2.5}
    assert excesses(file, Outcome("failed", failure="error")) == {}
    done = Outcome("complete", (0.5,), metrics={"mem/peak_gb": 3, "loss": 0.5})
    assert excesses(file, done) == {"mem/peak_gb": -1, "loss": -0.5}


def _fail() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def test_who_is_gone_is_known_of_this_machine_alone() -> None:
    me = owners.this_process()
    assert not owners.is_gone(me, on_one_machine=True)
    assert owners.is_gone(me | {"born": 1.0}, on_one_machine=False)
    assert owners.is_gone(me | {"pid": 2**22 - 1}, on_one_machine=False)
    elsewhere = me | {"host": "elsewhere", "pid": 2**22 - 1}
    assert not owners.is_gone(elsewhere, on_one_machine=False)
    restarted = me | {"boot_id": "another"}
    assert owners.is_gone(restarted, on_one_machine=True)
    assert not owners.is_gone(restarted, on_one_machine=False)
