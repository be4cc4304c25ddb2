"""Studies of a foreign trainer: a faithful stand-in for LLaMA-Factory, and scripts of one's own."""

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
from fovea.errors import BackendError, ConfigError
from fovea.tuning.command import main, write_best
from fovea.tuning.plan import load
from fovea.tuning.study import Ending, Study

FAKE = Path(__file__).with_name("fake_llamafactory.py")
BASE = {
    "stage": "sft", "do_train": True, "model_name_or_path": "tiny", "finetuning_type": "lora",
    "template": "qwen", "dataset": "mine", "learning_rate": 1e-3, "lora_rank": 8,
    "output_dir": "elsewhere", "max_steps": 6,
}  # fmt: skip
StudyFile = Callable[..., Path]


@pytest.fixture
def llama_study(tmp_path: Path) -> StudyFile:
    """Writes a study of the stand-in; what is given lies over what stands here."""

    def write(**changes: Any) -> Path:
        (tmp_path / "sft.yaml").write_text(dialect.dump(BASE | changes.pop("base", {})))
        data: dict[str, Any] = {
            "study": "lf",
            "target": {
                "command": {
                    "adapter": "llamafactory",
                    "argv": [sys.executable, str(FAKE), "train", "{config}"],
                    "config": {"base": "sft.yaml"},
                }
            },
            "objective": {"metric": "eval_loss", "goal": "min"},
            "space": {
                "learning_rate": {"float": [1e-6, 1e-2], "log": True},
                "lora_rank": {"choice": [8, 16]},
                "ratio": {"choice": [1, 2], "hidden": True},
            },
            "derive": {"lora_alpha": "lora_rank * ratio"},
            "fixed": {"eval_strategy": "steps", "val_size": 0.1},
            "search": {"method": "random", "seed": 1},
            "prune": {"method": "none"},
            "budget": {"trials": 2},
            "trial": {"grace": 2},
        }
        path = tmp_path / "study.yaml"
        path.write_text(dialect.dump(dialect.merge(data, changes)))
        return path

    return write


def run(path: Path, folder: Path | None = None) -> tuple[Ending, list[Any]]:
    plan = load(path)
    with Study.create(plan, folder) as study:
        ending = study.run(plan)
        return ending, study.records


def living(folder: Path) -> list[int]:
    """The processes that belong to a trial below the folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("FOVEA_TRIAL_DIR", ""):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_study_of_a_foreign_trainer_ends_in_a_file_that_runs(
    llama_study: StudyFile, tmp_path: Path
) -> None:
    plan = load(llama_study())
    with Study.create(plan) as study:
        assert study.run(plan) == Ending("all 2 trials are done")
        best = study.best
        assert best is not None
        command = write_best(study, best)
        (trial,) = [json.loads((study.trial_folder(best) / "trial.json").read_text())]
    assert sorted(best.points) == [1, 2, 3, 4, 5, 6]
    written = dialect.load(Path("studies/lf/best.yaml")).data
    assert written["lora_alpha"] == written["lora_rank"] * best.parameters["ratio"]
    assert written["learning_rate"] == best.parameters["learning_rate"]
    assert written["output_dir"] == str(tmp_path / "studies/lf/best/out")
    assert written == dialect.load(Path("studies/lf/trials") / best.folder / "trial.yaml").data | {
        "output_dir": written["output_dir"]
    }
    mark = {"FOVEA_TRIAL_DIR": str(tmp_path)}  # by which its grandchild is found below
    subprocess.run(command.split(), check=True, env=os.environ | mark, timeout=60)
    again = json.loads(Path("studies/lf/best/out/all_results.json").read_text())
    assert again["eval_loss"] == best.values[0]
    assert trial["settings"]["lora_alpha"] == written["lora_alpha"]
    for pid in living(tmp_path):
        psutil.Process(pid).kill()


@pytest.mark.parametrize(
    ("fate", "changes", "state", "failure", "words"),
    [
        ("oom", {}, "failed", "oom", "CUDA out of memory"),
        ("nan", {}, "pruned", "nan", "is no number"),
        ("no_metric", {}, "failed", "no_metric", "Metrics seen:"),
        ("hang", {"trial": {"stall": 1.5}}, "failed", "stall", "said nothing for 1.5 s"),
        ("hang", {"trial": {"timeout": 2.5}}, "failed", "timeout", "took longer than 2.5 s"),
        (
            "hang",
            {"trial": {"timeout": 2.5, "timeout_as": "prune"}},
            "pruned",
            "timeout",
            "took longer",
        ),
        ("error", {}, "failed", "error", "exit status 1"),
        ("", {"prune": {"method": "threshold", "upper": 1.1}}, "pruned", "pruned", "lags"),
    ],
)
@pytest.mark.acceptance(3)
def test_a_trial_ends_as_what_it_was_and_leaves_no_process(
    llama_study: StudyFile,
    tmp_path: Path,
    fate: str,
    changes: dict[str, Any],
    state: str,
    failure: str,
    words: str,
) -> None:
    path = llama_study(
        fixed={"run_name": fate, "max_steps": 6 if fate else 400},
        base={"lora_rank": 16},
        **dialect.merge({"budget": {"trials": 1}, "trial": {"abort_after": 1}}, changes),
    )
    _, records = run(path)
    assert records[0].seconds < 60
    assert (records[0].state, records[0].failure) == (state, failure)
    assert words in records[0].message
    assert records[0].values == () or state == "pruned"
    assert living(tmp_path) == []
    assert (tmp_path / "studies/lf/trials" / records[0].folder / "console.log").is_file()


@pytest.mark.acceptance(4)
def test_after_a_kill_the_trial_goes_on_from_its_checkpoint(
    llama_study: StudyFile, tmp_path: Path
) -> None:
    path = llama_study(fixed={"max_steps": 30}, trial={"keep": "all"})
    command = [sys.executable, "-m", "fovea", "tune", str(path)]
    process = subprocess.Popen(command, env=os.environ | {"FAKE_PAUSE_S": "0.1"})
    trials = tmp_path / "studies/lf/trials"
    deadline = time.monotonic() + 120
    while not list(trials.glob("*/out/checkpoint-1?")):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder,) = list(trials.iterdir())
    (folder / "out/checkpoint-999").mkdir()  # a kill in the middle of saving
    assert subprocess.run(command, check=False).returncode == 0
    assert living(tmp_path) == []
    with Study.open(tmp_path / "studies/lf") as study:
        records = study.records
    assert [r.failure for r in records if r.failure] == ["worker_lost"]
    kept = [record for record in records if record.state == "complete"]
    assert len(kept) == 2
    again = next(record for record in kept if record.retry_of == 0)
    assert again.parameters == records[0].parameters
    assert "Resuming training" in (trials / again.folder / "console.log").read_text()
    assert sorted(again.points) == list(range(1, 31))


SCRIPT = """
for step in 1 2 3; do echo "step $step: score $(echo "$X $step" | awk '{print $1*$2}')"; done
echo "{\\"speed\\": $1}" > "$FOVEA_TRIAL_DIR/end.json"
sleep 300 &
"""


def test_a_shell_script_of_ones_own_is_tuned_by_words_and_variables(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text(SCRIPT)
    command = {
        "argv": ["sh", "train.sh", "{param:depth}"],
        "env": {"X": "{param:x}"},
        "metrics": [
            {"regex": r"step (?P<step>\d+): score (?P<score>\S+)"},
            {"json": "end.json", "final": True},
        ],
    }
    data = {
        "study": "own",
        "target": {"command": command},
        "objectives": [{"metric": "score", "goal": "max"}, {"metric": "speed", "goal": "max"}],
        "space": {"x": {"float": [0, 1], "step": 0.5}, "depth": {"int": [2, 3]}},
        "search": {"method": "grid"},
    }
    (tmp_path / "study.yaml").write_text(dialect.dump(data))
    ending, records = run(tmp_path / "study.yaml")
    assert ending == Ending("all combinations are done")
    for record in records:
        assert record.values == (3 * record.parameters["x"], record.parameters["depth"])
    assert living(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {"lora_r": {"choice": [8]}}}, "has no setting lora_r; did you mean lora_rank?"),
        ({"fixed": {"output_dir": "x"}}, "output_dir is each trial's own"),
        ({"base": {"do_train": False}}, "add do_train: true"),
        ({"base": {"template": None}}, "template is missing"),
        ({"target": {"command": {"adapter": "llama-factory"}}}, "did you mean llamafactory?"),
        ({"target": {"command": {"argv": ["train", "{confg}"]}}}, "did you mean {config}?"),
        ({"target": {"command": {"argv": ["train", '{"a"']}}}, "write {{ for a brace"),
        ({"target": {"command": {"config": {"base": "sfd.yaml"}}}}, "there is no file"),
        ({"target": {"command": {"confg": {}}}}, "did you mean"),
        ({"target": {"command": {"metrics": [{"jsonl": "a", "csv": "b"}]}}}, "exactly one of"),
        ({"target": {"command": {"metrics": [{"regex": "(?P<step>"}]}}}, "no regular expression"),
        ({"target": {"command": {"metrics": [{"regex": r"(\d)"}]}}}, "has no named group"),
        ({"target": {"command": {"config": {"write": "trial.toml"}}}}, "written as YAML or JSON"),
        ({"target": {"stage": "relight.fit"}}, "needs either a stage of fovea or a command"),
    ],
)
def test_a_wrong_command_is_refused_before_its_first_trial(
    llama_study: StudyFile, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(llama_study(**changes))
    assert words in str(caught.value)
    assert "study.yaml" in str(caught.value) or "sfd.yaml" in str(caught.value)


def test_a_command_that_is_not_there_costs_no_trial(llama_study: StudyFile) -> None:
    path = llama_study(target={"command": {"argv": ["llamafactory-nope", "{config}"]}})
    with pytest.raises(BackendError, match="llamafactory-nope is not found"):
        load(path)
    assert not Path("studies").exists()


def test_what_would_waste_the_trials_is_noted(llama_study: StudyFile) -> None:
    notes = load(llama_study(fixed={"eval_strategy": "no", "val_size": 0})).notes
    assert any("Nothing is evaluated while training" in note for note in notes)
    assert any("nothing to evaluate on" in note for note in notes)
    assert any("ratio" in note and "No baseline" in note for note in notes)


def test_the_plan_shows_the_file_and_the_command(
    llama_study: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(llama_study())]) == 0
    assert "lora_rank" in capsys.readouterr().out


def test_a_changed_command_under_the_same_name_is_refused(llama_study: StudyFile) -> None:
    run(llama_study(budget={"trials": 1}))
    with pytest.raises(ConfigError, match=r"base\.max_steps"):
        run(llama_study(base={"max_steps": 7}))
    with Study.open(Path("studies/lf")) as study:
        plan = load(study.folder / "study.yaml")  # its files are found from there too
        assert study.use == plan.use
