"""TextVQA: what is asked, and what an answer file scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import DataError
from fovea.vlm.tasks import textvqa
from fovea.vlm.tasks.item import Answer, read_answers


def question(id: int = 1, image: str = "a.jpg", **more: Any) -> dict[str, Any]:
    return {
        "question_id": id,
        "image_id": image.removesuffix(".jpg"),
        "image": image,
        "question": "What brand is it?",
        "answers": ["nike"] * 10,
        "ocr_tokens": ["NIKE", "AIR"],
        **more,
    }


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"data": [question()]}))
    return path


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"data": list(rows)}))
    return path


def test_questions_are_found_in_prompts_as_the_reference_finds_them(goldens: Path) -> None:
    golden = json.loads((goldens / "vlm" / "textvqa_eval.json").read_text())
    for case in golden["prompt_to_question"]:
        if "error" in case:
            with pytest.raises(DataError, match="a prompt is a question"):
                textvqa.question_of(case["prompt"])
        else:
            assert textvqa.question_of(case["prompt"]) == case["question"]


def test_ocr_tokens_stand_between_question_and_instruction(annotations: Path) -> None:
    (item,) = textvqa.read_items(annotations)
    assert item.model_input == (
        "<image>\nWhat brand is it?\nReference OCR token: NIKE, AIR\n"
        "Answer the question using a single word or phrase."
    )
    (plain,) = textvqa.read_items(annotations, with_ocr=False)
    assert plain.prompt.count("\n") == 1
    assert textvqa.question_of(item.prompt) == textvqa.question_of(plain.prompt)


def test_a_list_of_prompts_is_joined_with_the_annotations(annotations: Path) -> None:
    prompts = annotations.parent / "prompts.jsonl"
    line = {"question_id": "a", "image": "a.jpg", "text": textvqa.prompt("what brand is it?")}
    prompts.write_text(json.dumps(line) + "\n")
    (item,) = textvqa.read_items(annotations, prompts=prompts)
    assert item.prompt == line["text"]
    assert item.facts["answers"] == ["nike"] * 10
    prompts.write_text(json.dumps({**line, "question_id": "b"}) + "\n")
    with pytest.raises(DataError, match=r"question 'b' of .* is not among the annotations"):
        textvqa.read_items(annotations, prompts=prompts)


def test_answers_written_and_read_again_are_scored(annotations: Path, tmp_path: Path) -> None:
    items = textvqa.read_items(annotations)
    file = tmp_path / "answers.jsonl"
    file.write_text(Answer("1", items[0].prompt, "Nike.").line("tiny") + "\n")
    mean, scored = textvqa.score(items, read_answers(file), where=file)
    assert mean == 1.0
    assert scored[0].text == "Nike."


def test_a_question_without_an_answer_is_named(annotations: Path, tmp_path: Path) -> None:
    items = textvqa.read_items(annotations)
    with pytest.raises(DataError, match=r"question 1 .* has no line"):
        textvqa.score(items, [Answer("2", "", "x")], where=tmp_path)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "holds no question"),
        ([question(answers=["nike"] * 9)], "has 9. Repeat them"),
        ([question(image="b.jpg")], "has no such file"),
        ([{"question": "what?"}], "should be TextVQA's"),
    ],
)
def test_annotations_that_cannot_be_asked_are_refused(
    annotations: Path, rows: list[dict[str, Any]], sentence: str
) -> None:
    write(annotations, *rows)
    with pytest.raises(DataError, match=sentence):
        textvqa.read_items(annotations)


def test_the_real_photographs_questions_are_read(data_folder: Path) -> None:
    items = textvqa.read_items(data_folder / "imagetext/textvqa_mini/real_photo_qa.json")
    assert len(items) == 21
    assert all(isinstance(item.image, Path) and item.image.is_file() for item in items)
