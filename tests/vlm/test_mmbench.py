"""MMBench: what is asked about a row, its rotations, and the table that is handed in."""

import base64
import csv
import hashlib
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from PIL import Image

from fovea.errors import DataError
from fovea.metrics.choices import circular_accuracy, questions
from fovea.vlm.tasks import mmbench
from fovea.vlm.tasks.item import Answer, Item


@pytest.fixture
def golden(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "vlm" / "mmbench_eval.json").read_text())


@pytest.fixture
def items(goldens: Path) -> list[Item]:
    return mmbench.read_items(goldens / "vlm" / "mmbench_toy.tsv")


@pytest.fixture
def answers(items: list[Item], golden: dict[str, Any]) -> list[Answer]:
    return [Answer(item.id, item.prompt, golden["predictions"][item.id]) for item in items]


def table(path: Path, *rows: dict[str, str]) -> Path:
    drawn = BytesIO()
    Image.new("RGB", (4, 4), "red").save(drawn, "PNG")
    row = {
        "index": "7",
        "question": "Which?",
        "A": "cat",
        "B": "dog",
        "C": "",
        "answer": "B",
        "image": base64.b64encode(drawn.getvalue()).decode(),
    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row), delimiter="\t")
        writer.writeheader()
        writer.writerows(row | changed for changed in rows or ({},))
    return path


def test_rows_are_asked_in_the_reference_s_words(items: list[Item], golden: dict[str, Any]) -> None:
    asked = {item.id: item for item in items}
    for case in golden["prompts"]:
        item = asked[str(case["index"])]
        assert item.model_input == case["model_input"]
        assert mmbench.prompt(item.facts, ask=False) == case["prompt"]
        assert list(item.facts["options"].values()) == case["options"]


def test_answers_score_as_the_reference_scores_them(
    items: list[Item], answers: list[Answer], golden: dict[str, Any]
) -> None:
    rows = mmbench.choices(items, answers, where=Path("answers.jsonl"))
    assert circular_accuracy(questions(rows)) == golden["circular_accuracy"]


def test_the_table_handed_in_has_the_reference_s_columns_and_is_the_same_file_twice(
    items: list[Item], answers: list[Answer], golden: dict[str, Any], tmp_path: Path
) -> None:
    digests = set[str]()
    for name in ("a.xlsx", "b.xlsx"):
        mmbench.write_upload(tmp_path / name, items, answers, where=tmp_path)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    rows = list(openpyxl.load_workbook(tmp_path / "a.xlsx").active.iter_rows(values_only=True))
    assert list(rows[0]) == golden["submission_columns"]
    predictions = {row[0]: row[rows[0].index("prediction")] for row in rows[1:]}
    assert {str(k): v for k, v in predictions.items()} == golden["predictions"]


def test_own_rotations_are_those_of_a_table_that_has_them(goldens: Path) -> None:
    published = {item.id: item for item in mmbench.read_items(goldens / "vlm" / "mmbench_toy.tsv")}
    for row in [item.facts for item in published.values() if int(item.id) < mmbench.ROTATION]:
        for turned in mmbench.rotations(row):
            there = published[turned["index"]].facts
            assert mmbench.options_of(turned) == there["options"]
            assert turned["answer"] == there["answer"]


def test_vlmeval_s_wording_names_hint_and_options(tmp_path: Path) -> None:
    (item,) = mmbench.read_items(table(tmp_path / "t.tsv"), style="vlmeval")
    assert item.prompt == (
        "Question: Which?\nOptions:\nA. cat\nB. dog\n"
        "Please select the correct answer from the options above. \n"
    )


def test_a_picture_may_be_another_row_s(tmp_path: Path) -> None:
    path = table(tmp_path / "t.tsv", {}, {"index": "1000007", "image": "7"})
    first, second = mmbench.read_items(path)
    assert first.image == second.image


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"image": "no base64!" * 9}, "is not base64"),
        ({"index": "seven"}, "the index of a row is a number"),
    ],
)
def test_tables_that_cannot_be_asked_are_refused(
    tmp_path: Path, changed: dict[str, str], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        mmbench.read_items(table(tmp_path / "t.tsv", changed))


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("index\tquestion\n1\twhat?\n")
    with pytest.raises(DataError, match="lacks A, B, image"):
        mmbench.read_items(tmp_path / "t.tsv")


def test_a_test_split_cannot_be_scored_here(tmp_path: Path) -> None:
    items = mmbench.read_items(table(tmp_path / "t.tsv", {"answer": ""}))
    with pytest.raises(DataError, match="test split"):
        mmbench.choices(items, [Answer("7", items[0].prompt, "A")], where=tmp_path)


def test_the_real_samples_are_read_pictures_and_all(data_folder: Path) -> None:
    items = mmbench.read_items(data_folder / "imagetext/mmbench_samples/mmbench_samples.tsv")
    assert len(items) == 34
    for item in items:
        assert isinstance(item.image, bytes)
        Image.open(BytesIO(item.image)).load()
