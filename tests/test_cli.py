"""The command line: what is said, where it goes, and the exit code."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from fovea import catalog, cli, console
from fovea.cli import main
from fovea.config import values
from fovea.describe import init_text
from fovea.errors import BackendError, RecipeError

HEAVY = ("torch", "numpy", "optuna", "fastapi", "wandb", "mlflow", "PIL", "scipy", "cv2")


@pytest.fixture(autouse=True)
def _plain_console() -> None:
    console.configure()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# Quick


def cost(*words: str) -> tuple[float, str]:
    """CPU seconds of a command in a fresh process, and the heavy modules it imported."""
    script = (
        "import sys; from fovea.cli import main; code = main(sys.argv[1:]);"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr);"
        "sys.exit(code)"
    )
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
    )
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system, done.stderr


@pytest.mark.parametrize(
    ("words", "budget_s"),
    [(("--help",), 0.35), (("relight", "--help"), 0.35), (("relight", "fit", "--help"), 0.45)],
)
def test_help_is_quick_and_imports_nothing_heavy(words: tuple[str, ...], budget_s: float) -> None:
    runs = [cost(*words) for _ in range(3)]
    assert min(seconds for seconds, _ in runs) <= budget_s
    assert runs[0][1].endswith("heavy: []\n")


# Help


def test_the_first_screen_names_every_stage_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    for name in catalog.STAGES:
        room, _, verb = name.partition(".")
        assert f"  {room}: {catalog.ROOMS[room]}" in out
        assert re.search(rf"^ +(\w+  )*{verb}(  |$)", out, re.MULTILINE)
        of_room = said(capsys, room)[1]
        assert re.search(rf"^ +{verb} +{re.escape(catalog.summary(name))}$", of_room, re.MULTILINE)
    for name, command in cli.COMMANDS.items():
        assert re.search(rf"^ +{name} +{re.escape(command.summary)}$", out, re.MULTILINE)
    assert said(capsys)[1] == out


def test_every_line_of_the_first_screen_fits(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "--help")
    assert max(map(len, out.splitlines())) <= 100
    assert len(out.splitlines()) <= 40


def test_every_command_leads_to_a_function() -> None:
    for name, command in cli.COMMANDS.items():
        module, _, function = command.target.partition(":")
        assert callable(getattr(__import__(module, fromlist=["_"]), function, None)), name


def test_a_room_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "relight", "--help")
    assert code == 0
    assert "film" in out
    assert said(capsys, "relight")[1] == out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"fovea \d+\.\d+\.\d+\S*\n", said(capsys, "--version")[1])


def test_the_help_of_a_stage_shows_types_bounds_and_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = said(capsys, "relight", "film", "--help")[1]
    assert re.search(r"^  seconds=6 +float > 0, <= 600 +length of the film", out, re.MULTILINE)
    assert re.search(r"^  background=black +black\|white\|light +behind", out, re.MULTILINE)
    assert "usage  fovea relight film SCENE [CAMERAS] [key=value ...]" in out
    assert "--device" in out


def test_help_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "relight.fit" in json.loads(said(capsys, "--help", "--json")[1])["stages"]
    schema = json.loads(said(capsys, "relight", "film", "--help", "--json")[1])
    assert schema["properties"]["fps"]["minimum"] == 1


# Wrong words


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("relihgt", "fit"), "'relihgt' is neither a room nor a command. Did you mean 'relight'?"),
        (("tuen",), "Did you mean 'tune'?"),
        (("relight", "flim"), "'flim' is not a verb of relight. Did you mean 'film'?"),
        (("relight.flim",), "'flim' is not a verb of relight. Did you mean 'film'?"),
        (("config", "explian", "relight.fit"), "Did you mean 'explain'?"),
        (("config", "schema"), "needs a stage: relight.poses, relight.fit"),
        (("config", "schema", "relight.ft"), "Did you mean 'relight.fit'?"),
        (("relight", "film", "x.ply", "--jobs", "many"), "1 or more, or cores; found 'many'"),
        (("relight", "film", "x.ply", "--preset", "none"), "has no preset 'none'"),
        (("relight", "film", "x.ply", "--config", "none.yaml"), "there is no file none.yaml"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_errors_are_objects_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "relight", "film", "x.ply", "fps=0", "--json")
    error = json.loads(out)["error"]
    assert (code, err) == (2, "")
    assert (error["code"], error["exit"]) == ("config", 2)
    assert error["problems"] == [
        {
            "loc": "fps",
            "code": "greater_than_equal",
            "message": "must be greater than or equal to 1; got 0",
            "input": 0,
            "source": "fps=0",
        }
    ]


def test_a_bug_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "plugins", broken)
    with pytest.raises(ZeroDivisionError):
        main(["plugins"])


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (BrokenPipeError, 0)])
def test_being_stopped_is_not_a_bug(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException], code: int
) -> None:
    def stopped(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "plugins", stopped)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    assert main(["plugins"]) == code


def test_sigterm_ends_with_143() -> None:
    script = (
        "import os, signal, time; from fovea import cli\n"
        "def wait(words):\n os.kill(os.getpid(), signal.SIGTERM)\n time.sleep(30)\n"
        "cli.plugins = wait\nraise SystemExit(cli.main(['plugins']))"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 143


# A missing package


def test_a_missing_package_is_answered_with_the_line_that_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalog, "_missing", lambda extra: {"numba", "torch"})
    code, _, err = said(capsys, "relight", "film", str(tmp_path / "x.ply"))
    assert code == 3
    assert err == (
        "error: relight.film needs numba, torch, and they are not installed. "
        'Run: pip install "fovea-vision[relight]"\n'
    )


def test_a_command_whose_package_is_missing_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(words: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'optuna'", name="optuna")

    monkeypatch.setattr(cli, "plugins", without)
    monkeypatch.setitem(cli.COMMANDS, "tune", cli.Command("fovea.cli:plugins", "", ("tune",)))
    monkeypatch.setattr(catalog, "_missing", lambda extra: {"optuna"})
    code, _, err = said(capsys, "tune", "study.yaml")
    assert code == 3
    assert 'pip install "fovea-vision[tune]"' in err


def test_what_an_extra_needs_is_read_from_the_package() -> None:
    catalog.require("this", ("relight", "tune", "serve"))
    with pytest.raises(BackendError, match=r'fovea-vision\[cuda\]"'):
        catalog.require("cuda", ("cuda",))


# Settings


def test_explain_says_where_each_value_came_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_RELIGHT_FILM__FPS", "12")
    monkeypatch.setenv("FOVEA_RELIGHT_FLIM__FPS", "13")
    code, out, err = said(
        capsys, "config", "explain", "relight.film", "a.ply", "--width", "64", "--json"
    )
    assert code == 0
    found = {row["setting"]: row for row in json.loads(out)}
    assert found["fps"] == {"setting": "fps", "value": "12", "from": "env FOVEA_RELIGHT_FILM__FPS"}
    assert found["scene"]["from"] == "argument a.ply"
    assert found["width"]["from"] == "--width"
    assert found["seconds"]["from"] == "default"
    assert "env FOVEA_RELIGHT_FLIM__FPS is for no stage. Did you mean 'FOVEA_RELIGHT_FILM'?" in err


@pytest.mark.parametrize("name", list(catalog.STAGES))
def test_an_initial_file_holds_the_defaults_and_the_help(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, _ = said(capsys, "config", "init", name)
    assert code == 0
    stage = catalog.stage(name)
    required = {key: "x" for key, f in stage.config.model_fields.items() if f.is_required()}
    config = stage.config.model_validate(required | yaml.safe_load(out))
    assert config == stage.config.model_validate(required)
    for path, _ in values(config):
        assert f"{path[-1]}:" in out
    assert init_text(stage) == out


def test_the_schema_of_a_stage_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(said(capsys, "config", "schema", "relight.fit")[1])
    assert schema["title"] == "relight.fit"
    assert schema["required"] == ["data"]


# Plugins


def test_a_plugin_that_cannot_be_loaded_is_listed_and_stops_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        EntryPoint("bear.growl", "no_such_module:STAGE", "fovea.stages"),
        EntryPoint("relight.fit", "json:loads", "fovea.stages"),
        EntryPoint("bear", "json:loads", "fovea.stages"),
        EntryPoint("bear.sleep", "json:loads", "fovea.stages"),
    ]
    monkeypatch.setattr(catalog, "_entry_points", lambda: points)
    code, out, _ = said(capsys, "plugins", "--json")
    assert code == 0
    trouble = {row["name"]: row["trouble"] for row in json.loads(out)}
    assert trouble["bear.growl"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert trouble["relight.fit"] == "the name relight.fit is taken by fovea"
    assert trouble["bear"] == "its name is not room.verb but bear"
    assert trouble["bear.sleep"] == "json:loads is not a Stage named bear.sleep"
    assert [stage.name for stage in catalog.all_stages()] == list(catalog.STAGES)
    assert catalog.stage("relight.fit").name == "relight.fit"
    assert said(capsys, "--help")[0] == 0
    code, _, err = said(capsys, "bear", "growl")
    assert code == 3
    assert "no_such_module" in err


def test_a_plugin_stage_is_a_stage_like_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    film = dataclasses.replace(catalog.stage("relight.film"), name="bear.film")
    monkeypatch.setattr("fovea.catalog.BEAR", film, raising=False)
    point = EntryPoint("bear.film", "fovea.catalog:BEAR", "fovea.stages")
    monkeypatch.setattr(catalog, "_entry_points", lambda: [point])
    assert catalog.stage("bear.film") is film
    assert "bear: from another package" in said(capsys, "--help")[1]
    assert "bear.film:" in said(capsys, "bear", "film", "--help")[1]


def test_an_unknown_stage_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'relight\.fit'\?"):
        catalog.stage("relight.fti")


# The console


def test_quiet_leaves_only_answers(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True)
    console.say("on the way")
    console.answer("what was asked", {})
    assert capsys.readouterr().out == "what was asked\n"


def test_a_table_is_aligned_in_a_pipe_and_objects_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.table(("name", "size"), [("a", 1), ("longer", None)])
    assert capsys.readouterr().out == "NAME    SIZE\na       1\nlonger\n"
    console.configure(as_json=True)
    console.table(("name", "size"), [("a", 1)])
    assert json.loads(capsys.readouterr().out) == [{"name": "a", "size": 1}]


def test_verbose_shows_what_modules_log(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import logging; from fovea import cli\n"
        "cli.plugins = lambda words: logging.getLogger('fovea.x').debug('inside') or 0\n"
        "raise SystemExit(cli.main(['plugins', '-v']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "inside" in done.stderr
