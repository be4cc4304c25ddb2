"""Photographs as they are read: turned, in sRGB, over a background, with a focal length."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, ImageCms
from pydantic import ValidationError

from fovea.errors import ArtifactError, DataError
from fovea.photo.photograph import read_photograph
from fovea.photo.settings.photograph import PhotographConfig
from fovea.scene.decode import TURNS
from fovea.scene.image import image_size

pillow_heif.register_heif_opener()
REFERENCE = PhotographConfig(mode="reference")
TAGS = {"FocalLength": 0x920A, "FocalLengthIn35mmFilm": 0xA405}


def exif(tags: dict[str, Any]) -> Image.Exif:
    made = Image.Exif()
    if "Orientation" in tags:
        made[0x0112] = tags["Orientation"]
    made._ifds[0x8769] = {TAGS[name]: value for name, value in tags.items() if name in TAGS}
    return made


def steps(height: int = 20, width: int = 30, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, channels), dtype=np.uint8)


# The reference's own rules


def cases(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "sharp" / "image_loading.json").read_text())


def test_reference_focal_lengths(goldens: Path, tmp_path: Path) -> None:
    for number, case in enumerate(cases(goldens)["focal_cases"]):
        path = tmp_path / f"{number}.{case['ext']}"
        size = (case["width"], case["height"])
        Image.new(case["mode"], size).save(path, exif=exif(case["tags"]))
        found = read_photograph(path, REFERENCE)
        assert found.pixels.shape == tuple(case["result_shape"]), case
        assert found.focal_px == pytest.approx(case["f_px"], rel=1e-12), case


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reference_orientations(goldens: Path, tmp_path: Path, orientation: int) -> None:
    golden = cases(goldens)
    source, wanted = golden["orientation_source"], golden["orientation_result"][str(orientation)]
    # Only what is 8 px and larger is taken for a photograph, so each pixel becomes a square.
    small = np.array(source["pixels"], np.uint8).reshape(source["shape"])
    path = tmp_path / "a.png"
    large = small.repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(large).save(path, exif=exif({"Orientation": orientation}))
    found = read_photograph(path, REFERENCE).pixels[::8, ::8]
    assert np.array_equal(found, np.array(wanted["pixels"], np.uint8).reshape(wanted["shape"]))


def test_reference_drops_alpha_and_breaks_on_16_bits(tmp_path: Path) -> None:
    values = steps(channels=4)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(read_photograph(tmp_path / "a.png", REFERENCE).pixels, values[..., :3])
    Image.fromarray(np.zeros((20, 30), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"uint16 .* mode=corrected"):
        read_photograph(tmp_path / "b.png", REFERENCE)


# Turned as it was held


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "deep.png", "deep.tif", "a.tif"])
def test_all_eight_orientations_are_set_upright(
    tmp_path: Path, name: str, orientation: int
) -> None:
    upright = steps()
    undone = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    back = undone.get(orientation, TURNS.get(orientation))
    whole = Image.fromarray(upright)
    stored = np.asarray(whole if back is None else whole.transpose(back))
    path = tmp_path / name
    if name == "deep.png":
        write_deep_png(path, stored.astype(np.uint16) * 257, orientation)
    elif name == "deep.tif":
        tag = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, stored.astype(np.uint16) * 257, photometric="rgb", extratags=tag)
    else:
        Image.fromarray(stored).save(path, exif=exif({"Orientation": orientation}))
    assert np.array_equal(read_photograph(path).pixels, upright)
    assert image_size(path) == upright.shape[:2]


def write_deep_png(path: Path, values: np.ndarray, orientation: int) -> None:
    """A PNG of 16 bits with EXIF, which Pillow cannot write: its chunk is put in by hand."""
    import struct
    import zlib

    import cv2

    whole = cv2.imencode(".png", np.ascontiguousarray(values[..., ::-1]))[1].tobytes()
    data = exif({"Orientation": orientation}).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + data))
    path.write_bytes(whole[:33] + chunk + whole[33:])


def test_heic_and_avif_are_read(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :96]
    smooth = np.stack([x * 2, y * 3, x + y], axis=-1).astype(np.uint8)
    tags = exif({"FocalLength": 50.0}).tobytes()
    for name in ("a.heic", "a.avif"):
        Image.fromarray(smooth).save(tmp_path / name, quality=95, exif=tags)
        found = read_photograph(tmp_path / name)
        assert np.abs(found.pixels.astype(int) - smooth).mean() < 3
        assert "50 mm" in found.focal_source
    tags = exif({"Orientation": 6}).tobytes()
    Image.fromarray(smooth).save(tmp_path / "turned.avif", quality=95, exif=tags)
    turned = read_photograph(tmp_path / "turned.avif").pixels.astype(int)
    assert np.abs(turned - np.rot90(smooth, 3)).mean() < 3


# In sRGB


def test_16_bits_are_scaled_and_rounded(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "rgb.tif", values, photometric="rgb")
    Image.fromarray(values[..., 0]).save(tmp_path / "grey.png")
    wanted = np.floor(values / 65535 * 255 + 0.5)
    assert np.array_equal(read_photograph(tmp_path / "rgb.tif").pixels, wanted)
    assert np.array_equal(read_photograph(tmp_path / "grey.png").pixels[..., 1], wanted[..., 0])


def wide_profile(primaries: list[tuple[float, float]], gamma: float) -> bytes:
    """An ICC profile of three primaries and a gamma, as a camera or a phone would write it."""
    import struct

    white = np.array([0.9642, 1.0, 0.8249])  # D50, the profile connection space's
    d65 = np.array([0.95047, 1.0, 1.08883])
    cone = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    adapt = np.linalg.inv(cone) @ np.diag((cone @ white) / (cone @ d65)) @ cone
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    columns = adapt @ (xyz * np.linalg.solve(xyz, d65))

    def fixed(values: Any) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    name = b"Wide\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + fixed(white),
        **{
            k: b"XYZ " + bytes(4) + fixed(columns[:, n])
            for n, k in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for key, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += key + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += padded
    head = bytearray(128)
    head[8:12], head[12:16], head[16:20], head[20:24] = b"\2\x40\0\0", b"mntr", b"RGB ", b"XYZ "
    head[36:40] = b"acsp"
    head[68:80] = fixed(white)
    struct.pack_into(">I", head, 0, 128 + len(table) + len(body))
    return bytes(head) + table + body


DISPLAY_P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
ADOBE_RGB = [(0.640, 0.330), (0.210, 0.710), (0.150, 0.060)]


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB])
def test_a_wide_gamut_is_brought_to_srgb(
    tmp_path: Path, primaries: list[tuple[float, float]]
) -> None:
    # Colours that sRGB holds, written down in the wider space by the formulas of both.
    srgb = steps(channels=3) / 255 * 0.5 + 0.25
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    wide = linear @ matrix([(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)]).T
    wide = wide @ np.linalg.inv(matrix(primaries)).T
    stored = np.floor(np.clip(wide, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
    profile = wide_profile(primaries, 2.2)
    Image.fromarray(stored).save(tmp_path / "a.png", icc_profile=profile)
    found = read_photograph(tmp_path / "a.png")
    wanted = srgb * 255
    assert np.abs(found.pixels - wanted).max() < 3, "two roundings to 8 bits and a curve between"
    assert np.abs(stored - wanted).max() > 12, "the two spaces are told apart"
    assert found.notes == ("colours brought from Wide to sRGB",)
    assert np.array_equal(read_photograph(tmp_path / "a.png", REFERENCE).pixels, stored)


def matrix(primaries: list[tuple[float, float]]) -> np.ndarray:
    """Linear RGB of these primaries to XYZ, white D65."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    return xyz * np.linalg.solve(xyz, [0.95047, 1.0, 1.08883])


def test_a_profile_that_says_srgb_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(steps()).save(tmp_path / "a.png", icc_profile=profile)
    found = read_photograph(tmp_path / "a.png")
    assert np.array_equal(found.pixels, steps())
    assert found.notes == ()


def test_cmyk_becomes_the_colours_it_was_made_of(tmp_path: Path) -> None:
    flat = Image.new("RGB", (16, 16), (200, 60, 30))
    flat.convert("CMYK").save(tmp_path / "a.tif")
    assert np.abs(read_photograph(tmp_path / "a.tif").pixels - [200, 60, 30]).max() <= 1


# Over a background


@pytest.mark.parametrize(("background", "wanted"), [("white", 255), ("#204060", (32, 64, 96))])
def test_what_is_transparent_gets_the_background(
    tmp_path: Path, background: str, wanted: Any
) -> None:
    values = steps(channels=4)
    values[..., 3] = 0
    values[0, :, 3] = 255
    Image.fromarray(values).save(tmp_path / "a.png")
    found = read_photograph(tmp_path / "a.png", PhotographConfig(background=background))
    assert np.array_equal(found.pixels[0], values[0, :, :3])
    assert (found.pixels[1:] == wanted).all()
    assert found.notes == (f"95% of it is transparent, with {background} behind",)


def test_grey_alpha_and_palettes_are_laid_over_it(tmp_path: Path) -> None:
    half = np.full((16, 16, 2), (100, 51), np.uint8)
    Image.fromarray(half).save(tmp_path / "la.png")
    assert (read_photograph(tmp_path / "la.png").pixels == round(100 * 0.2 + 255 * 0.8)).all()
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([9, 8, 7, 50, 60, 70])
    palette.save(tmp_path / "p.png", transparency=0)
    assert (read_photograph(tmp_path / "p.png").pixels == (50, 60, 70)).all()


# What is refused, and what is given by hand


def test_the_camera_looks_from_the_origin_through_the_middle(tmp_path: Path) -> None:
    Image.fromarray(steps()).save(tmp_path / "a.png")
    found = read_photograph(tmp_path / "a.png", PhotographConfig(fov_deg=90))
    camera = found.camera()
    assert found.focal_px == pytest.approx(found.width / 2)
    assert camera.fov_x == pytest.approx(math.pi / 2)
    assert camera.intrinsics[:2, 2].tolist() == [15, 10]


def test_a_folder_and_what_may_not_be_read_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArtifactError, match="is a folder"):
        read_photograph(tmp_path)
    path = tmp_path / "a.png"
    Image.fromarray(steps()).save(path)

    def refuse(*args: Any, **named: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(ArtifactError, match="may not be read by this user"):
        read_photograph(path)


def test_a_focal_length_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="focal_mm=28 and fov_deg=60"):
        PhotographConfig(focal_mm=28, fov_deg=60)
    with pytest.raises(ValidationError, match="background"):
        PhotographConfig(background="no colour")
