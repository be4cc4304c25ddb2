"""Short answers: processing and soft accuracy, against the reference's answers."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.metrics.answers import (
    ANSWERS,
    ARTICLES,
    NUMBERS,
    PUNCTUATION,
    AnswerAccuracy,
    process_answer,
    soft_accuracy,
    tokenize,
)
from fovea.metrics.contractions import CONTRACTIONS


@pytest.fixture
def golden(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "vlm" / "textvqa_eval.json").read_text())


def test_answers_are_processed_as_the_reference_does(golden: dict[str, Any]) -> None:
    for case in golden["answer_processing"]:
        assert tokenize(case["input"]) == case["word_tokenize"], case
        assert process_answer(case["input"]) == case["output"], case


def test_the_tables_are_the_reference_s(golden: dict[str, Any]) -> None:
    tables = golden["tables"]
    assert tables["contractions"] == CONTRACTIONS
    assert tables["number_map"] == NUMBERS
    assert set(tables["articles"]) == ARTICLES
    assert "".join(tables["punctuations"]) == PUNCTUATION


def test_scores_and_their_mean_are_the_reference_s(golden: dict[str, Any]) -> None:
    metric = AnswerAccuracy()
    for case in golden["vqa_scores"]:
        score = metric.update(case["prediction"], case["gt_answers"])
        assert score == pytest.approx(case["score"], abs=1e-12), case
    assert metric.compute() == pytest.approx(golden["overall_accuracy"], abs=1e-12)


def test_a_real_model_s_answers_score_as_the_challenge_says(data_folder: Path) -> None:
    file = data_folder / "imagetext/textvqa_mini/val_text_only_with_predictions.json"
    real = json.loads(file.read_text())
    metric = AnswerAccuracy()
    for one in real["data"]:
        score = metric.update(one["prediction"], one["answers"])
        assert score == pytest.approx(one["expected_textvqa_accuracy"], abs=1e-9), one
    assert metric.compute() == pytest.approx(real["mean_textvqa_accuracy"], abs=1e-9)


@given(st.integers(0, ANSWERS))
def test_soft_accuracy_is_the_mean_over_nine_of_ten_people(matches: int) -> None:
    answers = ["nike"] * matches + [f"other{number}" for number in range(ANSWERS - matches)]
    nines = list(combinations(answers, ANSWERS - 1))
    expected = sum(min(1, nine.count("nike") / 3) for nine in nines) / len(nines)
    assert soft_accuracy("Nike", answers) == pytest.approx(expected)


def test_the_older_processor_keeps_an_apostrophe_and_reads_a_comma_in_a_number() -> None:
    assert process_answer("It's 1,000?", "vqa") == "it's 1000"
    assert process_answer("It's 1,000?", "textvqa") == "it 's 1000"


def test_nine_answers_are_refused() -> None:
    with pytest.raises(DataError, match=r"10 people's answers; found 9"):
        soft_accuracy("nike", ["nike"] * 9)


def test_an_accuracy_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="before it saw an answer"):
        AnswerAccuracy().compute()
