"""Patch-info mining against the reference's numbers, and its parts against themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ConfigError
from fovea.vlm.model.projector import ImageTokens, build_projector, windows

Arrays = dict[str, torch.Tensor]


@pytest.fixture
def golden(goldens: Path) -> Arrays:
    with np.load(goldens / "vlm" / "patch_info_mining.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def tokens(goldens: Path, golden: Arrays, *, grid: int = 1, whole: bool = False) -> ImageTokens:
    dims = json.loads((goldens / "vlm" / "patch_info_mining.json").read_text())["dims"]
    made = ImageTokens(
        dims["mm_hidden"], dims["aux_hidden"], dims["hidden"], grid=grid, has_whole=whole
    )
    weights = {name[2:]: value for name, value in golden.items() if name.startswith("w.")}
    made.load_state_dict(weights, strict=True)
    return made


@pytest.mark.parametrize(
    ("case", "grid", "whole"),
    [("grid1", 1, False), ("grid2", 2, False), ("grid2_global", 2, True)],
)
def test_tokens_are_the_reference_s(
    goldens: Path, golden: Arrays, case: str, grid: int, whole: bool
) -> None:
    made = tokens(goldens, golden, grid=grid, whole=whole)
    found = made(golden[f"{case}.lowres_features"], golden[f"{case}.aux_features"])
    torch.testing.assert_close(found, golden[f"{case}.output_tokens"], atol=1e-5, rtol=0)


def test_what_is_mined_is_the_reference_s(goldens: Path, golden: Arrays) -> None:
    made = tokens(goldens, golden)
    behind = windows(golden["grid1.aux_features"], 3)
    mined = made.mine(golden["grid1.lowres_features"], behind)
    torch.testing.assert_close(mined, golden["grid1.mined"], atol=1e-5, rtol=0)


def test_without_a_second_tower_patches_are_projected_as_they_are(
    goldens: Path, golden: Arrays
) -> None:
    made = tokens(goldens, golden)
    found = made(golden["grid1.lowres_features"], None)
    torch.testing.assert_close(found, golden["noaux.output_tokens"], atol=1e-5, rtol=0)


def test_windows_are_read_row_by_row() -> None:
    cut = windows(torch.arange(36.0).reshape(1, 1, 6, 6), 3)
    assert cut[0, 0, :, 0].tolist() == [0, 1, 6, 7]
    assert cut[0, 1, :, 0].tolist() == [2, 3, 8, 9]
    assert cut[0, 3, :, 0].tolist() == [12, 13, 18, 19]


def test_the_published_sizes_train_thirteen_million_weights() -> None:
    with torch.device("meta"):
        made = ImageTokens(1024, 2880, 2048)
    counted = {
        name: sum(weight.numel() for weight in part.parameters()) / 1e6
        for name, part in made.named_children()
    }
    assert {name: round(count, 2) for name, count in counted.items()} == {
        "mm_projector": 6.3,
        "vlm_uni_query_projector": 1.05,
        "vlm_uni_aux_projector": 2.96,
        "vlm_uni_val_projector": 2.96,
    }


def test_a_projector_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"linear, identity or mlp2x_gelu .* found 'resampler'"):
        build_projector("resampler", 4, 4)
