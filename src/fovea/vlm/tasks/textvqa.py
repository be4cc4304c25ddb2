"""TextVQA: questions about words in a photograph, each with ten people's answers.

Read from the challenge's own file (`TextVQA_0.5.1_val.json`), and from LLaVA's list of prompts
where one is given. OCR tokens of the annotation, or of a recogniser, go into the prompt's middle.

Source: Singh et al., "Towards VQA models that can read" (2019); prompts as LLaVA and MGM ask them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.metrics.answers import ANSWERS, AnswerAccuracy, Processor
from fovea.vlm.tasks.item import Answer, Item, joined

INSTRUCTION = "Answer the question using a single word or phrase."
OCR = "Reference OCR token: "
SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".webp")

_OCR_FIRST = re.compile(r"OCR tokens: .*Question: (.*) Short answer:", re.DOTALL)


@dataclass(frozen=True)
class Scored:
    """One question with its answer and score."""

    item: Item
    text: str
    score: float


def prompt(question: str, tokens: Sequence[str] = ()) -> str:
    """What the model is asked: the question, the words an OCR found, and to answer shortly."""
    seen = f"\n{OCR}{', '.join(tokens)}" if tokens else ""
    return f"{question}{seen}\n{INSTRUCTION}"


def question_of(prompt: str) -> str:
    """The question inside a prompt, lower-case: it is joined with the annotations by that.

    Raises:
        DataError: the prompt has none of the known forms.
    """
    lines = prompt.split("\n")
    found = _OCR_FIRST.match(prompt)
    if found:
        return found.group(1).lower()
    if len(lines) == 2:
        return lines[0].lower()
    if len(lines) == 3 and OCR in prompt:
        return (lines[1] if prompt.startswith(OCR) else lines[0]).lower()
    raise DataError(
        f"a prompt is a question, perhaps a line '{OCR}...', and an instruction; found "
        f"{len(lines)} lines: {prompt[:80]!r}. Ask as vlm.evaluate does."
    )


def read_items(
    annotations: Path,
    images: Path | None = None,
    *,
    prompts: Path | None = None,
    with_ocr: bool = True,
    with_pictures: bool = True,
    words: Mapping[str, Sequence[str]] | None = None,
) -> list[Item]:
    """The questions of an annotation file, asked in its order or as a list of prompts says.

    Args:
        annotations: `{"data": [{question, answers, image_id, image?, ocr_tokens?}]}`.
        images: their folder; None takes `image` relative to the annotations.
        prompts: LLaVA's lines `{question_id, image, text}`, instead of our own wording.
        with_ocr: whether the words of a picture are shown to the model.
        with_pictures: whether a missing picture is an error; scoring alone needs none.
        words: of each picture, by `image_id`; None takes the annotations' own `ocr_tokens`.

    Raises:
        DataError: a question has not ten answers, a picture is missing, a prompt has no question.
    """
    rows = _rows(annotations)
    folder = images or annotations.parent
    if prompts is not None:
        lines = _lines(prompts)
        return [_prompted(line, rows, folder, prompts, with_pictures) for line in lines]
    return [
        Item(
            id=str(row.get("question_id", row["image_id"])),
            prompt=prompt(row["question"], _words(row, words) if with_ocr else ()),
            image=_picture(row, folder, annotations, with_pictures),
            facts={"answers": row["answers"], "question": row["question"]},
        )
        for row in rows
    ]


def pictures(annotations: Path, images: Path | None = None) -> dict[str, Path]:
    """The picture of each `image_id`.

    Raises:
        DataError: one is missing.
    """
    folder = images or annotations.parent
    found: dict[str, Path] = {}
    for row in _rows(annotations):
        path = _picture(row, folder, annotations, is_needed=True)
        assert path is not None, "a missing picture is an error"
        found[str(row["image_id"])] = path
    return found


def score(
    items: Sequence[Item],
    answers: Iterable[Answer],
    *,
    where: Path,
    processor: Processor = "textvqa",
) -> tuple[float, list[Scored]]:
    """The mean soft accuracy, and each question's own.

    Raises:
        DataError: a question is not answered.
    """
    metric = AnswerAccuracy(processor)
    scored = [
        Scored(item, answer.text, metric.update(answer.text, item.facts["answers"]))
        for item, answer in joined(items, answers, where=where)
    ]
    return metric.compute(), scored


def _words(row: Mapping[str, Any], read: Mapping[str, Sequence[str]] | None) -> Sequence[str]:
    return row.get("ocr_tokens", ()) if read is None else read[str(row["image_id"])]


def _rows(annotations: Path) -> list[dict[str, Any]]:
    try:
        rows = [mapping(row) for row in mapping(json.loads(annotations.read_text("utf-8")))["data"]]
        for row in rows:
            if len(row["answers"]) != ANSWERS:
                raise DataError(
                    f"a question of TextVQA has {ANSWERS} answers; {row['question']!r} in "
                    f"{annotations} has {len(row['answers'])}. Repeat them until there are ten."
                )
            _ = str(row["question"]), str(row["image_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{annotations} should be TextVQA\'s {{"data": [{{question, answers, image_id}}]}}: '
            f"{type(error).__name__} {error}. Give TextVQA_0.5.1_val.json or a file of its form."
        ) from error
    if not rows:
        raise DataError(f"{annotations} holds no question. Give a file that has some.")
    return rows


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [mapping(json.loads(line)) for line in lines if line.strip()]
        if not found:
            raise ValueError("it is empty")
        _ = [(line["question_id"], line["text"]) for line in found]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} should hold lines of JSON with question_id, image and text: "
            f"{type(error).__name__} {error}. Give LLaVA's llava_textvqa_val_v051_ocr.jsonl or a "
            "file of its form."
        ) from error
    return found


def _prompted(
    line: Mapping[str, Any],
    rows: Sequence[dict[str, Any]],
    folder: Path,
    prompts: Path,
    with_pictures: bool,
) -> Item:
    question = question_of(str(line["text"]))
    for row in rows:
        if str(row["image_id"]) == str(line["question_id"]) and row["question"].lower() == question:
            break
    else:
        raise DataError(
            f"question {line['question_id']!r} of {prompts} ({question!r}) is not among the "
            "annotations. Give prompts and annotations of the same split."
        )
    picture = _picture({**row, **line}, folder, prompts, with_pictures)
    facts = {"answers": row["answers"], "question": row["question"]}
    return Item(str(line["question_id"]), str(line["text"]), picture, facts)


def _picture(row: Mapping[str, Any], folder: Path, wanted_by: Path, is_needed: bool) -> Path | None:
    name = str(row.get("image", row["image_id"]))
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    if not is_needed:
        return None
    raise DataError(
        f"{wanted_by} asks about the picture {name}, and {folder} has no such file (tried "
        f"{', '.join(s for s in SUFFIXES if s)}). Set images to the folder of train_images."
    )
