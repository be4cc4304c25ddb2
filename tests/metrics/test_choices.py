"""Multiple choice: which letter an answer means, and when a question counts."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fovea.metrics.choices import (
    LETTERS,
    Choice,
    circular_accuracy,
    infer,
    infer_by_letter,
    infer_by_text,
    questions,
    report,
    vanilla_accuracy,
)


@pytest.fixture
def golden(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "vlm" / "mmbench_eval.json").read_text())


@pytest.fixture
def answered(goldens: Path, golden: dict[str, Any]) -> list[Choice]:
    with (goldens / "vlm" / "mmbench_toy.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Choice(
            int(row["index"]),
            golden["predictions"][row["index"]],
            {letter: row[letter] for letter in LETTERS if row[letter]},
            row["answer"],
            row["category"],
            row["l2-category"],
        )
        for row in rows
    ]


def test_answers_mean_the_letters_the_reference_finds(golden: dict[str, Any]) -> None:
    for case in golden["option_matching"]:
        options = golden["choice_sets"][case["choices"]]
        said = case["prediction"]
        assert infer(said, options) == case["result"], case
        assert infer_by_letter(said, options) == case["by_option"], case
        if case["by_option"] is None:
            assert infer_by_text(said, options) == case["by_text"], case


def test_a_question_counts_only_if_every_rotation_is_right(
    answered: list[Choice], golden: dict[str, Any]
) -> None:
    asked = {question.index: question for question in questions(answered)}
    for group in golden["circular_groups"]:
        question = asked[group["g_index"]]
        assert [row.inferred for row in question.rows] == group["inferred"], group
        assert question.is_hit == bool(group["hit"]), group
        assert question.is_decided_by_rules == group["decided_by_rules"], group
    assert circular_accuracy(list(asked.values())) == golden["circular_accuracy"]


def test_single_rows_and_the_report_by_ability_are_the_reference_s(
    answered: list[Choice], golden: dict[str, Any]
) -> None:
    by_index = sorted(answered, key=lambda row: row.index)
    assert [int(row.is_hit) for row in by_index] == golden["vanilla_hits"]
    assert vanilla_accuracy(answered) == pytest.approx(golden["vanilla_accuracy"])
    expected = {k: v[0] for k, v in golden["report"].items() if k != "split"}
    assert report(questions(answered)) == pytest.approx(expected)


def test_a_letter_that_is_no_option_is_not_taken() -> None:
    assert infer("The answer is **C**", {"A": "yes", "B": "no"}) is None


def test_a_failed_call_means_nothing_even_if_it_names_a_letter() -> None:
    assert infer("Failed to obtain answer via API. A", {"A": "yes", "B": "no"}) is None


def test_no_question_at_all_is_no_hit() -> None:
    assert circular_accuracy([]) == 0.0
