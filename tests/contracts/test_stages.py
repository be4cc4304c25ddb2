"""What every stage of the catalog promises; a new stage inherits all of it.

Each stage has a preset `tiny`. Its inputs come from the preset, or from the tiny run of the stage
that makes an artifact of that kind.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError
from workshop import NAMES, Workshop

from fovea import catalog
from fovea.cli import main
from fovea.config import about, branches, fields, kind_of, parts, preset_file, resolve, to_yaml
from fovea.describe import help_text, schema
from fovea.dialect import load
from fovea.runs.artifact import KINDS
from fovea.runs.command import run_options
from fovea.runs.run import Run
from fovea.runs.stage import Stage

RESUMABLE = [name for name in NAMES if catalog.stage(name).resumable != "none"]
BUDGET_S = 60.0
each_stage = pytest.mark.parametrize("stage", [catalog.stage(n) for n in NAMES], ids=NAMES)


def groups(stage: Stage) -> list[type]:
    inner = [branch for _, field in fields(stage.config) for branch in branches(field.annotation)]
    return [stage.config, *inner]


# What is declared


@each_stage
def test_the_catalog_says_of_a_stage_what_it_says_of_itself(stage: Stage) -> None:
    entry = catalog.STAGES[stage.name]
    assert catalog.stage(stage.name) is stage
    assert entry.summary == stage.summary
    assert stage.name.partition(".")[0] in catalog.ROOMS


@each_stage
def test_every_field_has_one_line_of_help(stage: Stage) -> None:
    for path, field in fields(stage.config):
        if path[-1] != "kind":
            assert field.description, f"{path} has no help"
            assert "\n" not in field.description, f"the help of {path} has several lines"


@each_stage
def test_settings_are_frozen_and_refuse_unknown_keys(stage: Stage) -> None:
    for group in groups(stage):
        assert group.model_config["frozen"], group
        assert group.model_config["extra"] == "forbid", group
        assert group.model_config["validate_default"], group


@each_stage
def test_choices_of_groups_are_told_apart_by_kind(stage: Stage) -> None:
    for path, field in fields(stage.config):
        several = branches(field.annotation)
        if len(several) > 1:
            assert len({kind_of(branch) for branch in several}) == len(several), path
            assert all(map(kind_of, several)), path


@each_stage
def test_no_setting_has_the_name_of_an_option_of_every_run(stage: Stage) -> None:
    options = {flag for action in run_options()._actions for flag in action.option_strings}
    options |= {"--preset", "--config", "--set", "--help", "--json", "--quiet", "--verbose"}
    taken = {f"--{name.replace('_', '-')}" for name in stage.config.model_fields} & options
    assert not taken


@each_stage
def test_inputs_are_paths_of_known_kinds_that_no_request_may_name(stage: Stage) -> None:
    for name, kind in stage.inputs.items():
        field = stage.config.model_fields[name]
        assert kind in KINDS, name
        assert {Path, tuple[Path, ...]} & set(parts(field.annotation)), name
        assert about(field)["local_only"], name


@each_stage
def test_outputs_are_of_known_kinds_and_named_to_fit_them(stage: Stage) -> None:
    assert stage.outputs
    for name, output in stage.outputs.items():
        kind = KINDS[output.kind]
        assert output.help, name
        assert not Path(output.path).is_absolute(), name
        if kind.suffixes and not kind.is_folder:
            assert Path(output.path).suffix in kind.suffixes, name


@each_stage
def test_what_the_stage_names_exists(stage: Stage) -> None:
    assert callable(stage.load())
    assert set(stage.positional) <= set(stage.config.model_fields)
    assert set(stage.metrics.values()) <= {"min", "max"}
    assert set(stage.occasional) <= set(stage.metrics)
    catalog.require(stage.name, stage.requires)


@each_stage
def test_tunable_ranges_hold_values_that_the_setting_allows(stage: Stage) -> None:
    required = {name: "x" for name, f in stage.config.model_fields.items() if f.is_required()}
    for path, field in fields(stage.config):
        if "tunable" not in about(field):
            continue
        low, high = about(field)["tunable"]
        assert low < high, path
        dotted = ".".join(map(str, path))
        for end in (low, high):
            values = required | {dotted: int(end) if int in get_args(field.annotation) else end}
            resolve(stage.config, name=stage.name, environment={}, overrides=values)
        assert low > 0 or not about(field).get("log"), f"{path}: no logarithm of {low}"


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """What heavy packages a fresh process has loaded once it has declared each stage in turn."""
    heavy = ("torch", "numpy", "numba", "cv2", "av", "scipy", "pycolmap", "optuna", "fastapi")
    script = (
        "import json, sys; from fovea import catalog\n"
        f"for name in {NAMES}:\n"
        "    catalog.stage(name)\n"
        f"    print(json.dumps([name, [n for n in {heavy} if n in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_declaring_a_stage_imports_nothing_heavy(name: str, loaded: dict[str, list[str]]) -> None:
    assert loaded[name] == []


# What is shown


@each_stage
def test_the_help_shows_every_setting_output_and_preset(stage: Stage) -> None:
    text = help_text(stage)
    for path, field in fields(stage.config):
        inner = branches(field.annotation)
        if not inner and path[-1] != "kind":
            assert ".".join(map(str, path)) in text
            assert (field.description or "").split()[0] in text
    for output in stage.outputs.values():
        assert output.path in text
    assert "tiny" in text


@each_stage
def test_the_schema_gives_the_defaults_back(stage: Stage) -> None:
    found = schema(stage)
    json.dumps(found)
    assert found["additionalProperties"] is False
    required = {name: "x" for name in found.get("required", ())}
    defaults = {n: p["default"] for n, p in found["properties"].items() if "default" in p}
    assert stage.config.model_validate(required | defaults) == stage.config(**required)
    with pytest.raises(ValidationError):
        stage.config(**required, surely_no_setting=1)


@each_stage
def test_the_record_of_the_defaults_is_read_back_equal(stage: Stage, tmp_path: Path) -> None:
    required = {name: "x" for name, f in stage.config.model_fields.items() if f.is_required()}
    config = stage.config(**required)
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    found = resolve(stage.config, name=stage.name, files=[path], environment={}).config
    assert (found, to_yaml(found)) == (config, to_yaml(config))


@each_stage
def test_the_preset_tiny_is_valid(stage: Stage) -> None:
    given = load(preset_file(stage.name, "tiny")).data
    words = [f"{n}=x" for n, f in stage.config.model_fields.items() if f.is_required()]
    settled = [word for word in words if word.partition("=")[0] not in given]
    resolve(stage.config, name=stage.name, preset="tiny", arguments=settled, environment={})


# What happens


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_tiny_run_ends_soon_with_all_it_promised(name: str, workshop: Workshop) -> None:
    stage = catalog.stage(name)
    run, cpu_s = workshop.tiny(name)
    assert run.state == "done"
    assert cpu_s < BUDGET_S, "one core alone would need longer than the tiny preset may take"
    (made,) = run.stages
    promised = {output for output, what in stage.outputs.items() if not what.optional}
    assert promised <= set(made.outputs) <= set(stage.outputs)
    for output, path in run.outputs(made.key).items():
        KINDS[stage.outputs[output].kind].check(path, wanted_by=name)
    missing = set(stage.metrics) - set(stage.occasional) - set(made.scores) - set().union(
        *(point["metrics"] for point in run.metrics(made.key)), set()
    )  # fmt: skip
    assert not missing, f"declared and never measured: {missing}"


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMABLE)
def test_a_run_killed_and_resumed_ends_as_an_unbroken_one(
    name: str, workshop: Workshop, tmp_path: Path
) -> None:
    unbroken, _ = workshop.tiny(name)
    often = (
        ["checkpoint_s=0.2"] if "checkpoint_s" in catalog.stage(name).config.model_fields else []
    )
    first = workshop.start(name, tmp_path / "run", *often)
    while first.process.is_alive() and not somewhere_inside(tmp_path / "run"):
        time.sleep(0.002)
    first.kill()
    left_nothing = f"it ended and left nothing to go on from: {first.log.read_text()[-2000:]}"
    assert first.process.exitcode == -signal.SIGKILL, left_nothing
    workshop.start(name, tmp_path / "run", *often).wait()
    resumed = Run.open(tmp_path / "run")
    assert digests(resumed) == digests(unbroken)
    record = json.loads((resumed.stages[0].folder / "stage.json").read_text())
    assert record["attempt"] == 2


def somewhere_inside(run: Path) -> bool:
    """Whether a checkpoint is written or an item finished."""
    return any(run.glob("stages/*/ckpt/step-*")) or any(
        path.stat().st_size for path in run.glob("stages/*/items.jsonl")
    )


def digests(run: Run) -> dict[str, str]:
    return {name: made["sha256"] for name, made in run.stages[0].outputs.items()}


@each_stage
def test_a_missing_input_is_answered_with_a_sentence(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = [n for n in stage.inputs if stage.config.model_fields[n].is_required()]
    if not needed:
        pytest.skip(f"{stage.name} needs no input")
    words = [f"{name}={tmp_path / 'nothing.ply'}" for name in needed]
    assert main([stage.name, "--root", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "nothing.ply does not exist" in said
