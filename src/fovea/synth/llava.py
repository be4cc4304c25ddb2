"""LLaVA's json and dj rows: from one to the other and back, and the checks before training.

A LLaVA row is `{id, image?, conversations: [{from, value}, ...]}`, its first human turn holding
`<image>`. As text its rounds are `[[human]]: question` and `[[gpt]]: answer`, a line each.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from fovea.errors import DataError
from fovea.synth.sample import EOC_TOKEN, Sample

IMAGE = "<image>"
CAP_SEED = 1024
ROLE = re.compile(r"\[\[([a-zA-Z]*?)\]\]: ")
Conversation = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class ToRows:
    """How LLaVA rows become dj rows."""

    str_id: bool = True
    split_chunk: bool = False
    image_broadcast: bool = False
    image_broadcast_pos: Literal["before", "after", "random", "follow"] = "random"
    eoc_special_token: str = EOC_TOKEN
    image_special_token: str = IMAGE
    add_eoc_at_last: bool = True
    sent_separator: str = "\n"
    only_keep_caption: bool = False
    marks_every_caption: bool = False
    """Put a token before each caption, also of a row without an image, as data-juicer does."""

    def __post_init__(self) -> None:
        if self.image_broadcast and not self.split_chunk:
            raise DataError(
                "image_broadcast puts the image into each chunk, and split_chunk=false makes one"
                " chunk of all rounds. Set split_chunk=true."
            )


@dataclass(frozen=True)
class ToLlava:
    """How dj rows become LLaVA rows."""

    keep_only_first_image: bool = True
    eoc_special_token: str = EOC_TOKEN
    image_special_token: str = IMAGE
    sent_separator: str = "\n"
    restore_questions: bool = False


def to_row(source: Conversation, how: ToRows, *, rng: np.random.Generator | None = None) -> Sample:
    """A LLaVA row as a dj row.

    Raises:
        DataError: turns do not come in pairs, or the image token is neither first nor last.
    """
    turns = source["conversations"]
    if len(turns) % 2:
        raise DataError(
            f"row {source['id']!r} has {len(turns)} turns; questions and answers must come in"
            " pairs."
        )
    image = source.get("image")
    if image:
        turns = [dict(turns[0]), *turns[1:]]
        turns[0]["value"] = _moved_token(source, how)
    rounds = [
        _round(
            turns[at : at + 2],
            how,
            is_marked=how.marks_every_caption or (bool(image) and at == 0),
        )
        for at in range(0, len(turns), 2)
    ]
    images = [image] if image else []
    if image and how.image_broadcast and how.split_chunk:
        rng = rng or np.random.default_rng(0)
        token_first = _is_first(source["conversations"][0]["value"], IMAGE)
        rounds[1:] = [_broadcast(text, how, token_first, rng) for text in rounds[1:]]
        images *= len(rounds)
    between = f" {how.eoc_special_token}\n" if how.split_chunk else how.sent_separator
    text = between.join(rounds)
    if how.add_eoc_at_last:
        text += f" {how.eoc_special_token}"
    return {"id": str(source["id"]) if how.str_id else source["id"], "text": text, "images": images}


def _is_first(value: str, token: str) -> bool:
    return value.startswith(token)


def _moved_token(source: Conversation, how: ToRows) -> str:
    """The first question with the wished token in place of LLaVA's."""
    value = source["conversations"][0]["value"]
    if not (value.startswith(IMAGE) or value.endswith(IMAGE)):
        raise DataError(
            f"row {source['id']!r} has an image, and its first question neither begins nor ends"
            f" with {IMAGE}: {value!r:.60}."
        )
    return value.replace(IMAGE, how.image_special_token)


def _round(turns: Sequence[Mapping[str, str]], how: ToRows, *, is_marked: bool) -> str:
    question, answer = turns
    if how.only_keep_caption:
        head = f"{how.image_special_token}{how.sent_separator}" if is_marked else ""
        return f"{head}{answer['value']}"
    return how.sent_separator.join(
        f"[[{turn['from']}]]: {turn['value']}" for turn in (question, answer)
    )


def _broadcast(text: str, how: ToRows, token_first: bool, rng: np.random.Generator) -> str:
    """A later round with the image's token, too."""
    place = how.image_broadcast_pos
    if place == "random":
        place = "before" if rng.random() < 0.5 else "after"
    elif place == "follow":
        place = "before" if token_first else "after"
    head, role, rest = _first_turn(text)
    token, gap = how.image_special_token, how.sent_separator
    question, mark, answer = rest.partition(f"{gap}[[")
    moved = f"{token}{gap}{question}" if place == "before" else f"{question}{gap}{token}"
    return f"{head}{role}{moved}{mark}{answer}"


def _first_turn(text: str) -> tuple[str, str, str]:
    match = ROLE.match(text)
    return ("", match[0], text[match.end() :]) if match else ("", "", text)


def to_llava(
    sample: Sample, how: ToLlava, original: Mapping[str, Conversation] | None = None
) -> Conversation:
    """A dj row as a LLaVA row.

    Args:
        sample: the row.
        how: the choices.
        original: rows of the file that questions are taken from, by `str(id)`.

    Raises:
        DataError: it names several images, its id is not in the original, or its text is no
            conversation.
    """
    _insist(sample, ("id", "text"), "Clean the data set with synth.clean, or give its rows ids.")
    images = list(dict.fromkeys(sample.get("images") or ()))
    if len(images) > 1:
        raise DataError(
            f"row {sample['id']!r} names {len(images)} different images; LLaVA's form has one."
        )
    found: Conversation = (
        _restored(sample, how, original or {})
        if how.restore_questions
        else {"id": sample["id"], "conversations": _turns(sample, how)}
    )
    return found | ({"image": images[0]} if images else {})


def _restored(sample: Sample, how: ToLlava, original: Mapping[str, Conversation]) -> Conversation:
    known = original.get(str(sample["id"]))
    if known is None:
        raise DataError(
            f"row {sample['id']!r} is not in the original file, which has the questions. Give the"
            " file that the data set was made from."
        )
    first, second = known["conversations"][:2]
    answer = {"from": second["from"], "value": cleaned(sample["text"], 1, how)}
    return {"id": known["id"], "conversations": [dict(first), answer]}


def _turns(sample: Sample, how: ToLlava) -> list[dict[str, str]]:
    parts = ROLE.split(sample["text"])
    if parts and not parts[0].strip():
        parts = parts[1:]
    if not parts or len(parts) % 4:
        raise DataError(
            f"row {sample['id']!r} is no conversation of [[human]]: and [[gpt]]: in pairs:"
            f" {sample['text']!r:.60}. A caption needs its question back: restore_questions."
        )
    return [
        {"from": parts[at], "value": cleaned(parts[at + 1], at // 2, how)}
        for at in range(0, len(parts), 2)
    ]


def cleaned(sentence: str, turn: int, how: ToLlava) -> str:
    """What was said in a turn, without separators, tokens and white space at its ends.

    After the first turn a leading and a trailing image token go, too.
    """
    gap, eoc, token = how.sent_separator, how.eoc_special_token, how.image_special_token
    text = sentence.strip().removesuffix(gap).strip().removesuffix(eoc).strip()
    if turn > 0 and how.keep_only_first_image:
        text = text.removeprefix(token).removeprefix(gap).strip()
        text = text.removesuffix(token).removesuffix(gap).strip()
    return text


def by_id(rows: Sequence[Conversation]) -> dict[str, Conversation]:
    """Rows by their id as text; of equal ids the last.

    Raises:
        DataError: a row has no id or no conversation.
    """
    for row in rows:
        _insist(row, ("id", "conversations"), "Give the LLaVA file that questions are taken from.")
    return {str(row["id"]): row for row in rows}


def _insist(row: Mapping[str, Any], names: Sequence[str], to_do: str) -> None:
    missing = [name for name in names if name not in row]
    if missing:
        raise DataError(
            f"a row has no {' and no '.join(missing)}; it has {', '.join(row) or 'nothing'}. "
            + to_do
        )


def capped(
    rows: Sequence[T], cap: int, *, seed: int = CAP_SEED, fill: Literal["no", "repeat"] = "no"
) -> list[T]:
    """At most so many rows, drawn by the challenge's seed in the order of the draw.

    Args:
        rows: all of them.
        cap: how many may be used; 0 sets no cap.
        seed: of the draw.
        fill: `repeat` draws again from all rows until the cap is reached.
    """
    # The draw is that of Python's own generator, as the challenge defines it; it is a local one.
    rng = random.Random(seed)
    if not cap or len(rows) == cap:
        return list(rows)
    if len(rows) > cap:
        return rng.sample(list(rows), cap)
    found = list(rows)
    while fill == "repeat" and rows and len(found) < cap:
        found += rng.sample(list(rows), min(len(rows), cap - len(found)))
    return found


def is_global_batch(per_gpu: int, accumulation: int, gpus: int, target: int) -> bool:
    """Whether the batch over all GPUs has the size that the challenge wants."""
    return per_gpu > 0 and accumulation > 0 and gpus > 0 and per_gpu * accumulation * gpus == target


def trouble_of(row: Conversation, tokens: Sequence[str]) -> str:
    """What would spoil a row for training; empty where nothing does.

    Args:
        row: of LLaVA's form.
        tokens: special tokens that must not be left over.
    """
    turns = row.get("conversations") or []
    if len(turns) < 2:
        return "it has no question and answer"
    for turn in turns[1::2]:
        if not str(turn.get("value", "")).strip():
            return "an answer is empty"
    for turn in turns:
        for token in tokens:
            if token in str(turn.get("value", "")):
                return f"{token} is left over"
    text = "".join(str(turn.get("value", "")) for turn in turns)
    if row.get("image") and IMAGE not in text:
        return f"it has an image and no {IMAGE}"
    return ""
