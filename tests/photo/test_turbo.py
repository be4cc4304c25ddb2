"""Depth has the reference's colours, step for step."""

import json
from pathlib import Path

import numpy as np

from fovea.photo.turbo import depth_colors


def test_depths_have_the_references_colours(goldens: Path) -> None:
    golden = json.loads((goldens / "sharp" / "depth_colours.json").read_text())
    depth = np.array(golden["depth"], dtype=np.float32)[None]
    found = depth_colors(depth, golden["val_max"])
    np.testing.assert_array_equal(found[0], golden["rgb"])


def test_what_is_deeper_than_the_range_has_the_last_colour() -> None:
    found = depth_colors(np.array([[1.0, 2.0, 1e9]], np.float32), 1.0)
    assert (found == found[0, 0]).all()
