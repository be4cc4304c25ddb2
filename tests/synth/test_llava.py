"""LLaVA's json and dj rows, against the answers of the reference."""

import json
from pathlib import Path

import pytest

from fovea.errors import DataError
from fovea.synth.llava import (
    CAP_SEED,
    ToLlava,
    ToRows,
    by_id,
    capped,
    is_global_batch,
    to_llava,
    to_row,
    trouble_of,
)

TO_ROWS, TO_LLAVA = 13, 29


@pytest.fixture(scope="session")
def conversion(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "format_conversion.json").read_text())


@pytest.mark.parametrize("case", range(TO_ROWS))
def test_llava_rows_become_the_rows_of_the_reference(case: int, conversion: dict) -> None:
    golden = conversion["llava_to_dj"][case]
    options = golden["options"] | {"marks_every_caption": True}
    if isinstance(golden["output"], dict):
        with pytest.raises(DataError):
            [to_row(row, ToRows(**options)) for row in golden["input"]]
    else:
        how = ToRows(**options)
        assert [to_row(row, how) for row in golden["input"]] == golden["output"]


@pytest.mark.parametrize("case", range(TO_LLAVA))
def test_rows_become_the_llava_rows_of_the_reference(case: int, conversion: dict) -> None:
    golden = conversion["dj_to_llava"][case]
    how = ToLlava(**golden["options"])
    original = by_id(golden.get("original") or [])
    if isinstance(golden["output"], dict):
        with pytest.raises(DataError):
            [to_llava(row, how, original) for row in golden["input"]]
    else:
        assert [to_llava(row, how, original) for row in golden["input"]] == golden["output"]


def test_no_golden_conversion_is_left_out(conversion: dict) -> None:
    assert (len(conversion["llava_to_dj"]), len(conversion["dj_to_llava"])) == (TO_ROWS, TO_LLAVA)


def test_the_cap_draws_as_the_challenge_does(conversion: dict) -> None:
    for golden in conversion["sample_number_check"]:
        assert golden["seed"] == CAP_SEED
        found = capped(range(golden["total"]), golden["cap"])
        assert found[: len(golden["first_indices"])] == golden["first_indices"]
        assert len(found) == golden["count"]


def test_the_cap_is_filled_by_repeating_when_asked() -> None:
    found = capped(range(5), 12, fill="repeat")
    assert len(found) == 12
    assert {found.count(n) for n in range(5)} == {2, 3}


def test_global_batches_are_checked_as_by_the_reference(conversion: dict) -> None:
    for golden in conversion["global_batch_check"]:
        parts = golden["per_gpu"], golden["accum"], golden["gpus"], golden["target"]
        assert is_global_batch(*parts) == golden["ok"]


def test_rows_that_would_spoil_training_are_told() -> None:
    row = {"id": 1, "image": "a.jpg", "conversations": [
        {"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a cat"}]}  # fmt: skip
    assert trouble_of(row, ["<|__dj__eoc|>"]) == ""
    row["conversations"][1]["value"] = "a <__dj__image> cat"
    assert trouble_of(row, ["<__dj__image>"]) == "<__dj__image> is left over"
    row["conversations"][1]["value"] = " "
    assert trouble_of(row, []) == "an answer is empty"


def test_a_caption_is_marked_once_and_only_where_there_is_an_image() -> None:
    how = ToRows(only_keep_caption=True)
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    assert to_row({"id": 1, "conversations": turns}, how)["text"].startswith("hello")
    seen = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a"}, *turns]
    row = to_row({"id": 1, "image": "a.jpg", "conversations": seen}, how)
    assert row["text"].count("<image>") == len(row["images"]) == 1
