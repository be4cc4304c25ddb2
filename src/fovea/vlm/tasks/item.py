"""One thing to ask a model, and one line of what it answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fovea.dialect import mapping
from fovea.errors import DataError

IMAGE_TOKEN = "<image>"


@dataclass(frozen=True)
class Item:
    """One prompt about one picture."""

    id: str
    """Of the question; unique together with the prompt."""
    prompt: str
    """As the model gets it, but for the image token and its template."""
    image: Path | bytes | None
    """A file, or the bytes of one; None where only words are asked."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What scoring needs, or the answer's line repeats."""

    @property
    def model_input(self) -> str:
        """The prompt behind the image token."""
        return f"{IMAGE_TOKEN}\n{self.prompt}" if self.image is not None else self.prompt


@dataclass(frozen=True)
class Answer:
    """What a model said to an item."""

    id: str
    prompt: str
    text: str

    def line(self, model: str, **more: Any) -> str:
        """The answer as one line of JSON, in the fields of the reference's files.

        `answer_id` counts from the question: a random one would make two equal runs differ.
        """
        about = {"question_id": _number(self.id), "prompt": self.prompt, "text": self.text}
        rest = {"answer_id": f"{self.id}-{len(self.prompt)}", "model_id": model, "metadata": {}}
        return json.dumps({**about, **more, **rest}, ensure_ascii=False)


def read_answers(path: Path) -> list[Answer]:
    """The answers of a file, or of all `*.jsonl` in a folder.

    Raises:
        DataError: a line is not an answer, or nothing is there.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    answers = [answer for file in files for answer in _answers_in(file)]
    if not answers:
        raise DataError(
            f"answers are read from lines with question_id, prompt and text; {path} has none. Give "
            "the answers.jsonl that vlm.evaluate wrote."
        )
    return answers


def joined(
    items: Iterable[Item], answers: Iterable[Answer], *, where: Path
) -> Iterator[tuple[Item, Answer]]:
    """Each item with its answer.

    Raises:
        DataError: an item has none.
    """
    by_key = {(answer.id, answer.prompt): answer for answer in answers}
    by_id = {answer.id: answer for answer in by_key.values()}
    for item in items:
        found = by_key.get((item.id, item.prompt)) or by_id.get(item.id)
        if found is None:
            raise DataError(
                f"every question is scored; question {item.id} ({item.prompt[:60]!r}) has no line "
                f"in {where}. Answer all of them: vlm.evaluate goes on where it stopped."
            )
        yield item, found


def _answers_in(file: Path) -> Iterator[Answer]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                data = mapping(json.loads(line))
                answer = Answer(str(data["question_id"]), str(data["prompt"]), str(data["text"]))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"line {number} of {file} should be JSON with question_id, prompt and text: "
                    f"{type(error).__name__} {error}. Mend the line or leave it out."
                ) from error
            yield answer


def _number(id: str) -> int | str:
    return int(id) if id.isdecimal() and str(int(id)) == id else id
