"""The small picture that stands for a run."""

import io
import shutil
from pathlib import Path

from PIL import Image

from fovea.viewer.thumbnail import SIDE_PX, thumbnail


def opened(content: bytes | None) -> Image.Image:
    assert content
    return Image.open(io.BytesIO(content))


def test_it_is_the_latest_picture_of_a_run_small_and_no_wider_than_a_photograph(
    run_folder: Path,
) -> None:
    picture = opened(thumbnail(run_folder))
    assert picture.format == "JPEG"
    assert picture.size == (27, 20), "the first part of a row of 40 x 20"
    red, green, blue = picture.convert("RGB").getpixel((10, 10))  # type: ignore[misc]
    assert abs(red - 180) < 6
    assert abs(green - 90) < 6
    assert abs(blue - 120) < 6


def test_large_pictures_shrink_and_what_is_transparent_is_white(run_folder: Path) -> None:
    target = run_folder / "stages/fit-12345678/pictures/test-0000009.png"
    Image.new("RGBA", (1200, 1000), (0, 0, 0, 0)).save(target)
    picture = opened(thumbnail(run_folder))
    assert max(picture.size) == SIDE_PX
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_a_run_without_pictures_has_none(run_folder: Path) -> None:
    shutil.rmtree(run_folder / "stages/fit-12345678/pictures")
    assert thumbnail(run_folder) is None
