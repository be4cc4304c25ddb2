"""Short answers held against ten people's: TextVQA's soft accuracy, and how answers are made alike.

An answer is compared after processing: lower case, no punctuation, articles or spelled numbers. Two
processors exist. `textvqa` is the one of the TextVQA challenge (M4C's, which LLaVA's and MGM's
scripts use), `vqa` the older one of the VQA challenge (VLMEvalKit's); they differ in apostrophes,
commas and question marks.

Source: Singh et al., "Towards VQA models that can read" (2019); Antol et al., "VQA: Visual Question
Answering" (2015).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from fovea.errors import DataError
from fovea.metrics.contractions import CONTRACTIONS
from fovea.metrics.metric import Direction

ANSWERS = 10
"""People who answered each question."""
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""In the order in which they are looked at."""
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
} | {"none": "0"}
ARTICLES = frozenset(("a", "an", "the"))
MOST_PERIODS = 32
"""Periods taken away from one answer: the reference gave a flag where a count was wanted, and the
published numbers have it so."""

Processor = Literal["textvqa", "vqa"]

_PERIOD = re.compile(r"\.(?!\d)")
_CLASSIC_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"(\d)(,)(\d)")


def process_answer(answer: str, processor: Processor = "textvqa") -> str:
    """An answer as it is compared: `"It's a Dr. Pepper!"` becomes `"it 's dr pepper"`.

    Source: spec of the TextVQA evaluation; see the module.
    """
    return _PROCESSORS[processor](answer)


def soft_accuracy(
    prediction: str, answers: Sequence[str], processor: Processor = "textvqa"
) -> float:
    """How well a prediction agrees with ten people: 0, 0.3, 0.6, 0.9 or 1 for 0 to 4 and more.

    The mean over the ten ways to leave one person out of `min(1, matches among the nine / 3)`.

    Raises:
        DataError: there are not exactly ten answers.
    """
    if len(answers) != ANSWERS:
        raise DataError(
            f"a question is scored against {ANSWERS} people's answers; found {len(answers)}: "
            f"{list(answers)[:3]}. Repeat the answers until there are {ANSWERS}."
        )
    given = process_answer(prediction, processor)
    matches = sum(process_answer(answer, processor) == given for answer in answers)
    left_in, left_out = min(1.0, matches / 3), min(1.0, (matches - 1) / 3)
    return ((ANSWERS - matches) * left_in + matches * left_out) / ANSWERS


class AnswerAccuracy:
    """The mean soft accuracy over all questions."""

    name = "accuracy"
    direction: Direction = "max"
    unit = ""

    def __init__(self, processor: Processor = "textvqa") -> None:
        self.processor: Processor = processor
        self.reset()

    def reset(self) -> None:
        """Forget all questions."""
        self.scores: list[float] = []

    def update(self, prediction: str, answers: Sequence[str]) -> float:
        """Score one question, and say its score."""
        self.scores.append(soft_accuracy(prediction, answers, self.processor))
        return self.scores[-1]

    def compute(self) -> float:
        """The mean over all questions so far.

        Raises:
            DataError: there were none.
        """
        if not self.scores:
            raise DataError(
                "accuracy was asked for its value before it saw an answer. update() it first."
            )
        return sum(self.scores) / len(self.scores)


def tokenize(answer: str) -> str:
    """The first step of `textvqa`: lower case, no commas and question marks, `'s` a word."""
    answer = answer.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return answer.strip()


def _textvqa(answer: str) -> str:
    text = tokenize(answer).replace("\n", " ").replace("\t", " ").strip()
    return _words(_PERIOD.sub("", _without_punctuation(text), MOST_PERIODS))


def _vqa(answer: str) -> str:
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    text = _CLASSIC_PERIOD.sub("", _without_punctuation(text), MOST_PERIODS)
    return _words(text.lower())


def _without_punctuation(text: str) -> str:
    """A mark beside a blank goes; any other becomes one. Both are judged by the text as it came."""
    has_number = _COMMA_IN_NUMBER.search(text) is not None
    left = text
    for mark in PUNCTUATION:
        is_beside_blank = f"{mark} " in text or f" {mark}" in text
        left = left.replace(mark, "" if is_beside_blank or has_number else " ")
    return left


def _words(text: str) -> str:
    words = (NUMBERS.get(word, word) for word in text.split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


_PROCESSORS: dict[Processor, Callable[[str], str]] = {"textvqa": _textvqa, "vqa": _vqa}
