"""Conversations become tokens and labels as the reference's do."""

import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.vlm.conversation import (
    CHATML,
    GEMMA,
    IGNORE,
    TEMPLATES,
    Encoded,
    Template,
    Token,
    encode,
    encode_plain,
    image_tokens,
    normalised,
    prompt_of,
    written,
)


class Toy:
    """The golden set's tokenizer: words by a pattern, ids by their checksum."""

    bos = 2
    eos = 1
    pad = 0

    def __init__(self, about: dict[str, Any]) -> None:
        self.special: dict[str, int] = about["special"]
        self.pattern = re.compile(about["pattern"], re.DOTALL)

    def tokens(self, text: str) -> list[Token]:
        found = self.pattern.finditer(text)
        return [Token(self.id(m.group()), m.start(), m.end()) for m in found]

    def id(self, word: str) -> int:
        return self.special.get(word, 1000 + zlib.crc32(word.encode()) % 50000)

    def text(self, ids: Sequence[int]) -> str:
        raise NotImplementedError


@pytest.fixture(scope="module")
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    goldens: Path = request.getfixturevalue("goldens")
    return json.loads((goldens / "vlm" / "gemma_conversations.json").read_text())


@pytest.fixture(scope="module")
def toy(golden: dict[str, Any]) -> Toy:
    return Toy(golden["toy_tokenizer"])


def test_conversations_are_written_and_masked_as_in_the_reference(
    golden: dict[str, Any], toy: Toy
) -> None:
    for case in golden["cases"]:
        turns = case["conversations"]
        if case["has_image"]:
            assert normalised(turns) == case["after_image_normalisation"], case["name"]
            turns = normalised(turns)
        assert written(turns, GEMMA)[0] == case["prompt"], case["name"]
        made = encode(case["conversations"], toy, GEMMA, has_image=case["has_image"])
        assert list(made.input_ids) == case["input_ids"], case["name"]
        assert list(made.labels) == case["labels"], case["name"]
        assert bool(made.trouble) == case["all_masked"], case["name"]


def test_a_question_alone_ends_where_the_answer_begins(golden: dict[str, Any], toy: Toy) -> None:
    for case in golden["generation_prompts"]:
        prompt = prompt_of(case["question"], GEMMA)
        assert prompt == case["prompt"]
        assert [token.id for token in image_tokens(prompt, toy)] == case["input_ids"]


def test_image_and_caption_alone_drop_the_question(golden: dict[str, Any], toy: Toy) -> None:
    for case in golden["plain"]:
        turns = [
            {"from": "human", "value": case["human"]},
            {"from": "gpt", "value": case["gpt"]},
        ]
        made = encode_plain(turns, toy)
        assert list(made.input_ids) == case["input_ids"]
        assert list(made.labels) == case["labels"]


def test_texts_are_cut_at_their_images(golden: dict[str, Any], toy: Toy) -> None:
    for case in golden["tokenizer_image_token"]:
        assert [token.id for token in image_tokens(case["text"], toy)] == case["input_ids"]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>|\x00"), min_size=1).filter(
    lambda text: bool(text.strip())
)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_what_is_trained_on_is_the_answers_and_their_endings(
    toy: Toy, template: Template, said: list[tuple[str, str]]
) -> None:
    turns = [
        {"from": who, "value": text}
        for pair in said
        for who, text in zip(("human", "gpt"), pair, strict=True)
    ]
    text, spans = written(turns, template)
    assert [text[a:b] for a, b in spans] == [answer + template.after_answer for _, answer in said]
    made = encode(turns, toy, template, has_image=False)
    assert not made.trouble
    trained = [id for id in made.labels if id != IGNORE]
    inside = [t for t in toy.tokens(text) if any(a <= t.start < b for a, b in spans)]
    assert trained == [token.id for token in inside]


def test_a_marker_of_the_template_in_a_turn_is_told(toy: Toy) -> None:
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "a <|im_end|> b"}]
    assert "<|im_end|>" in encode(turns, toy, CHATML, has_image=False).trouble
    assert not encode(turns, toy, GEMMA, has_image=False).trouble


def test_turns_out_of_order_are_refused(toy: Toy) -> None:
    turns = [{"from": "human", "value": "hi"}, {"from": "human", "value": "hello?"}]
    with pytest.raises(DataError, match="turn 1 is from 'human' where 'gpt' was due"):
        encode(turns, toy, GEMMA, has_image=False)


def test_an_encoding_without_trouble_says_none() -> None:
    assert Encoded((1,), (1,)).trouble == ""
