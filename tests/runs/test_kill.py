"""A run that is killed at any moment, and started again, ends as if nothing had happened."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fovea.runs.run import Run, all_runs

DRIVE = str(Path(__file__).with_name("drive.py"))
PATIENCE_S = 120.0
"""Only what goes wrong takes so long, on a busy machine too."""
RECIPE = """\
name: killed
stages:
  first: {use: "toy_stages:COUNT", with: {steps: 80, pause_s: 0.02}}
  second: {use: "toy_stages:COUNT", with: {steps: 80, start: "${first.out.number}", pause_s: 0.02}}
  third: {use: "toy_stages:SPREAD", with: {items: 250, pause_s: 0.05}}
"""


def start(recipe: Path, root: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, DRIVE, str(recipe), str(root), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(recipe: Path, root: Path) -> Run:
    fast = [f"{stage}.pause_s=0" for stage in ("first", "second", "third")]
    process = start(recipe, root, *fast)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said.decode()
    (run,) = all_runs(root)
    return run


def outputs(run: Run) -> dict[str, str]:
    """Every output file with its content's digest."""
    return {
        f"{stage.key}/{path.relative_to(stage.folder).as_posix()}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for stage in run.stages
        for path in sorted((stage.folder / "out").rglob("*"))
        if path.is_file()
    }


def stage_process(parent: int) -> psutil.Process | None:
    """The child in which a stage works, if there is one now."""
    try:
        children = psutil.Process(parent).children()
        return next((c for c in children if "fovea.runs.child" in c.cmdline()), None)
    except psutil.NoSuchProcess:
        return None


def wait_for(root: Path, pattern: str, holding: str = "") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if any(holding in path.read_text() for path in root.glob(f"*/{pattern}")):
            return
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} after {PATIENCE_S:.0f} s")


def kill(process: subprocess.Popen[bytes], victim: str) -> None:
    child = stage_process(process.pid)
    if child and victim in ("child", "both"):
        child.send_signal(signal.SIGKILL)
    if not child or victim in ("parent", "both"):
        process.kill()


def nothing_is_half_written(root: Path) -> None:
    for manifest in [*root.rglob("run.json"), *root.rglob("stage.json")]:
        json.loads(manifest.read_text())
    for manifest in root.glob("*/stages/*/stage.json"):
        folder, record = manifest.parent, json.loads(manifest.read_text())
        for made in record["outputs"].values() if record["state"] == "done" else ():
            assert (folder / made["path"]).exists()


@pytest.mark.timeout(180)
def test_a_run_killed_at_ten_random_moments_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE)
    unbroken = outputs(finish(recipe, tmp_path / "unbroken"))

    chance = random.Random(int(os.environ.get("FOVEA_KILL_SEED", "7")))
    root = tmp_path / "killed"
    for number in range(10):
        process = start(recipe, root)
        try:
            time.sleep(chance.uniform(0.3, 1.6))
            assert process.poll() is None, "it ended before it was killed: make the stages longer"
            kill(process, ("parent", "child", "both")[number % 3])
            process.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            pass  # the stage had just ended when it was killed, and the run goes on with the next
        finally:
            process.kill()
            process.communicate()
        nothing_is_half_written(root)
    run = finish(recipe, root)

    assert outputs(run) == unbroken
    assert len(list((run.folder / "stages").iterdir())) == 3
    points = run.metrics("first")
    assert [point["step"] for point in points] == list(range(1, 81))
    numbers = [event["n"] for event in run.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    drafts = [p for p in run.folder.rglob("*") if ".draft" in p.name or ".gone" in p.name]
    assert drafts == []


def test_the_stage_ends_with_its_run_when_that_is_killed(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE.replace("pause_s: 0.02", "pause_s: 0.2"))
    process = start(recipe, tmp_path / "runs")
    deadline = time.monotonic() + PATIENCE_S
    while not (child := stage_process(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert child is not None
    process.kill()
    process.communicate()
    child.wait(timeout=PATIENCE_S)


def test_a_second_command_on_the_same_run_leaves_with_75(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE.replace("pause_s: 0.02", "pause_s: 0.2"))
    root = tmp_path / "runs"
    first = start(recipe, root)
    wait_for(root, "stages/*/metrics.jsonl")
    second = start(recipe, root)
    said, _ = second.communicate(timeout=PATIENCE_S)
    first.kill()
    first.communicate()
    assert second.returncode == 75
    assert f"is held by process {first.pid} on " in said.decode()


def test_a_sigterm_saves_and_leaves_with_143(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE)
    process = start(recipe, tmp_path / "runs")
    wait_for(tmp_path / "runs", "stages/*/metrics.jsonl")
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, said.decode()


def test_a_second_sigint_kills_a_stage_that_does_not_listen(tmp_path: Path) -> None:
    recipe = tmp_path / "deaf.yaml"
    recipe.write_text('stages: {deaf: {use: "toy_stages:BREAK", with: {how: deaf}}}\n')
    process = start(recipe, tmp_path / "runs")
    wait_for(tmp_path / "runs", "events.jsonl", holding="asleep")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=25)  # and not after its grace of 30 s
    assert process.returncode == 130
    (run,) = all_runs(tmp_path / "runs")
    assert run.state == "interrupted"
    assert run.stages[0].error is not None
    assert "killed when it did not" in run.stages[0].error.message


def test_a_first_sigint_saves_and_a_second_command_goes_on(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE)
    root = tmp_path / "runs"
    process = start(recipe, root, "first.every=1000")
    wait_for(root, "stages/*/metrics.jsonl")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said.decode()
    (run,) = all_runs(root)
    assert run.state == "interrupted"
    assert run.manifest["signal"] == signal.SIGINT
    (saved,) = run.folder.glob("stages/first-*/ckpt/step-*")
    assert int(saved.name.removeprefix("step-")) % 1000 != 0
    assert "fovea resume" in said.decode()
    assert finish(recipe, root).state == "done"
