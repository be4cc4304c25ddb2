"""Runs: what is reused, what goes on, and how failures are said."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import BusyError, DataError, JobError, RecipeError
from fovea.runs.cache import Cache
from fovea.runs.lock import RunLock
from fovea.runs.plan import plan
from fovea.runs.recipe import Recipe, load
from fovea.runs.run import Run, all_runs, execute
from fovea.runs.stage import Event

COUNT = 'use: "toy_stages:COUNT"'


def broken(how: str) -> Recipe:
    return Recipe.single("toy_stages:BREAK", {"how": how})


def attempts(run: Run) -> dict[str, int]:
    return {s.key: json.loads((s.folder / "stage.json").read_text())["attempt"] for s in run.stages}


@pytest.mark.parametrize("isolation", ["inline", "process"])
def test_a_recipe_is_brought_to_its_end(recipe_file: Path, tmp_path: Path, isolation: Any) -> None:
    seen: list[Event] = []
    run = execute(load(recipe_file), root=tmp_path / "runs", isolation=isolation, watch=seen.append)
    assert (run.state, run.exit_code) == ("done", 0)
    assert [stage.state for stage in run.stages] == ["done"] * 3
    assert run.scores("third") == {"files": 5.0}
    assert len(list(run.outputs("third")["files"].iterdir())) == 5
    assert seen == list(run.events())
    assert [point["step"] for point in run.metrics("first")] == list(range(1, 13))
    for name in ("run.json", "recipe.yaml", "config.yaml", "config.sources.json", "env.json"):
        assert (run.folder / name).is_file()
    for stage in run.stages:
        assert (stage.folder / "config.yaml").is_file()
        assert not (stage.folder / "tmp").exists()


def test_what_several_stages_made_goes_into_one(tmp_path: Path) -> None:
    path = tmp_path / "sum.yaml"
    path.write_text(
        "stages:\n"
        '  each: {use: "toy_stages:COUNT", matrix: {n: [1, 2, 3]}, with: {steps: "${matrix.n}"}}\n'
        '  all: {use: "toy_stages:SUM", with: {numbers: "${each.out.number}"}}\n'
    )
    run = execute(load(path), root=tmp_path / "runs", isolation="process")
    assert run.state == "done"
    *each, total = (stage.scores["value"] for stage in run.stages)
    assert total == pytest.approx(sum(each))
    changed = execute(
        load(path, ["each[n=2].rate=0.7"]), root=tmp_path / "runs", isolation="inline"
    )
    assert changed.scores("all")["value"] != total


def test_the_two_isolations_make_the_same(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load(recipe_file)
    inline = execute(recipe, root=tmp_path / "a", isolation="inline")
    process = execute(recipe, root=tmp_path / "b", isolation="process")
    assert [s.fingerprint for s in inline.stages] == [s.fingerprint for s in process.stages]
    digests = [
        [(name, made["sha256"]) for stage in run.stages for name, made in stage.outputs.items()]
        for run in (inline, process)
    ]
    assert digests[0] == digests[1]


def test_a_finished_recipe_is_linked_into_a_new_run(recipe_file: Path, tmp_path: Path) -> None:
    first, second = (
        execute(load(recipe_file), root=tmp_path, isolation="inline") for _ in range(2)
    )
    assert first.folder != second.folder
    assert [stage.reused_from for stage in second.stages] == [first.folder.name] * 3
    one, other = (run.outputs("first")["number"] for run in (first, second))
    assert one.stat().st_ino == other.stat().st_ino
    assert second.metrics("first") == first.metrics("first")
    anew = execute(load(recipe_file), root=tmp_path, isolation="inline", new=True, reuse=False)
    assert [stage.reused_from for stage in anew.stages] == [""] * 3


def test_what_changed_is_done_beside_the_old_and_the_rest_is_reused(
    recipe_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = execute(load(recipe_file), folder=folder, isolation="inline")
    before = {stage.key: stage.folder for stage in run.stages}
    changed = load(recipe_file, ["second.rate=0.2"])
    planned = plan(changed, folder, Cache(tmp_path))
    assert [stage.action for stage in planned] == ["reuse", "run", "run"]
    assert planned[1].why == "changed: rate 0.1 -> 0.2"
    assert planned[2].why == "changed: input number changed"
    run = execute(changed, folder=folder, isolation="inline")
    after = {stage.key: stage.folder for stage in run.stages}
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]
    assert (before["second"] / "out" / "number.json").is_file()


def test_another_version_of_a_stage_is_done_anew_and_plan_says_so(tmp_path: Path) -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 3})
    run = execute(recipe, folder=tmp_path / "run", isolation="inline")
    (step,) = recipe.steps
    newer = dataclasses.replace(step, stage=dataclasses.replace(step.stage, version=2))
    raised = dataclasses.replace(recipe, steps=(newer,))
    (planned,) = plan(raised, run.folder, Cache(tmp_path))
    assert planned.why == "changed: stage version 1 -> 2"


def test_another_version_of_the_package_reuses_and_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 3})
    run = execute(recipe, folder=tmp_path / "run", isolation="inline")
    monkeypatch.setattr("fovea.runs.plan.package_version", lambda: "9.0")
    (planned,) = plan(recipe, run.folder, Cache(tmp_path))
    assert planned.action == "reuse"
    assert planned.notes[0].endswith("this is 9.0")


def test_outputs_that_were_changed_are_made_again(recipe_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = execute(load(recipe_file), folder=folder, isolation="inline")
    number = run.outputs("second")["number"]
    good = number.read_text()
    number.unlink()
    number.write_text("torn")
    run = execute(load(recipe_file), folder=folder, isolation="inline")
    assert run.outputs("second")["number"].read_text() == good
    assert attempts(run) == {"first": 1, "second": 2, "third": 1}


def test_a_run_that_is_stopped_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 20, "every": 100})
    asked = iter([False] * 12 + [True] * 100)
    run = execute(recipe, root=tmp_path, isolation="inline", asked_to_stop=lambda: next(asked))
    assert run.state == "interrupted"
    assert run.exit_code == 130
    (planned,) = plan(recipe, run.folder, Cache(tmp_path))
    assert planned.action == "resume"
    assert planned.from_step is not None
    assert 0 < planned.from_step < 20
    resumed = execute(recipe, root=tmp_path, isolation="inline")
    assert resumed.folder == run.folder
    straight = execute(recipe, root=tmp_path / "other", isolation="inline")
    assert resumed.scores("count") == straight.scores("count")
    rewinds = [event["step"] for event in resumed.events() if event["kind"] == "rewind"]
    assert rewinds == [planned.from_step], "said once, though run and stage both say it"
    points = [point["step"] for point in resumed.metrics("count")]
    assert points == list(range(1, 21))


def test_a_file_asks_a_run_to_stop(tmp_path: Path) -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 2000, "pause_s": 0.01})
    folder = tmp_path / "run"

    def ask(event: Event) -> None:
        if event["kind"] == "metric":
            (folder / "stop.requested").write_text("cancelled by its owner")

    run = execute(recipe, folder=folder, watch=ask)
    assert run.state == "cancelled"
    assert run.stages[0].state == "interrupted"


@pytest.mark.parametrize("isolation", ["inline", "process"])
@pytest.mark.parametrize(
    ("how", "code", "exit_code", "said"),
    [
        ("data", "data", 2, "photo.png is text, and an image was wanted"),
        ("bug", "crash", 1, "broke with ZeroDivisionError: division by zero"),
        ("memory", "oom", 1, "ran out of the machine's memory"),
        ("disk", "disk", 1, "too few to write number.json. Make room"),
        ("nothing", "artifact", 2, "ended without making 'number'"),
    ],
)
def test_each_failure_is_a_sentence(
    tmp_path: Path, isolation: Any, how: str, code: str, exit_code: int, said: str
) -> None:
    run = execute(broken(how), root=tmp_path, isolation=isolation)
    (stage,) = run.failures
    assert stage.error is not None
    assert stage.error.code == code
    assert said in stage.error.message
    assert (run.state, run.exit_code) == ("failed", exit_code)
    expected = DataError if code == "data" else (JobError, Exception)
    with pytest.raises(expected):
        run.raise_failure()


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("kill", "killed", "was ended by SIGKILL after"),
        ("exit", "crash", "left with status 7 before it was done"),
    ],
)
def test_a_child_that_dies_is_said_with_where_its_words_are(
    tmp_path: Path, how: str, code: str, said: str
) -> None:
    run = execute(broken(how), root=tmp_path)
    (stage,) = run.failures
    assert stage.error is not None
    assert stage.error.code == code
    assert said in stage.error.message
    assert "console.log" in stage.error.message
    assert (run.state, run.exit_code) == ("failed", 1)


def test_a_deaf_stage_is_killed_when_its_grace_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovea.runs.executor.ChildStage.ask_to_stop.__defaults__", (0.2,))
    began: list[Event] = []

    def watch(event: Event) -> None:
        if event["kind"] == "log":
            began.append(event)

    run = execute(broken("deaf"), root=tmp_path, watch=watch, asked_to_stop=lambda: bool(began))
    assert run.state == "interrupted"
    assert run.stages[0].error is not None
    assert "killed when it did not" in run.stages[0].error.message


def test_a_failure_stops_the_run_unless_it_may_go_on(tmp_path: Path) -> None:
    path = tmp_path / "toys.yaml"
    stages = f"""\
name: toys
stages:
  bad: {{use: "toy_stages:BREAK"}}
  after: {{{COUNT}, with: {{steps: 2, start: "${{bad.out.number}}"}}}}
  apart: {{{COUNT}, with: {{steps: 2}}}}
"""
    path.write_text(stages)
    run = execute(load(path), root=tmp_path / "a", isolation="inline")
    assert [stage.state for stage in run.stages] == ["failed", "skipped", "pending"]
    assert run.state == "failed"
    path.write_text(stages.replace('BREAK"}', 'BREAK", on_error: continue}'))
    run = execute(load(path), root=tmp_path / "b", isolation="inline")
    assert [stage.state for stage in run.stages] == ["failed", "skipped", "done"]
    assert (run.state, run.exit_code) == ("done", 4)


def test_independent_stages_work_at_once(tmp_path: Path) -> None:
    path = tmp_path / "toys.yaml"
    path.write_text(
        f"""\
name: toys
stages:
  one: {{{COUNT}, matrix: {{seed: [1, 2, 3]}}, with: {{steps: 4, pause_s: 0.3,
    seed: "${{matrix.seed}}"}}}}
"""
    )
    at_work, most = set[str](), 0

    def watch(event: Event) -> None:
        nonlocal most
        if event["kind"] == "state" and event["stage"]:
            at_work.add(event["stage"]) if event["state"] == "running" else at_work.discard(
                event["stage"]
            )
            most = max(most, len(at_work))

    run = execute(load(path), root=tmp_path, jobs=3, watch=watch)
    assert run.state == "done"
    assert most == 3
    assert [event["n"] for event in run.events()] == list(range(1, len(list(run.events())) + 1))


def test_a_run_at_work_turns_a_second_one_away(recipe_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with RunLock(folder), pytest.raises(BusyError, match="is held by process"):
        execute(load(recipe_file), folder=folder, isolation="inline")


def test_a_folder_of_another_recipe_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(Recipe.single("toy_stages:COUNT", {"steps": 2}), folder=folder, isolation="inline")
    with pytest.raises(RecipeError, match="holds a run of 'toy-count'"):
        execute(load(recipe_file), folder=folder, isolation="inline")


def test_a_disk_that_is_full_for_the_manifest_is_a_sentence(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fovea.runs.durable.os.fsync", full)
    with pytest.raises(JobError, match=r"The disk is full: .* goes on from the last checkpoint"):
        execute(load(recipe_file), root=tmp_path, isolation="inline")
    monkeypatch.undo()


def test_a_run_works_from_another_thread(recipe_file: Path, tmp_path: Path) -> None:
    states: list[str] = []
    recipe = load(recipe_file)
    thread = threading.Thread(target=lambda: states.append(execute(recipe, root=tmp_path).state))
    thread.start()
    thread.join()
    assert states == ["done"]


def test_runs_are_listed_from_old_to_new(tmp_path: Path) -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 2})
    made = [execute(recipe, root=tmp_path, isolation="inline").folder for _ in range(3)]
    assert [run.folder for run in all_runs(tmp_path)] == made
