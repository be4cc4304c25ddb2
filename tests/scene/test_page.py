"""Pages that work from a disk."""

import base64
import io
import re

import numpy as np
from PIL import Image

from fovea.scene import page


def test_a_page_asks_for_nothing_and_runs_nothing() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    text = page.page("a < b", page.section("s", page.figure(picture, "it's"), "n & m"), lead="<i>")
    assert "default-src 'none'" in text
    assert not re.findall(r"https?://|<script|url\(", text)
    assert "<h1>a &lt; b</h1>" in text
    assert "<p>n &amp; m</p>" in text
    assert "<i>" not in text


def test_a_table_leaves_out_columns_that_no_row_has_and_keeps_their_order() -> None:
    columns = {"b": ("B", "{:.1f}"), "none": ("None", "{}"), "a": ("A", "{}")}
    text = page.table({"x": {"a": 1, "b": 2.0}, "y": {"b": 3.26}}, columns, marked="y")
    assert re.findall(r"<th>(.*?)</th>", text) == ["", "B", "A"]
    assert re.findall(r"<td>(.*?)</td>", text) == ["x", "2.0", "1", "y", "3.3", ""]
    assert '<tr class="marked"><td>y' in text


def test_a_large_picture_is_brought_to_its_width() -> None:
    wide = np.random.default_rng(0).integers(0, 255, (80, 400, 3), np.uint8)
    assert len(page.data_url(wide, width_px=100)) < len(page.data_url(wide, width_px=400)) / 4


def test_pictures_in_steps_and_in_parts_look_alike() -> None:
    def colour(picture: np.ndarray) -> np.ndarray:
        held = base64.b64decode(page.data_url(picture).partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(held))).mean(axis=(0, 1))

    steps = np.full((8, 8, 3), (64, 150, 40), np.uint8)
    np.testing.assert_allclose(colour(steps), (64, 150, 40), atol=6)
    np.testing.assert_allclose(colour(steps / np.float32(255)), colour(steps), atol=1)
