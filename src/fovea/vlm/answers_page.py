"""The page of `vlm.evaluate`: what was asked, what was said, and what it scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from fovea.errors import DataError
from fovea.scene import page
from fovea.vlm.picture import read_picture
from fovea.vlm.tasks.item import Item

MOST_PICTURES = 48
PICTURE_PX = 260
NAMES = {"textvqa": "TextVQA", "mmbench": "MMBench"}


@dataclass(frozen=True)
class Shown:
    """One question with its answer."""

    item: Item
    text: str
    score: float
    truth: str
    """The right answer, or all that people gave."""


def answers_page(
    task: str, scores: Mapping[str, float], shown: Sequence[Shown], *, tags: Mapping[str, str]
) -> str:
    """The whole page: scores, pictures with wrong answers first, every answer in a table."""
    groups = {name[6:]: value for name, value in scores.items() if name.startswith("group/")}
    heads = {
        "accuracy": f"{100 * scores['accuracy']:.1f}",
        **({"rows right": f"{100 * scores['vanilla']:.1f}"} if "vanilla" in scores else {}),
        "questions": f"{len(shown):,}",
        "nothing scored": f"{sum(one.score == 0 for one in shown):,}",
    }
    about = ", ".join(f"{name} {value}" for name, value in tags.items())
    return page.page(
        f"{NAMES[task]}: answers",
        page.tiles(heads),
        *([_groups(groups)] if groups else []),
        _pictures(shown),
        page.section("Every answer", page.folded(_table(shown), "show the table")),
        lead=about or "A model's answers, and what they scored.",
    )


def _groups(groups: Mapping[str, float]) -> str:
    rows = {name: {"accuracy": 100 * value} for name, value in groups.items()}
    columns = {"accuracy": ("questions right in every rotation, of 100", "{:.1f}")}
    return page.section("By ability and category", page.table(rows, columns))


def _pictures(shown: Sequence[Shown]) -> str:
    """Some questions over their pictures, spread over all; as many wrong ones as right."""
    wrong = [one for one in shown if one.score < 0.5]
    right = [one for one in shown if one.score >= 0.5]
    chosen = _spread(wrong, MOST_PICTURES // 2) + _spread(right, MOST_PICTURES // 2)
    figures = [_figure(one) for one in chosen if one.item.image is not None]
    note = "Wrong answers first. Behind each answer, its score and what was right."
    return page.section("Pictures", page.strip(figures), note)


def _figure(one: Shown) -> str:
    question = one.item.prompt.split("\n")[0]
    said = f"{question} “{one.text}” ({one.score:.1f}; {one.truth})"
    try:
        picture = np.asarray(read_picture(one.item.image or b""))
    except DataError:
        picture = np.full((PICTURE_PX, PICTURE_PX, 3), 128, np.uint8)
    return page.figure(picture, said, width_px=PICTURE_PX)


def _spread(shown: Sequence[Shown], most: int) -> list[Shown]:
    places = np.linspace(0, len(shown) - 1, min(most, len(shown))).round().astype(int)
    return [shown[place] for place in np.unique(places).tolist()]


def _table(shown: Sequence[Shown]) -> str:
    rows = (
        [escape(part) for part in (one.item.prompt, one.text, one.truth, f"{one.score:.1f}")]
        for one in shown
    )
    return page.listing(("asked", "said", "right", "score"), rows, is_text=True)
