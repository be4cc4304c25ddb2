"""Photographs as the towers take them, beside CLIP's image processor."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.errors import DataError
from fovea.vlm.picture import (
    high_resolution,
    low_resolution,
    padded,
    read_picture,
    recoloured,
)


@pytest.fixture
def golden(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "vlm" / "image_preprocess.json").read_text())


def sampled(image: torch.Tensor) -> np.ndarray:
    side = image.shape[-1]
    place = [int((i + 0.5) * side / 6) for i in range(6)]
    return image[:, place][:, :, place].numpy()


def test_both_sizes_are_the_reference_s(golden: dict[str, Any], goldens: Path) -> None:
    for case in golden["images"]:
        path = goldens / "vlm" / "images" / case["image"]
        if "error" in case:
            with pytest.raises(DataError, match="1 x 1 pixels; a tower needs at least 2"):
                read_picture(path)
            continue
        picture = read_picture(path)
        shape = case["image_aspect_ratio"]
        seen = padded(picture) if shape == "pad" else picture
        assert list(seen.size) == case["padded_size"], case["image"]
        large = high_resolution(picture, shape=shape)
        small = low_resolution(large)
        for tensor, name in ((large, "aux"), (small, "low")):
            assert list(tensor.shape) == case[f"{name}_shape"]
            mean = tensor.mean(dim=(1, 2)).numpy()
            np.testing.assert_allclose(mean, case[f"{name}_mean"], atol=5e-3, err_msg=str(case))
            np.testing.assert_allclose(
                sampled(tensor), np.array(case[f"{name}_samples"]), atol=0.02
            )


def test_imagenet_s_colours_come_back_to_the_same_picture() -> None:
    picture = Image.new("RGB", (32, 32), (10, 200, 90))
    ours = recoloured(high_resolution(picture, size=32))
    expected = (np.array([10, 200, 90]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(ours[:, 3, 3].numpy(), expected, atol=1e-5)


def test_a_cut_off_file_gives_what_there_is(goldens: Path) -> None:
    whole = (goldens / "vlm" / "images" / "shapes_400x300.jpg").read_bytes()
    picture = read_picture(whole[: len(whole) // 2])
    assert picture.size == (400, 300)


def test_a_text_named_jpg_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"a\.jpg should be a picture"):
        read_picture(tmp_path / "a.jpg")


def test_a_huge_picture_is_refused_by_its_header() -> None:
    drawn = BytesIO()
    Image.new("1", (10_000, 9_000)).save(drawn, "PNG")
    with pytest.raises(DataError, match="has 10000 x 9000 pixels, more than"):
        read_picture(drawn.getvalue())
