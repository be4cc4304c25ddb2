"""Stereo pairs are read as the data sets write them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fovea.errors import DataError
from fovea.photo.pair import StereoPair, read_disparity, read_pair
from fovea.photo.settings.evaluate import EvaluateConfig

SCENE = Path("scene.ply")


@pytest.mark.parametrize("suffix", [".pfm", ".npz", ".npy", ".png"])
def test_disparities_are_read_from_every_kind_of_file(suffix: str, tmp_path: Path) -> None:
    wanted = np.array([[1.5, np.nan, 7.25], [2.0, 3.0, 40.0]])
    path = tmp_path / f"disp{suffix}"
    match suffix:
        case ".npz":
            np.savez(path, np.where(np.isnan(wanted), np.inf, wanted).astype(np.float32))
        case ".npy":
            np.save(path, wanted)
        case ".pfm":
            cv2.imwrite(str(path), np.where(np.isnan(wanted), np.inf, wanted).astype(np.float32))
        case _:
            cv2.imwrite(str(path), np.nan_to_num(wanted * 256).astype(np.uint16))
    np.testing.assert_allclose(read_disparity(path), wanted)


def test_pictures_of_8_bits_hold_whole_pixels_of_disparity(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7]], np.uint8)).save(tmp_path / "disp.png")
    np.testing.assert_array_equal(read_disparity(tmp_path / "disp.png"), [[np.nan, 7]])


def pair_of(disparity: np.ndarray, **known: float) -> StereoPair:
    picture = np.zeros((*disparity.shape, 3), np.uint8)
    return StereoPair("pair", picture, picture, disparity, **known)


def test_depth_is_f_b_over_disparity_and_offset() -> None:
    pair = pair_of(np.array([[2.0, np.nan]]), focal_px=100, baseline_m=0.2, offset_px=3)
    assert pair.is_metric
    np.testing.assert_allclose(pair.depth(), [[4.0, np.nan]])
    assert not pair_of(np.ones((1, 2))).is_metric


def test_pixels_behind_the_foreground_and_beyond_the_border_are_seen_by_one_eye_only() -> None:
    disparity = np.full((4, 40), 2.0)
    disparity[:, 20:30] = 8.0
    seen = pair_of(disparity).seen_by_both()[0]
    assert not seen[22:28].any()  # behind the board, which stands at 12 to 21
    assert not seen[38:].any()
    assert seen[:22].all()
    assert seen[28:38].all()


def test_real_pairs_are_found_by_their_names(data_folder: Path) -> None:
    for name, width, least, most in (("motorcycle", 741, 5, 71), ("aloe", 1282, 20, 220)):
        pair = read_pair(
            EvaluateConfig(scene=SCENE, data=data_folder / "photos" / f"stereo_{name}")
        )
        assert pair.left.shape == pair.right.shape == (*pair.disparity.shape, 3)
        assert pair.disparity.shape[1] == width
        known = pair.disparity[np.isfinite(pair.disparity)]
        assert least <= known.min() < known.max() <= most


def test_the_right_picture_moved_by_the_disparities_is_the_left_one(data_folder: Path) -> None:
    folder = data_folder / "photos" / "stereo_motorcycle"
    pair = read_pair(EvaluateConfig(scene=SCENE, data=folder))
    rows, columns = np.nonzero(np.isfinite(pair.disparity))
    at = columns - pair.disparity[rows, columns]
    inside = at > 0
    rows, columns, at = rows[inside], columns[inside], np.rint(at[inside]).astype(int)
    off = np.abs(pair.left[rows, columns].astype(int) - pair.right[rows, at])
    assert np.median(off) <= 6


def test_middleburys_calibration_is_read(tmp_path: Path) -> None:
    for name in ("im0.png", "im1.png"):
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / name)
    np.save(tmp_path / "disp0.npy", np.ones((2, 3)))
    text = "cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]\ndoffs=31.086\nbaseline=193.001\n"
    (tmp_path / "calib.txt").write_text(text)
    pair = read_pair(EvaluateConfig(scene=SCENE, data=tmp_path))
    assert (pair.focal_px, pair.baseline_m, pair.offset_px) == (994.978, 0.193001, 31.086)
    given = read_pair(EvaluateConfig(scene=SCENE, data=tmp_path, focal_px=5))
    assert given.focal_px == 5


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no left of a stereo pair"):
        read_pair(EvaluateConfig(scene=SCENE, data=tmp_path))
    with pytest.raises(DataError, match="neither data= nor left="):
        read_pair(EvaluateConfig(scene=SCENE))


def test_sizes_that_differ_are_all_said(tmp_path: Path) -> None:
    for name, width in (("im0.png", 3), ("im1.png", 4)):
        Image.fromarray(np.zeros((2, width, 3), np.uint8)).save(tmp_path / name)
    np.save(tmp_path / "disp0.npy", np.ones((2, 3)))
    with pytest.raises(DataError, match="3x2, 4x2, 3x2"):
        read_pair(EvaluateConfig(scene=SCENE, data=tmp_path))
