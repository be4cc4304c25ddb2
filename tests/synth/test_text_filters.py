"""Filters of texts against the answers of the reference, and against plain loops."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.synth.batch import Batch
from fovea.synth.characters import special_characters
from fovea.synth.mappers.splitting import refined_words
from fovea.synth.operator import QUIRKS
from fovea.synth.operators import operator_class
from fovea.synth.sample import Fields
from fovea.synth.words import Codes

CASES = 23


@pytest.fixture(scope="session")
def texts(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "text_operators.json").read_text())


@pytest.fixture
def assets(texts: dict, tmp_path: Path) -> Path:
    for kind in ("stopwords", "flagged_words"):
        (tmp_path / f"{kind}.json").write_text(json.dumps({"en": texts[kind]}))
    return tmp_path


def made(op: str, params: dict, assets: Path):
    given = {k: str(assets) if v == "<assets>" else v for k, v in params.items()}
    return operator_class(op)(**given)


@pytest.mark.parametrize("case", range(CASES))
def test_every_filter_measures_and_keeps_as_the_reference(
    case: int, texts: dict, assets: Path
) -> None:
    golden = texts["filters"][case]
    samples = texts["samples"]
    found = made(golden["op"], golden["params"], assets)
    found.bind(Fields(), frozenset(QUIRKS), seed=0, place=0)
    found.load()
    batch = Batch([dict(s) for s in samples], np.arange(len(samples)), Fields())
    stats = found.measure(batch)
    for name, column in stats.items():
        wanted = [golden["stats"][s["id"]][name] for s in samples]
        np.testing.assert_allclose(column, wanted, rtol=1e-9, atol=1e-10)
    kept = [s["id"] for s, keep in zip(samples, found.keep(stats), strict=True) if keep]
    assert kept == golden["kept"]


def test_no_golden_filter_is_left_out(texts: dict) -> None:
    assert len(texts["filters"]) == CASES


ALPHABET = st.sampled_from([*"ab cdé\n\t. 1,😀“中\r\u2028\x1c", "<__dj__image>", "the "])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ALPHABET, max_size=40).map("".join), max_size=6), st.integers(1, 4))
def test_measures_of_a_batch_are_those_of_a_plain_loop(texts: list[str], length: int) -> None:
    codes = Codes(texts)
    special = special_characters()
    for k, text in enumerate(texts):
        lines = text.splitlines()
        assert codes.lengths[k] == len(text)
        assert codes.lines[0][k] == len(lines)
        assert codes.lines[1][k] == max(map(len, lines), default=0)
        assert codes.count(1)[k] == sum(letter in special for letter in text)
        assert codes.words.counts[k] == len(refined_words(text))
    np.testing.assert_allclose(
        codes.char_repetition(length), [char_repetition(text, length) for text in texts]
    )
    np.testing.assert_allclose(
        codes.words.repetition(length), [word_repetition(text, length) for text in texts]
    )


def char_repetition(text: str, length: int) -> float:
    counts = sorted(Counter(grams(text, length)).values(), reverse=True)
    if not counts:
        return 0.0
    most = min(math.isqrt(len(counts)), len(counts) - counts.count(1))
    return sum(counts[:most]) / sum(counts)


def word_repetition(text: str, length: int) -> float:
    counts = Counter(grams(refined_words(text), length)).values()
    return sum(c for c in counts if c > 1) / sum(counts) if counts else 0.0


def grams(items, length: int) -> list:
    return [tuple(items[at : at + length]) for at in range(len(items) - length + 1)]
