"""Rows with slips of writing."""

import numpy as np
import pytest

from fovea.synth.batch import Batch
from fovea.synth.mappers.noise import SLIPS, neighbours
from fovea.synth.operators import operator_class
from fovea.synth.sample import Fields

TEXT = "<__dj__image>\nA friendly cat believes in the fishing boats of a street <|__dj__eoc|>"


def texts(**params) -> list[str]:
    found = operator_class("nlpaug_en_mapper")(**params)
    found.bind(Fields(), frozenset(), seed=4, place=2)
    rows = [{"text": TEXT}, {"text": ""}]
    after = found.map(Batch(rows, np.arange(2), Fields()))
    return [row["text"] for row in after.rows]


@pytest.mark.parametrize("kind", SLIPS)
def test_each_kind_makes_a_row_with_a_slip_and_whole_tokens(kind: str) -> None:
    old, new, *rest = texts(**{kind: True})
    assert old == TEXT
    assert new != TEXT
    assert new.startswith("<__dj__image>\n")
    assert new.endswith("<|__dj__eoc|>")
    assert rest == ["", ""], "nothing stays nothing"
    assert texts(**{kind: True}) == [old, new, *rest], "every run makes the same"


def test_rows_are_as_many_as_data_juicer_makes() -> None:
    two = {"delete_random_word": True, "ocr_error_char": True, "aug_num": 3}
    assert len(texts(**two)) == 2 * (1 + 2 * 3)
    assert len(texts(**two, sequential=True)) == 2 * (1 + 3)
    assert len(texts(**two, keep_original_sample=False)) == 2 * 2 * 3
    assert texts() == [TEXT, ""], "without a kind nothing is made"


def test_slips_of_typing_hit_a_key_beside() -> None:
    assert set(neighbours("s")) == set("adwx")
    assert neighbours("é") == ""
