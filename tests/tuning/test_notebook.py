"""Studies from Python, handles in loops of one's own, callbacks of Hugging Face and Lightning."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import fovea
from fovea import dialect
from fovea.errors import ConfigError
from fovea.tuning.handle import TrialHandle
from fovea.tuning.notebook import Study, opened

TOY: dict[str, Any] = {
    "study": "toy",
    "target": {"stage": "toy_tuning:TOY"},
    "objective": {"metric": "val/score", "goal": "max"},
    "space": {"x": {"float": [-5, 5]}, "depth": {"int": [1, 8]}},
    "search": {"method": "random", "seed": 7},
    "trial": {"isolation": "inline"},
}


def test_a_mapping_is_tuned_and_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    with fovea.tune(TOY, trials=2) as study:
        assert len(study.records) == 2
        assert "trial    1  complete" in capsys.readouterr().out
    with fovea.tune(TOY, "search.seed=8", trials=5, quiet=True) as study:
        assert len(study.records) == 5
        assert study.ending is not None
        assert "all 5 trials" in study.ending.reason
    assert capsys.readouterr().out == ""
    with opened("studies/toy") as study:
        assert len(study.records) == 5


@pytest.fixture
def study() -> Any:
    with fovea.tune(TOY, trials=5, quiet=True) as made:
        yield made


def test_trials_are_rows(study: Study) -> None:
    pytest.importorskip("pandas", reason="needs pandas; without it rows are mappings")
    rows = study.trials
    assert list(rows["trial"]) == [0, 1, 2, 3, 4]
    best = study.best
    assert best is not None
    assert rows.loc[rows["val/score"].idxmax(), "params.x"] == study.best_params["x"]
    assert study.best_params == dict(best.parameters)
    assert "best trial" in repr(study)


def test_every_picture_shows_and_saves_itself(study: Study, tmp_path: Path) -> None:
    for name in ("history", "curves", "importances", "contour", "parallel", "timeline"):
        picture = getattr(study, f"plot_{name}")()
        assert "<iframe srcdoc=" in picture._repr_html_()
        path = picture.save(tmp_path / f"{name}.svg")
        assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    with pytest.raises(ConfigError, match="is 2 pictures"):
        study.plot_slices().save(tmp_path / "slices.svg")
    assert study.plot_slices().save(tmp_path / "slices.html").is_file()
    assert "best val/score" in study._repr_html_()
    assert study.report().is_file()
    assert study.write_best() == "fovea run studies/toy/best.yaml"


def test_a_mapping_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="a study needs a name"):
        fovea.tune({key: value for key, value in TOY.items() if key != "study"})


# The handle

LOOP = """
import time
from fovea.tuning.handle import TrialHandle

trial = TrialHandle.here()
rate = trial.get("rate", 0.5)
for step in range(1, 200):
    trial.log(step, {"loss": rate / step})
    if trial.should_stop():
        open("stopped-well", "a").write(f"{step}\\n")
        break
    if step >= 5 and rate < 0.9:
        break
    time.sleep(0.02)
"""


def test_without_a_study_a_handle_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOVEA_TRIAL_DIR", raising=False)
    trial = TrialHandle.here()
    trial.log(1, {"loss": 2.0})
    assert (trial.params, trial.should_stop(), trial.get("rate", 0.5)) == ({}, False, 0.5)


def test_a_loop_with_a_handle_is_tuned_pruned_and_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LOOP)
    data = {
        "study": "own",
        "target": {"command": {"adapter": "handle", "argv": [sys.executable, "train.py"]}},
        "objective": {"metric": "loss", "goal": "min"},
        "space": {"rate": {"float": [0.1, 1.0]}},
        "enqueue": [{"rate": 0.2}, {"rate": 1.0}],
        "prune": {"method": "median", "startup": 1, "warmup": 2},
        "trial": {"grace": 10},
        "budget": {"trials": 2},
        "track": {"tensorboard": False},
    }
    (tmp_path / "study.yaml").write_text(dialect.dump(data))
    with fovea.tune(tmp_path / "study.yaml", quiet=True) as study:
        first, second = study.records
    assert (first.state, first.values) == ("complete", (0.2 / 5,))
    assert dict(first.points) == {step: 0.2 / step for step in range(1, 6)}
    assert second.state == "pruned"
    assert (tmp_path / "stopped-well").is_file()  # it heard the wish and left the loop


def test_a_stages_context_serves_as_a_handle() -> None:
    class Context:
        def __init__(self) -> None:
            from toy_tuning import ToyConfig

            self.config, self.told = ToyConfig(x=3.0), list[Any]()

        def log(self, step: int, metrics: Any) -> None:
            self.told.append((step, metrics))

        def should_stop(self) -> bool:
            return True

    context = Context()
    trial = TrialHandle.of(context)
    trial.log(4, {"loss": 1})
    assert context.told == [(4, {"loss": 1.0})]
    assert (trial.get("x", 0.0), trial.should_stop()) == (3.0, True)


# Callbacks, on the real trainers

HUGGINGFACE = """
import json, torch, transformers
from fovea.tuning.callbacks import huggingface

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x, labels):
        return {"loss": ((self.layer(x)[:, 0] - labels) ** 2).mean()}

rows = [{"x": torch.tensor([float(i % 3), 1.0]), "labels": torch.tensor(float(i % 3))}
        for i in range(32)]
arguments = transformers.TrainingArguments(
    output_dir="out", max_steps=6, logging_steps=2, eval_strategy="steps", eval_steps=3,
    per_device_train_batch_size=8, report_to="none", use_cpu=True, save_strategy="no",
    disable_tqdm=True, seed=0)
trainer = transformers.Trainer(Line(), arguments, train_dataset=rows, eval_dataset=rows[:8],
    callbacks=[huggingface()])
trainer.train()
json.dump(trainer.state.log_history, open("history.json", "w"))
"""


def test_the_callback_of_hugging_face_reports_what_its_trainer_logs(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    _call(HUGGINGFACE, tmp_path)
    history = json.loads((tmp_path / "history.json").read_text())
    reported = [json.loads(line) for line in (tmp_path / "reported.jsonl").read_text().splitlines()]
    for name in ("loss", "eval_loss"):
        expected = {one["step"]: one[name] for one in history if name in one}
        assert {one["step"]: one[name] for one in reported if name in one} == expected != {}


LIGHTNING = """
import torch
import lightning.pytorch as L
from fovea.tuning.callbacks import lightning
from fovea.tuning.handle import TrialHandle

class Line(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, index):
        return self.layer(batch).square().mean()
    def validation_step(self, batch, index):
        self.log("val/loss", float(self.global_step))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

trial = TrialHandle(log=TrialHandle.here().log, should_stop=lambda: trainer.global_step >= 11)
loader = torch.utils.data.DataLoader(torch.ones(40, 2), batch_size=8)
trainer = L.Trainer(max_epochs=9, accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, callbacks=[lightning(trial)])
trainer.fit(Line(), loader, loader)
open("steps", "w").write(str(trainer.global_step))
"""


def test_the_callback_of_lightning_reports_and_stops(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="needs lightning")
    _call(LIGHTNING, tmp_path)
    reported = [json.loads(line) for line in (tmp_path / "reported.jsonl").read_text().splitlines()]
    series = {one["step"]: one["val/loss"] for one in reported if "val/loss" in one}
    assert series[5] == 5.0
    assert series[10] == 10.0
    assert int((tmp_path / "steps").read_text()) == 11


def _call(script: str, folder: Path) -> None:
    own = {"FOVEA_TRIAL_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(
        words, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
