"""A study under fire (benchmarks/speed/tuning_kill.py), as short as it can be here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/speed/tuning_kill.py"


WHOLE = pytest.mark.skipif(
    "FOVEA_LONG" not in os.environ,
    reason="ten minutes: set FOVEA_LONG=1, or python benchmarks/speed/tuning_kill.py",
)


@pytest.mark.parametrize(
    ("trials", "kills", "seconds"),
    [(8, 8, 0.5), pytest.param(60, 100, 1.0, marks=[pytest.mark.slow, WHOLE])],
)
def test_whoever_is_killed_the_budget_is_exact_and_nothing_is_left(
    trials: int, kills: int, seconds: float
) -> None:
    words = ["--trials", str(trials), "--kills", str(kills), "--seconds", str(seconds)]
    told = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
