"""Mappers of texts against the answers of the reference, and what they leave alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from fovea.synth.batch import Batch
from fovea.synth.operator import QUIRKS
from fovea.synth.operators import operator_class
from fovea.synth.sample import Fields

CASES = 20


def mapped(name: str, texts: list[str], *, compat=(), **params) -> list[str]:
    operator = operator_class(name)(**params)
    operator.bind(Fields(), frozenset(compat), seed=0, place=0)
    operator.load()
    rows = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    batch = operator.map(Batch(rows, np.arange(len(rows)), Fields()))
    return [row["text"] for row in batch.rows]


@pytest.fixture(scope="session")
def texts(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "text_operators.json").read_text())


@pytest.mark.parametrize("case", range(CASES))
def test_every_mapper_writes_what_the_reference_writes(case: int, texts: dict) -> None:
    golden = texts["mappers"][case]
    found = mapped(
        golden["op"], [s["text"] for s in texts["samples"]], compat=QUIRKS, **golden["params"]
    )
    wanted = [golden["output"][s["id"]] for s in texts["samples"]]
    assert found == wanted


def test_no_golden_mapper_is_left_out(texts: dict) -> None:
    assert len(texts["mappers"]) == CASES
