import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from fovea import dialect
from fovea.errors import BusyError, ConfigError
from fovea.runs.recipe import load as load_recipe
from fovea.runs.run import execute
from fovea.tuning import held
from fovea.tuning.command import write_best
from fovea.tuning.plan import load
from fovea.tuning.study import Ending, Study

StudyFile = Callable[..., Path]
GRID = {
    "optimizer.kind": {"choice": ["adam", "sgd"]},
    "optimizer.momentum": {"linspace": [0, 0.8, 3], "when": "optimizer.kind == 'sgd'"},
    "depth": {"int": [2, 3]},
}


def run(path: Path, folder: Path | None = None, **rest: Any) -> tuple[Ending, list[Any]]:
    plan = load(path)
    with Study.create(plan, folder) as study:
        ending = study.run(plan, **rest)
        return ending, study.records


@pytest.mark.parametrize(
    "method",
    ["random", "quasirandom", "bayesian", "gp", "cmaes", "evolution", "grid", "auto"],
)
def test_every_method_runs_three_trials(study_file: StudyFile, method: str) -> None:
    space = {"x": {"linspace": [-2, 2, 5]}, "depth": {"int": [1, 4]}}
    path = study_file(
        search={"method": method, "startup": 1, "seed": 3}, space=space, baseline=False
    )
    ending, records = run(path)
    assert ending == Ending("all 3 trials are done")
    assert [record.state for record in records] == ["complete"] * 3
    assert len({tuple(record.parameters.items()) for record in records}) == 3


@pytest.mark.acceptance(2)
def test_one_worker_and_one_seed_give_the_same_trials(
    study_file: StudyFile, tmp_path: Path
) -> None:
    path = study_file(budget={"trials": 6})
    first = run(path, tmp_path / "a")[1]
    second = run(path, tmp_path / "b")[1]
    assert [r.parameters for r in first] == [r.parameters for r in second]
    assert [r.values for r in first] == [r.values for r in second]
    assert first[0].is_baseline
    other = run(study_file(budget={"trials": 6}, search={"seed": 8, "startup": 4}), tmp_path / "c")[
        1
    ]
    assert first[1].parameters != other[1].parameters


@pytest.mark.acceptance(2)
def test_bayesian_search_comes_near_the_best_settings(study_file: StudyFile) -> None:
    path = study_file(budget={"trials": 25}, fixed={"steps": 1})
    _, records = run(path)
    assert max(record.values[0] for record in records) > 30.8  # at best 31: x = 2, depth = 3


@pytest.mark.acceptance(2)
def test_a_conditional_grid_is_tried_whole_and_once(study_file: StudyFile) -> None:
    path = study_file(space=GRID, search={"method": "grid"}, budget={}, baseline=False)
    ending, records = run(path)
    assert ending == Ending("all combinations are done")
    assert len(records) == 8
    assert len({tuple(sorted(record.parameters.items())) for record in records}) == 8
    assert run(path)[1] == records


def test_the_budget_counts_over_all_starts(study_file: StudyFile) -> None:
    assert len(run(study_file())[1]) == 3
    assert len(run(study_file(budget={"trials": 5}))[1]) == 5
    assert len(run(study_file(budget={"trials": 5}))[1]) == 5


def test_pruning_stops_the_process_of_a_trial_that_lags(study_file: StudyFile) -> None:
    path = study_file(
        fixed={"steps": 40, "pause_s": 0.1},
        space={"x": {"float": [-9, 9]}},
        prune={"method": "threshold", "lower": -1},
        enqueue=[{"x": -9.0}],
        baseline=False,
        budget={"trials": 1},
        trial={"isolation": "process"},
    )
    ending, (record,) = run(path)
    assert record.state == "pruned"
    assert record.failure == "pruned"
    assert len(record.points) < 40
    assert ending.exit_code == 1  # no trial is complete
    (run_folder,) = Path("studies/toy/trials").glob("*/run")
    assert json.loads((run_folder / "run.json").read_text())["state"] == "interrupted"
    note = json.loads((run_folder / "run.json").read_text())
    assert _processes(note["token"]) == []


def test_a_median_rule_prunes_below_the_others(study_file: StudyFile) -> None:
    path = study_file(
        prune={"method": "median", "startup": 2},
        enqueue=[{"x": 2.0, "depth": 3}, {"x": 2.1, "depth": 3}, {"x": -5.0, "depth": 8}],
        baseline=False,
    )
    states = [record.state for record in run(path)[1]]
    assert states == ["complete", "complete", "pruned"]


@pytest.mark.parametrize(
    ("fate", "nan", "state", "failure"),
    [
        ("nan", "prune", "pruned", "nan"),
        ("nan", "ignore", "failed", "nan"),
        ("error", "prune", "failed", "data"),
        ("silent", "prune", "failed", "no_metric"),
        ("memory", "prune", "failed", "oom"),
    ],
)
def test_a_failure_is_never_a_number(
    study_file: StudyFile, fate: str, nan: str, state: str, failure: str
) -> None:
    path = study_file(
        fixed={"fate": fate},
        prune={"method": "none", "nan": nan},
        trial={"isolation": "inline", "abort_after": 2},
    )
    ending, records = run(path)
    assert (records[0].state, records[0].failure) == (state, failure)
    assert records[0].values == ()
    assert ending.exit_code == 1
    if failure == "no_metric":
        assert "Metrics seen: other" in ending.reason


def test_a_trial_is_retried_as_often_as_the_study_says(study_file: StudyFile) -> None:
    path = study_file(
        fixed={"fate": "error"},
        trial={"isolation": "inline", "abort_after": 3, "retries": {"error": 1}},
        baseline=False,
    )
    records = run(path)[1]
    assert [record.retry_of for record in records[:3]] == [None, 0, None]
    assert records[0].parameters == records[1].parameters != records[2].parameters
    assert records[0].folder == records[1].folder


def test_several_goals_have_a_front_and_constraints_keep_trials_out(
    study_file: StudyFile,
) -> None:
    path = study_file(
        objective=None,
        objectives=[{"metric": "val/score"}, {"metric": "train/loss"}],
        constraints=[{"metric": "val/score", "max": 28}],
        search={"method": "evolution", "options": {"population": 4}},
        space={"x": {"float": [-5, 5]}, "steps": {"int": [1, 6]}},
        budget={"trials": 6},
    )
    ending, records = run(path)
    assert ending.exit_code == 0
    assert all(len(record.values) == 2 for record in records)
    for record in records:
        assert record.is_feasible == (record.values[0] <= 28)
    assert any(not record.is_feasible for record in records)


def test_another_goal_or_space_under_the_same_name_is_refused(study_file: StudyFile) -> None:
    run(study_file())
    with pytest.raises(ConfigError) as caught:
        run(study_file(space={"x": {"float": [-5, 4]}, "depth": {"int": [1, 8]}}))
    assert "was -5 to 5, is now -5 to 4" in str(caught.value)
    plan = load(study_file(space={"x": {"float": [-5, 4]}, "depth": {"int": [1, 8]}}))
    with Study.create(plan, amend=True) as study:
        assert len(study.records) == 3


def test_a_second_process_is_turned_away(study_file: StudyFile) -> None:
    path = study_file()
    run(path)
    with held.held(Path("studies/toy")), pytest.raises(BusyError, match="works in studies/toy"):
        run(path)


def test_when_asked_to_stop_the_trial_is_kept_and_goes_on_later(study_file: StudyFile) -> None:
    path = study_file(fixed={"steps": 6, "pause_s": 0.02}, baseline=False)
    looks = iter(range(10**6))
    ending, records = run(path, asked_to_stop=lambda: next(looks) > 6)
    assert ending.exit_code == 130
    assert [record.state for record in records] == ["failed", "waiting"]
    ending, after = run(path)
    assert ending.exit_code == 0
    assert after[1].parameters == records[0].parameters
    assert after[1].folder == after[0].folder
    events = (Path("studies/toy/trials") / after[1].folder / "run/events.jsonl").read_text()
    assert '"rewind"' in events
    assert sorted(after[1].points) == [1, 2, 3, 4, 5, 6]


@pytest.mark.acceptance(7)
def test_the_best_trial_is_a_recipe_that_runs(study_file: StudyFile, tmp_path: Path) -> None:
    plan = load(study_file())
    with Study.create(plan) as study:
        study.run(plan)
        best = study.best
        assert best is not None
        assert write_best(study, best) == "fovea run studies/toy/best.yaml"
    recipe = load_recipe(Path("studies/toy/best.yaml"))
    done = execute(recipe, folder=tmp_path / "again", isolation="inline")
    assert done.scores("work")["val/score"] == best.values[0]
    assert recipe.steps[0].config.x == best.parameters["x"]  # pyright: ignore


def test_only_the_best_trials_keep_their_checkpoints(study_file: StudyFile) -> None:
    path = study_file(budget={"trials": 5}, trial={"isolation": "inline", "keep": "best:2"})
    records = run(path)[1]
    ranked = sorted(records, key=lambda record: -record.values[0])
    kept = {
        folder.parents[2].parent.name
        for folder in Path("studies/toy/trials").glob("*/run/stages/*/ckpt")
    }
    assert kept == {record.folder for record in ranked[:2]}


@pytest.mark.acceptance(4)
def test_after_a_kill_the_study_goes_on_as_if_unbroken(
    study_file: StudyFile, tmp_path: Path
) -> None:
    path = study_file(
        fixed={"steps": 8, "pause_s": 0.05},
        budget={"trials": 5},
        trial={"isolation": "process", "keep": "all"},
    )
    command = [sys.executable, "-m", "fovea", "tune", str(path), "--folder", "broken"]
    process = subprocess.Popen(command, cwd=tmp_path)
    database = tmp_path / "broken" / "trials"
    _wait(lambda: len(list(database.glob("*/result.json"))) >= 2 and _last_step(database) >= 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait(lambda: not _working(tmp_path))
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    whole = run(_inline(path), tmp_path / "whole")[1]
    with Study.open(tmp_path / "broken") as study:
        broken = study.records
    lost = [record for record in broken if record.failure == "worker_lost"]
    assert len(lost) == 1
    kept = [record for record in broken if record.state == "complete"]
    assert len(kept) == 5
    assert [r.parameters for r in kept] == [r.parameters for r in whole]
    assert [r.values for r in kept] == [r.values for r in whole]
    again = next(record for record in kept if record.retry_of == lost[0].number)
    events = (database / again.folder / "run" / "events.jsonl").read_text()
    assert '"rewind"' in events  # it went on from its checkpoint, and its points are whole
    assert sorted(again.points) == list(range(1, 9))


def _inline(path: Path) -> Path:
    data = dialect.load(path).data
    data["trial"]["isolation"] = "inline"
    path.write_text(dialect.dump(data))
    return path


def _last_step(trials: Path) -> int:
    last = sorted(trials.iterdir())[-1]
    if (last / "result.json").exists() or not (last / "metrics.jsonl").is_file():
        return 0
    return len((last / "metrics.jsonl").read_text().splitlines())


def _wait(is_so: Callable[[], bool], patience_s: float = 240.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _working(folder: Path) -> list[int]:
    """Stages at work below the folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def _processes(token: str) -> list[int]:
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if token in process.environ().get("FOVEA_TOKEN", ""):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
