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
