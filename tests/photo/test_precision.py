"""Which precision a processor gets, and memory that is given back without losing a value."""

from pathlib import Path

import pytest
import torch

from fovea.errors import BackendError
from fovea.photo.engine import known_weights
from fovea.photo.precision.pages import release
from fovea.photo.precision.processor import best_precision
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.torch_predictor import chosen


@pytest.mark.parametrize(
    ("capabilities", "wanted"),
    [
        ({"avx512_vnni": True, "avx512_bf16": True}, "bfloat16"),
        ({"amx_int8": True, "amx_bf16": True}, "bfloat16"),
        ({"avx512_vnni": False, "avx512_bf16": True}, "bfloat16"),
        ({"avx512_vnni": True, "avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_processor_gets_what_it_computes_fast(capabilities: dict[str, bool], wanted: str) -> None:
    assert best_precision(capabilities).precision == wanted


def test_the_reason_names_what_the_processor_has() -> None:
    assert "avx512_bf16" in best_precision({"avx512_bf16": True}).why


def test_what_is_asked_for_is_taken() -> None:
    settings = EngineConfig(precision="bfloat16")
    assert chosen(settings, torch.device("cpu")) == ("bfloat16", "asked for")


def test_int8_is_refused_on_a_gpu() -> None:
    with pytest.raises(BackendError, match="precision=bfloat16"):
        chosen(EngineConfig(precision="int8"), torch.device("cuda:0"))


def test_auto_is_lite_where_sharp_is_not_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    assert known_weights("auto") == "lite"
    assert known_weights("some.pt") == "some.pt"


def test_released_pages_come_back_from_the_file(tmp_path: Path) -> None:
    values = torch.arange(100_000.0)
    torch.save({"a": values}, tmp_path / "a.pt")
    mapped = torch.load(tmp_path / "a.pt", mmap=True, weights_only=True)["a"]
    assert mapped.sum() == values.sum()
    release([mapped])
    assert torch.equal(mapped, values)


def test_memory_that_is_not_a_file_s_is_left_alone() -> None:
    values = torch.arange(100_000.0)
    release([values])
    assert torch.equal(values, torch.arange(100_000.0))
