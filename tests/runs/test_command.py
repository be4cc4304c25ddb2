"""The commands, as typed."""

import csv
import functools
import json
import zipfile
from pathlib import Path

import pytest

from fovea import console
from fovea.errors import ArtifactError, ConfigError, DataError
from fovea.runs import command
from fovea.runs.run import Run, all_runs, execute


@pytest.fixture(autouse=True)
def _quick_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    console.configure()
    monkeypatch.setattr(command, "execute", functools.partial(execute, isolation="inline"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def run(recipe_file: Path, root: Path, *words: str) -> int:
    return command.run([str(recipe_file), "--root", str(root), *words])


def test_run_takes_settings_in_each_form(recipe_file: Path, root: Path) -> None:
    assert run(recipe_file, root, "first.steps=3", "--second.steps", "4", "--third.items=2") == 0
    (made,) = all_runs(root)
    assert [len(made.metrics(key)) for key in ("first", "second")] == [3, 4]
    assert made.scores("third") == {"files": 2.0}


def test_a_flag_without_a_value_is_refused(recipe_file: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"'first\.steps' has no value"):
        run(recipe_file, root, "--first.steps")


def test_the_end_of_a_run_is_a_summary(
    recipe_file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe_file, root)
    out = capsys.readouterr().out
    assert "toys: done" in out
    assert "Everything is in" in out


def test_json_gives_only_events(
    recipe_file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe_file, root, "--log-format", "json") == 0
    (made,) = all_runs(root)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == list(made.events())


def test_plan_changes_nothing_and_says_why(
    recipe_file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.plan([str(recipe_file), "--root", str(root)])
    assert "first       run: not done yet" in capsys.readouterr().out
    assert all_runs(root) == []
    run(recipe_file, root)
    capsys.readouterr()
    command.plan([str(recipe_file), "--root", str(root), "second.rate=0.3"])
    out = capsys.readouterr().out
    assert "first       reuse: done in " in out
    assert "second      run: changed: rate 0.1 -> 0.3" in out
    assert "makes number.json" in out


def test_a_failed_stage_is_raised_as_its_own_error(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text('stages: {bad: {use: "toy_stages:BREAK"}}\n')
    with pytest.raises(DataError, match=r"photo.png is text"):
        run(path, root)
    assert all_runs(root)[0].state == "failed"


def test_what_may_fail_is_warned_of_and_leaves_with_4(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text('stages: {bad: {use: "toy_stages:BREAK", on_error: continue}}\n')
    assert run(path, root) == 4
    assert "bad: photo.png is text" in capsys.readouterr().err


def test_what_a_stage_could_not_do_is_a_sentence_each_and_leaves_with_4(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "part.yaml"
    path.write_text('stages: {some: {use: "toy_stages:PART"}}\n')
    assert run(path, root) == 4
    said = capsys.readouterr()
    assert "done" in said.out
    assert ", but for 2" in said.out
    for number in range(2):
        assert f"some: item {number} is broken. Mend it." in said.err
    (made,) = all_runs(root)
    assert made.outputs("some")["number"].is_file()
    assert made.manifest["stages"][0]["problems"] == list(made.stages[0].problems)


def test_what_could_not_be_done_is_said_again_when_it_is_reused(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "part.yaml"
    path.write_text('stages: {some: {use: "toy_stages:PART"}}\n')
    run(path, root)
    capsys.readouterr()
    assert run(path, root, "--new") == 4
    said = capsys.readouterr()
    assert "reused, but for 2" in said.out
    assert "some: item 1 is broken. Mend it." in said.err
    assert run(path, root, "some.bad=0") == 0


def test_resume_needs_only_the_folder(recipe_file: Path, root: Path) -> None:
    run(recipe_file, root, "first.steps=3")
    (made,) = all_runs(root)
    recipe_file.unlink()
    for path in made.folder.glob("stages/third-*/out/files/*"):
        path.unlink()
    assert command.resume([str(made.folder), "--root", str(root)]) == 0
    assert len(list(made.outputs("third")["files"].iterdir())) == 5
    assert [stage.state for stage in made.stages] == ["done"] * 3


def test_runs_show_names_a_run_by_the_end_of_its_name(
    recipe_file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe_file, root)
    (made,) = all_runs(root)
    capsys.readouterr()
    command.runs(["--root", str(root), "show", made.folder.name[-4:]])
    assert f"Everything is in {made.folder}" in capsys.readouterr().out
    with pytest.raises(ArtifactError, match="'zzzz' is no run in"):
        command.runs(["--root", str(root), "show", "zzzz"])


def test_runs_ls_diff_and_rm(
    recipe_file: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe_file, root)
    run(recipe_file, root, "second.rate=0.3")
    first, second = all_runs(root)
    capsys.readouterr()
    command.runs(["--root", str(root), "ls"])
    assert capsys.readouterr().out.count("done") == 2
    command.runs(["--root", str(root), "diff", str(first.folder), "last"])
    out = capsys.readouterr().out
    assert "second.rate" in out
    assert "first.rate" not in out
    command.runs(["--root", str(root), "rm", str(first.folder)])
    assert [r.folder for r in all_runs(root)] == [second.folder]
    assert second.outputs("first")["number"].is_file(), "what was linked stays"


def test_gc_lists_first_and_removes_only_when_told(recipe_file: Path, root: Path) -> None:
    folder = root / "one"
    run(recipe_file, root, "--run", str(folder))
    run(recipe_file, root, "--run", str(folder), "second.rate=0.3")
    orphan = root / "killed-at-once"
    orphan.mkdir()
    (orphan / "run.lock").touch()
    words = ["--root", str(root), "gc", "--older-than", "0"]
    stages = sorted((folder / "stages").iterdir())
    assert len(stages) == 5
    command.runs(words)
    assert sorted((folder / "stages").iterdir()) == stages
    assert orphan.is_dir()
    command.runs([*words, "--apply"])
    assert not orphan.exists()
    assert sorted((folder / "stages").iterdir()) == sorted(s.folder for s in Run(folder).stages)
    assert not list(folder.glob("stages/*/ckpt"))
    assert Run(folder).outputs("third")["files"].is_dir()


def test_export_writes_a_zip_without_checkpoints_and_a_table(
    recipe_file: Path, root: Path, tmp_path: Path
) -> None:
    run(recipe_file, root)
    command.runs(["--root", str(root), "export", "--out", str(tmp_path / "a.zip")])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert any(name.endswith("/out/number.json") for name in names)
    assert not any("/ckpt/" in name for name in names)
    out = tmp_path / "a.csv"
    command.runs(["--root", str(root), "export", "--to", "csv", "--out", str(out)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert rows[0]["metric"] == "train/value"


def test_doctor_looks_at_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.doctor([]) in (0, 3)
    out = capsys.readouterr().out
    for word in ("python", "torch", "cores", "gpu", "gsplat", "numba", "PyAV", "disk", "[tune]"):
        assert word in out


def test_stages_at_once_are_counted_from_one_or_are_the_cores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = command.run_options()
    assert options.parse_args(["--jobs", "3"]).jobs == 3
    assert options.parse_args(["--jobs", "cores"]).jobs == 0
    for word in ("0", "-1", "many"):
        with pytest.raises(SystemExit):
            options.parse_args([f"--jobs={word}"])
        assert f"1 or more, or cores; found '{word}'" in capsys.readouterr().err
