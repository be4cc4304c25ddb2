"""Wrong study files, and the sentences that answer them; see README.md one folder up."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fovea.errors import FoveaError
from fovea.tuning.command import main

HERE = Path(__file__).parent
FILE = """\
study: rates
target: {stage: relight.fit, config: tiny}
objective: {metric: train/loss}
fixed: {data: "${samples}/still_life"}
space:
  rates.means: {float: [4.0e-5, 2.0e-3], log: true}
  densify.interval: {int: [50, 400], step: 50}
budget: {trials: 20}
"""


def without(line: str) -> str:
    """The file without a line that begins so."""
    return "".join(f"{one}\n" for one in FILE.splitlines() if not one.startswith(line))


def unknown_setting_in_the_space() -> str:
    return FILE.replace("rates.means:", "rates.mean:")


def unknown_key_of_the_study() -> str:
    return FILE.replace("budget:", "budgte:")


def range_that_the_stage_forbids() -> str:
    return FILE.replace("[50, 400]", "[0, 400]")


def range_upside_down() -> str:
    return FILE.replace("[4.0e-5, 2.0e-3]", "[2.0e-3, 4.0e-5]")


def logarithm_of_zero() -> str:
    return FILE.replace("[4.0e-5, 2.0e-3]", "[0, 2.0e-3]")


def two_kinds_of_one_parameter() -> str:
    return FILE.replace("log: true", "choice: [1.0e-4]")


def grid_with_an_open_range() -> str:
    return f"{FILE}search: {{method: grid}}\n"


def pruning_with_two_goals() -> str:
    goals = "objectives: [{metric: train/loss}, {metric: test/psnr}]\n"
    return without("objective") + goals + "prune: {method: median}\n"


def condition_on_an_unknown_name() -> str:
    return FILE.replace("step: 50", "step: 50, when: 'rates.mean > 1.0e-4'")


def setting_searched_and_fixed() -> str:
    return FILE.replace('still_life"}', 'still_life", rates.means: 1.0e-3}')


def unknown_method() -> str:
    return f"{FILE}search: {{method: baysian}}\n"


def study_without_an_end() -> str:
    return without("budget")


def unknown_stage() -> str:
    return FILE.replace("relight.fit", "relight.fti")


def goal_without_a_direction() -> str:
    return FILE.replace("train/loss", "train/los")


def text_where_a_number_is_wanted() -> str:
    return FILE.replace("trials: 20", "trials: many")


CASES = [
    unknown_setting_in_the_space,
    unknown_key_of_the_study,
    range_that_the_stage_forbids,
    range_upside_down,
    logarithm_of_zero,
    two_kinds_of_one_parameter,
    grid_with_an_open_range,
    pruning_with_two_goals,
    condition_on_an_unknown_name,
    setting_searched_and_fixed,
    unknown_method,
    study_without_an_end,
    unknown_stage,
    goal_without_a_direction,
    text_where_a_number_is_wanted,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_wrong_study_file_is_answered_as_written(
    case: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(case())
    with pytest.raises(FoveaError) as caught:
        main(["plan", "study.yaml"])
    changed = [line for line in case().splitlines() if line not in FILE.splitlines()]
    said = "".join(f"  | {line}\n" for line in changed)
    message = f"{said}error: {caught.value}\nexit status {caught.value.exit_code}\n"
    message = re.sub(r"Stages: .*", "Stages: <all of them>.", message)
    path = HERE / f"{case.__name__}.txt"
    if os.environ.get("FOVEA_UPDATE_MESSAGES"):
        path.write_text(message)
    assert re.search(r"study\.yaml:\d+", message) or case is study_without_an_end
    assert "study.yaml" in message
    assert message == path.read_text()


def test_the_file_without_its_faults_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(FILE)
    assert main(["plan", "study.yaml"]) == 0


def test_every_message_belongs_to_a_case() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == {case.__name__ for case in CASES}
