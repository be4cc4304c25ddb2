"""What the Tab key offers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fovea.cli import main
from fovea.completion import SHELLS, offered


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("rel", ["relight"]),
        ("ser", ["serve"]),
        ("photo pre", ["predict"]),
        ("relight fit iterat", ["iterations="]),
        ("relight.fit iterat", ["iterations="]),
        ("relight fit --preset ti", ["tiny"]),
        ("relight fit --dry", ["--dry-run"]),
        ("run de", ["demo"]),
        ("config expl", ["explain"]),
        ("config explain relight.fi", ["relight.film", "relight.fit"]),
        ("nothing of this", []),
        ("run demo fit", []),
    ],
)
def test_the_last_word_is_completed_after_those_before_it(words: str, offers: list[str]) -> None:
    assert sorted(offered(words.split())) == offers


def test_after_a_space_all_that_may_follow_is_offered() -> None:
    assert {"relight", "photo", "run", "completion"} <= set(offered([""]))
    assert {"fit", "bake"} <= set(offered(["relight", ""]))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs the shell {shell}, and it is not installed")
    read = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")


def test_bash_offers_what_fovea_says(tmp_path: Path) -> None:
    fovea = tmp_path / "fovea"
    fovea.write_text(f'#!/bin/sh\nexec {sys.executable} -m fovea "$@"\n')
    fovea.chmod(0o755)
    asked = 'COMP_WORDS=(fovea photo pre) COMP_CWORD=2; _fovea; echo "${COMPREPLY[@]}"'
    paths = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    told = subprocess.run(
        ["bash", "-c", f"{SHELLS['bash']}\n{asked}"],
        env=os.environ | {"PATH": paths},
        capture_output=True,
        text=True,
    )
    assert (told.stdout, told.stderr) == ("predict\n", "")


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zhs"]) == 2
    assert "Did you mean 'zsh'? Shells: bash, zsh, fish." in capsys.readouterr().err
