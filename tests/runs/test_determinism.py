"""`--deterministic`: torch takes operations that give the same numbers, or the stage ends."""

import json
from pathlib import Path
from typing import Literal

import pytest
import torch

from fovea.runs.determinism import deterministic
from fovea.runs.recipe import load
from fovea.runs.run import Run, execute


@pytest.fixture
def by_chance(tmp_path: Path) -> Path:
    """A stage whose result depends on the order of what is done at the same time."""
    path = tmp_path / "chance.yaml"
    path.write_text('stages: {only: {use: "toy_stages:BREAK", with: {how: chance}}}\n')
    return path


@pytest.mark.parametrize("isolation", ["inline", "process"])
def test_an_operation_without_a_deterministic_form_ends_the_stage(
    isolation: Literal["inline", "process"], by_chance: Path, tmp_path: Path
) -> None:
    def run(is_asked: bool) -> Run:
        return execute(
            load(by_chance), folder=tmp_path / str(is_asked), isolation=isolation,
            device="cpu", deterministic=is_asked,
        )  # fmt: skip

    # The toy makes no output, and that is all that is wrong with it.
    plain = run(False).stages[0].error
    assert plain
    assert "ended without making" in plain.message
    stage = run(True).stages[0]
    assert json.loads((stage.folder / "stage.json").read_text())["deterministic"]
    assert stage.error
    assert stage.error.code == "deterministic"
    assert "no deterministic form here: put_. Leave --deterministic out" in stage.error.message


def test_torch_is_left_as_it_was() -> None:
    for is_asked in (True, False):
        with deterministic(is_asked):
            assert torch.are_deterministic_algorithms_enabled() == is_asked
        assert not torch.are_deterministic_algorithms_enabled()
