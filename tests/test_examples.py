"""The examples run as they stand, in a folder of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {
    "01_photographs_to_scene.py": ("60", "dB on views it has not seen"),
    "02_draw_a_scene.py": ("", "gaussians.png"),
    "03_search_settings.py": ("2", "best.yaml"),
    "04_photographs_to_relit_object.py": ("relight-tiny", "relit.png"),
    "05_tune_from_python.py": ("4", "history.svg"),
}


def test_every_example_is_listed_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_an_example_runs_and_says_what_it_made(name: str, tmp_path: Path) -> None:
    argument, said = SMALL[name]
    command = [sys.executable, str(EXAMPLES / name), *argument.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(SMALL))
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 40
