import logging
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import ArtifactError, DataError
from fovea.scene import radiance
from fovea.scene.image import write_image
from fovea.scene.radiance import read_radiance, write_radiance

SUFFIXES = (".hdr", ".exr")


def light(height: int = 16) -> np.ndarray:
    """Radiances over eight decades."""
    exponents = np.random.default_rng(0).uniform(-4, 4, (height, 2 * height, 3))
    return (10**exponents).astype(np.float32)


def test_exr_keeps_every_bit(tmp_path: Path):
    write_radiance(tmp_path / "sky.exr", light())
    assert np.array_equal(read_radiance(tmp_path / "sky.exr"), light())


def test_hdr_keeps_half_a_step_of_the_brightest_channel_without_bias(tmp_path: Path):
    write_radiance(tmp_path / "sky.hdr", light())
    read, brightest = read_radiance(tmp_path / "sky.hdr"), light().max(axis=2, keepdims=True)
    # A step is at most 1/128 of the brightest channel; the largest of 256 is cut to 255.
    assert (np.abs(read - light()) / brightest).max() <= 1 / 255
    assert (read / light())[light() == brightest].mean() == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_read_is_written_unchanged(tmp_path: Path, suffix: str):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_radiance(first, light())
    write_radiance(second, read_radiance(first))
    assert np.array_equal(read_radiance(first), read_radiance(second))
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, second.name]


def test_a_write_that_fails_half_way_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "sky.exr"
    write_radiance(path, light())

    def fails(draft: Path, values: np.ndarray) -> None:
        draft.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(radiance, "_write_exr", fails)
    with pytest.raises(OSError, match="no space left"):
        write_radiance(path, 2 * light())
    assert np.array_equal(read_radiance(path), light())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_black_stays_black(tmp_path: Path):
    write_radiance(tmp_path / "night.hdr", np.zeros((4, 8, 3), dtype=np.float32))
    assert read_radiance(tmp_path / "night.hdr").max() == 0


def test_a_picture_is_no_light_whatever_its_name(tmp_path: Path):
    write_image(tmp_path / "sky.png", np.ones((4, 8, 3), dtype=np.float32))
    (tmp_path / "sky.hdr").write_bytes((tmp_path / "sky.png").read_bytes())
    for name in ("sky.png", "sky.hdr"):
        with pytest.raises(DataError, match="is a picture: what is brighter than its white"):
            read_radiance(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_off_file_is_damaged(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture):
    path = tmp_path / f"sky{suffix}"
    write_radiance(path, light())
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"sky\.\w+ \(700 bytes\) is a damaged map of light"):
        read_radiance(path)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "row 2, column 3"), (np.inf, "not finite")])
def test_values_that_are_not_finite_are_refused_with_their_place(tmp_path: Path, value, said: str):
    import OpenEXR

    spoilt = light()
    spoilt[2, 3, 1] = value
    with OpenEXR.File({}, {"RGB": spoilt}) as file:
        file.write(str(tmp_path / "sky.exr"))
    with pytest.raises(DataError, match=said):
        read_radiance(tmp_path / "sky.exr")
    with pytest.raises(DataError, match="1 of 1536 radiances are negative or not finite"):
        write_radiance(tmp_path / "again.exr", spoilt)
    assert not (tmp_path / "again.exr").exists()


def test_a_little_negative_light_counts_as_none_and_much_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    import OpenEXR

    def write(name: str, values: np.ndarray) -> Path:
        with OpenEXR.File({}, {"RGB": values}) as file:
            file.write(str(tmp_path / name))
        return tmp_path / name

    ringing = np.ones((4, 8, 3), dtype=np.float32)
    ringing[0, 0] = -1
    with caplog.at_level(logging.WARNING):
        assert read_radiance(write("sky.exr", ringing)).min() == 0
    assert "3 of 96 radiances are negative" in caplog.text
    normals = np.random.default_rng(0).normal(size=(4, 8, 3)).astype(np.float32)
    with pytest.raises(DataError, match="are negative, the lowest"):
        read_radiance(write("normals.exr", normals))


def test_a_map_of_a_surrounding_is_twice_as_wide_as_high(tmp_path: Path):
    write_radiance(tmp_path / "sky.exr", light()[:, :20])
    with pytest.raises(DataError, match=r"is 20 x 16; .* twice as wide as high"):
        read_radiance(tmp_path / "sky.exr")
    assert read_radiance(tmp_path / "sky.exr", is_panorama=False).shape == (16, 20, 3)


def test_grey_light_and_alpha_are_read(tmp_path: Path):
    import OpenEXR

    grey, color = light()[..., 0].copy(), light()
    with OpenEXR.File({}, {"Y": grey}) as file:
        file.write(str(tmp_path / "grey.exr"))
    with OpenEXR.File({}, {"RGBA": np.concatenate([color, color[..., :1]], axis=2)}) as file:
        file.write(str(tmp_path / "alpha.exr"))
    with OpenEXR.File({}, {"Z": grey}) as file:
        file.write(str(tmp_path / "depth.exr"))
    assert np.array_equal(read_radiance(tmp_path / "grey.exr")[..., 2], grey)
    assert np.array_equal(read_radiance(tmp_path / "alpha.exr"), color)
    with pytest.raises(DataError, match="has the channels Z; light needs R, G and B"):
        read_radiance(tmp_path / "depth.exr")


def test_other_files_and_names_are_refused(tmp_path: Path):
    with pytest.raises(ArtifactError, match="there is no such file"):
        read_radiance(tmp_path / "none.hdr")
    (tmp_path / "notes.hdr").write_text("hello")
    with pytest.raises(DataError, match=r"neither Radiance \.hdr nor OpenEXR \.exr"):
        read_radiance(tmp_path / "notes.hdr")
    with pytest.raises(DataError, match=r"not '\.png'"):
        write_radiance(tmp_path / "sky.png", light())


def test_published_maps_are_read(data_folder: Path):
    # Radiances after the data's own notes; the .exr is lossy and has negative values.
    assert read_radiance(data_folder / "hdri/potsdamer_platz_1k.hdr").max() == pytest.approx(
        11.8125
    )
    assert read_radiance(data_folder / "hdri/esplanade.exr").shape == (256, 512, 3)
