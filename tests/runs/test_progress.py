"""What a person, or a program, reads while a run goes and when it is over."""

import json
from pathlib import Path

import pytest

from fovea.runs import progress
from fovea.runs.progress import JsonLines, Lines, Live, Pace
from fovea.runs.recipe import load
from fovea.runs.run import execute
from fovea.runs.stage import Event


def step(done: int, total: int = 100) -> Event:
    event = {"n": done, "time": 0.0, "stage": "fit", "kind": "progress", "done": done}
    return event | {"total": total, "unit": "steps", "shown": {"psnr": 27.123}}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fovea.runs.progress.time.monotonic", clock)
    return clock


def test_a_slow_stage_speaks_every_ten_seconds(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for done in range(1, 46):
        clock.now += 1.0
        lines.show(step(done, 4000))
    assert len(said) == 4


def test_a_steady_stage_speaks_at_every_twentieth(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for done in range(1, 101):
        clock.now += 0.5
        lines.show(step(done))
    assert len(said) == 20
    assert said[-1] == "fit          100/100 steps  100%  psnr 27.12"


def test_the_last_step_is_always_said(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    lines.show(step(1))
    lines.show(step(100))
    assert said == ["fit          100/100 steps  100%  psnr 27.12"]


def test_one_slow_step_does_not_change_what_is_left(clock: Clock) -> None:
    pace = Pace(began=clock.now)
    for done in range(1, 21):
        clock.now += 60.0 if done == 10 else 1.0
        pace.step(done, 120)
    assert pace.left_s == pytest.approx(100.0)


def test_what_is_left_starts_anew_with_other_units(clock: Clock) -> None:
    pace = Pace(began=clock.now)
    for done in range(1, 11):
        clock.now += 60.0
        pace.step(done, 10)
    for done in range(0, 4000, 1000):
        clock.now += 1.0
        pace.step(done, 10_000)
    assert pace.left_s == pytest.approx(7.0)


def test_json_lines_are_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    events = [step(1), {"n": 2, "stage": None, "kind": "state", "state": "done"}]
    shown = JsonLines()
    for event in events:
        shown.show(event)
    shown.close()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == events


def test_a_live_area_leaves_the_sentences(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    live = Live()
    live.show(
        {"stage": "fit", "kind": "state", "state": "running", "use": "relight.fit"}
        | {"attempt": 2, "device": "cpu", "why": "was killed in attempt 1"}
    )
    live.show(step(3))
    live.show(
        {"stage": "fit", "kind": "state", "state": "done", "seconds": 4.0}
        | {"scores": {"psnr": 30.0}, "reused": False}
    )
    live.close()
    out = capsys.readouterr().out
    assert "relight.fit begins on cpu, attempt 2 (was killed in attempt 1)" in out
    assert "done after 4.0 s  psnr 30" in out


def test_the_summary_says_what_was_made_and_where(recipe_file: Path, tmp_path: Path) -> None:
    run = execute(load(recipe_file), root=tmp_path / "runs", isolation="inline")
    said = progress.summary(run)
    assert said.startswith("toys: done, ")
    for key in ("first", "second"):
        assert str(run.outputs(key)["number"]) in said
    assert "files 5" in said
    assert said.endswith(f"Everything is in {run.folder}")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.84, "0.8 s"), (42, "42 s"), (185, "3m05s"), (7620, "2h07m")]
)
def test_times_are_said_shortly(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(812, "812 B"), (3.4e6, "3.4 MB"), (5e12, "5000.0 GB")]
)
def test_sizes_are_said_shortly(count: float, text: str) -> None:
    assert progress.size(count) == text
