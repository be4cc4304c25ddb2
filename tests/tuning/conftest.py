"""Studies of a toy stage that trials' processes can import too."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea import dialect

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _toy_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [HERE, before])))
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file of the toy; what is given replaces what stands here, None removes it."""

    def write(**changes: Any) -> Path:
        data: dict[str, Any] = {
            "study": "toy",
            "target": {"stage": "toy_tuning:TOY"},
            "objective": {"metric": "val/score", "goal": "max"},
            "space": {"x": {"float": [-5, 5]}, "depth": {"int": [1, 8]}},
            "search": {"method": "bayesian", "seed": 7, "startup": 4},
            "prune": {"method": "none"},
            "budget": {"trials": 3},
            "trial": {"isolation": "inline"},
        }
        data |= changes
        path = tmp_path / "study.yaml"
        path.write_text(dialect.dump({k: v for k, v in data.items() if v is not None}))
        return path

    return write


QUICK = """
import json, os, pathlib, sys, time
folder = pathlib.Path(os.environ["FOVEA_TRIAL_DIR"])
x, pause = float(sys.argv[1]), float(sys.argv[2])
for step in range(1, 4):
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "loss": (x - 2) ** 2 + 1 / step}) + "\\n")
    time.sleep(pause / 3)
(folder / "end.json").write_text(json.dumps({"loss": (x - 2) ** 2}))
"""


@pytest.fixture
def quick_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study of a command that takes some hundredths of a second; changes lie over it."""

    def write(pause: float = 0.0, **changes: Any) -> Path:
        (tmp_path / "quick.py").write_text(QUICK)
        argv = [sys.executable, "-SE", "quick.py", "{param:x}", str(pause)]
        metrics = [{"jsonl": "log.jsonl"}, {"json": "end.json", "final": True}]
        data: dict[str, Any] = {
            "study": "quick",
            "target": {"command": {"argv": argv, "metrics": metrics}},
            "objective": {"metric": "loss", "goal": "min"},
            "space": {"x": {"float": [-5, 5]}},
            "search": {"method": "random", "seed": 7},
            "prune": {"method": "none"},
            "budget": {"trials": 6},
            "trial": {"grace": 2, "keep": "all"},
            "resources": {"threads": 1, "min_free": 0},
            "track": {"tensorboard": False},
        }
        path = tmp_path / "study.yaml"
        path.write_text(dialect.dump(dialect.merge(data, changes)))
        return path

    return write
