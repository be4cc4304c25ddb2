"""Pictures in and out, and what is said of files that are none."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.errors import ArtifactError, DataError
from fovea.scene.image import (
    composite,
    image_size,
    read_image,
    resize,
    to_uint8,
    write_image,
)


def picture(height: int = 5, width: int = 7, channels: int = 3, most: int = 255) -> np.ndarray:
    steps = np.random.default_rng(3).integers(0, most + 1, (height, width, channels))
    return (steps / most).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_png_keeps_every_step(tmp_path: Path, channels: int, bits: int) -> None:
    image = picture(channels=channels, most=2**bits - 1)
    write_image(tmp_path / "a.png", image, bits=bits)
    found = read_image(tmp_path / "a.png")
    assert found.dtype == np.float32
    assert np.array_equal(found, image)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_is_read_as_three_equal_channels(tmp_path: Path, bits: int) -> None:
    image = picture(channels=1, most=2**bits - 1)
    write_image(tmp_path / "a.png", image, bits=bits)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.repeat(image, 3, axis=2))


def test_grey_with_alpha_and_a_palette_with_transparency_keep_alpha(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[[10, 200]]], np.uint8), mode=None)
    grey.save(tmp_path / "la.png")
    assert np.allclose(read_image(tmp_path / "la.png") * 255, [[[10, 10, 10, 200]]])
    palette = Image.new("P", (1, 1))
    palette.putpalette([9, 8, 7])
    palette.save(tmp_path / "p.png", transparency=0)
    assert np.allclose(read_image(tmp_path / "p.png") * 255, [[[9, 8, 7, 0]]])


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    smooth = np.linspace(0, 1, 32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3)
    write_image(tmp_path / "a.jpg", smooth)
    assert np.abs(read_image(tmp_path / "a.jpg") - smooth).max() < 0.03


def test_a_tensor_is_written_like_an_array(tmp_path: Path) -> None:
    image = picture()
    write_image(tmp_path / "a.png", torch.from_numpy(image).requires_grad_())
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path, orientation: int) -> None:
    steps = (picture(4, 6) * 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(steps).save(tmp_path / "a.png", exif=exif)
    flips = {1: "", 2: "x", 3: "xy", 4: "y", 5: "t", 6: "ty", 7: "txy", 8: "tx"}[orientation]
    # The stored picture is what becomes upright by undoing the named steps in order.
    upright = steps
    for step in {"ty": "yt", "tx": "xt"}.get(flips, flips):
        upright = {"x": upright[:, ::-1], "y": upright[::-1], "t": upright.swapaxes(0, 1)}[step]
    found = read_image(tmp_path / "a.png")
    assert np.array_equal(to_uint8(found), upright)
    assert image_size(tmp_path / "a.png") == found.shape[:2]


def test_real_orientations_agree(data_folder: Path) -> None:
    folder = data_folder / "photos" / "exif_orientation"
    sizes = {image_size(path) for path in sorted(folder.glob("*.jpg"))}
    assert len(sizes) == 1


def test_steps_are_rounded_and_clipped() -> None:
    values = np.array([[[-1.0], [0.0019], [0.002], [0.5], [2.0]]])
    assert to_uint8(values).ravel().tolist() == [0, 0, 1, 128, 255]


def test_values_that_are_no_numbers_are_counted() -> None:
    image = picture()
    image[0, 0, :2] = np.nan
    with pytest.raises(DataError, match="2 of the picture's 105 values are not finite"):
        to_uint8(image)


def test_composite_lays_straight_alpha_over_a_colour() -> None:
    image = np.array([[[0.8, 0.4, 0.2, 0.25]]], np.float32)
    assert np.allclose(composite(image, 1.0), [[[0.95, 0.85, 0.8]]])
    assert np.allclose(composite(image), [[[0.2, 0.1, 0.05]]])


def test_area_is_the_mean_of_what_it_covers() -> None:
    image = picture(8, 12)
    means = image.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3))
    assert np.allclose(resize(image, height=4, width=4, filter="area"), means, atol=1e-6)


def test_bicubic_is_pillow_on_eight_bits_but_for_its_rounding() -> None:
    # Pillow rounds, and clips, once a direction; away from black and white that is one step in all.
    image = 0.3 + 0.4 * picture(40, 30)
    steps = to_uint8(image)
    theirs = np.asarray(Image.fromarray(steps).resize((15, 20), Image.Resampling.BICUBIC))
    ours = resize(steps / np.float32(255), height=20, width=15) * 255
    assert np.abs(ours - theirs).max() < 1.01


def test_resizing_keeps_constants_and_range() -> None:
    flat = np.full((9, 9, 4), 0.37, np.float32)
    assert np.allclose(resize(flat, height=5, width=4), 0.37, atol=1e-6)
    edge = np.zeros((16, 16, 3), np.float32)
    edge[:, 8:] = 1
    larger = resize(edge, height=50, width=50)
    assert larger.min() == 0
    assert larger.max() == 1


def test_what_lies_under_transparency_does_not_bleed() -> None:
    image = np.zeros((2, 2, 4), np.float32)
    image[:, 0] = [1, 0, 0, 1]
    image[:, 1] = [0, 1, 0, 0]
    assert np.allclose(resize(image, height=1, width=1, filter="area"), [[[1, 0, 0, 0.5]]])


def test_a_text_file_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture at all")
    with pytest.raises(DataError, match=r"a\.png is not a picture: it starts with b'not a pict"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_cut_off_picture_is_said_to_be_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, picture(64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"is a damaged picture: .*Fetch or export it again"):
        read_image(path)


def test_a_cut_off_picture_of_16_bits_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, picture(64, 64), bits=16)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match="damaged"):
        read_image(path)


def bomb(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


@pytest.mark.parametrize("side", [13_400, 30_000])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    with pytest.raises(DataError, match=r"178956970 .*Shrink it"):
        read_image(tmp_path / "a.png")


def test_a_caller_may_allow_less(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(20, 30))
    with pytest.raises(DataError, match="30 x 20 pixels, more than the 599"):
        read_image(tmp_path / "a.png", most_pixels=599)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.png: there is no such file"):
        read_image(tmp_path / "nothing.png")


@pytest.mark.parametrize(
    ("name", "channels", "bits", "sentence"),
    [
        ("a.bmp", 3, 8, r"not '\.bmp'"),
        ("a.jpg", 4, 8, "holds no alpha"),
        ("a.jpg", 3, 16, "holds no 16 bits"),
        ("a.png", 2, 8, "1, 3 or 4 channels"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, channels: int, bits: int, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        write_image(tmp_path / name, picture(channels=channels), bits=bits)
