"""Multiple choice as MMBench scores it: the letter that an answer means, and circular accuracy.

A question is asked once for each rotation of its options, as rows whose `index` differ by multiples
of a million. It counts only when every rotation is answered right.

Source: Liu et al., "MMBench: Is your multi-modal model an all-around player?" (2023); the matching
rules are those of VLMEvalKit (August 2026) with exact matching, that is without a judge model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ROTATION = 1_000_000
"""Between the indices of two rotations of one question."""
LETTERS = "ABCD"
NO_OPTION = "Z"
"""The letter of an answer that declines to choose."""
FAILED = "Failed to obtain answer via API"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
ABILITIES = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}
LAST_WORDS = 4
"""A letter counts as the answer if it first stands among so many last words."""

_SPACED = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_SAID = re.compile(r"(?:correct )?answer is \**([a-d])\**", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """One row that was answered."""

    index: int
    """As in the table; rotations of one question are equal modulo `ROTATION`."""
    prediction: str
    options: Mapping[str, str]
    """Text by letter, as they stood in this row."""
    answer: str
    """The right letter."""
    category: str = ""
    ability: str = ""
    """The table's `l2-category`."""

    @property
    def inferred(self) -> str | None:
        """The letter that the prediction means."""
        return infer(self.prediction, self.options)

    @property
    def is_hit(self) -> bool:
        """Whether that is the right one."""
        return self.inferred == self.answer


def infer(prediction: str, options: Mapping[str, str]) -> str | None:
    """The letter an answer means, `Z` for none of them, or None where the rules cannot tell."""
    if FAILED in prediction:
        return None
    return infer_by_letter(prediction, options) or infer_by_text(prediction, options)


def infer_by_letter(prediction: str, options: Mapping[str, str]) -> str | None:
    """The one option whose letter stands alone near the end; else what "the answer is" names."""
    if any(refusal in prediction for refusal in REFUSALS):
        return NO_OPTION
    words = prediction.translate(_SPACED).split()
    found = [letter for letter in options if letter in words]
    if len(found) == 1 and words.index(found[0]) >= len(words) - LAST_WORDS:
        return found[0]
    if not found and NO_OPTION in words:
        return NO_OPTION
    said = _SAID.search(prediction)
    letter = said.group(1).upper() if said else ""
    return letter if letter in options else None


def infer_by_text(prediction: str, options: Mapping[str, str]) -> str | None:
    """The one option whose text stands in an answer that is not much longer than all options."""
    text = prediction.lower()
    if len(text) > 2 * sum(len(option) for option in options.values()):
        return None
    found = [letter for letter, option in options.items() if option.lower() in text]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Question:
    """All rotations of one question."""

    index: int
    rows: tuple[Choice, ...]

    @property
    def is_hit(self) -> bool:
        """Whether every rotation was answered right."""
        return all(row.is_hit for row in self.rows)

    @property
    def is_decided_by_rules(self) -> bool:
        """Whether no judge could change the outcome."""
        for row in self.rows:
            if row.inferred is None:
                return False
            if not row.is_hit:
                return True
        return True


def questions(rows: Iterable[Choice]) -> list[Question]:
    """Rows by question, in the order of their indices."""
    grouped: dict[int, list[Choice]] = {}
    for row in sorted(rows, key=lambda row: row.index):
        grouped.setdefault(row.index % ROTATION, []).append(row)
    return [Question(index, tuple(group)) for index, group in sorted(grouped.items())]


def vanilla_accuracy(rows: Sequence[Choice]) -> float:
    """The share of rows answered right, each rotation by itself."""
    return _share([row.is_hit for row in rows])


def circular_accuracy(asked: Sequence[Question]) -> float:
    """The share of questions answered right in every rotation."""
    return _share([question.is_hit for question in asked])


def report(asked: Sequence[Question]) -> dict[str, float]:
    """Circular accuracy overall, by ability (abbreviated as in the paper) and by category."""
    by_group: dict[str, list[bool]] = {"Overall": [question.is_hit for question in asked]}
    abilities = sorted({question.rows[0].ability for question in asked} - {""})
    for ability in sorted(abilities, key=_abbreviated):
        hits = [q.is_hit for q in asked if q.rows[0].ability == ability]
        by_group[_abbreviated(ability)] = hits
    for category in sorted({question.rows[0].category for question in asked} - {""}):
        by_group[category] = [q.is_hit for q in asked if q.rows[0].category == category]
    return {name: _share(hits) for name, hits in by_group.items()}


def _abbreviated(ability: str) -> str:
    return ABILITIES.get(ability, ability)


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
