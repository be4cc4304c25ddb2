"""Depth maps in and out, their preview, and normals."""

from pathlib import Path

import numpy as np
import pytest

from fovea.errors import ArtifactError, DataError
from fovea.photo.depth import (
    depth_preview,
    normal_preview,
    normals_from_depth,
    read_depth,
    write_depth,
)
from fovea.photo.sharp_ply import camera_at_origin


def map_m() -> np.ndarray:
    depth = np.random.default_rng(0).uniform(0.5, 60, (9, 12)).astype(np.float32)
    depth[0, 0], depth[0, 1] = 0, np.nan
    return depth


@pytest.mark.parametrize(("ending", "step_m"), [("png", 0.0005001), ("npy", 0), ("exr", 0)])
def test_a_map_is_read_back_in_metres(ending: str, step_m: float, tmp_path: Path) -> None:
    wrote = write_depth(tmp_path / f"a.{ending}", map_m())
    assert [path.name for path in wrote] == [f"a.{ending}", "a.preview.png"]
    found = read_depth(tmp_path / f"a.{ending}")
    assert found.dtype == np.float32
    wanted = np.nan_to_num(map_m())
    assert np.abs(found - wanted).max() <= step_m
    assert ((found == 0) == (wanted == 0)).all()


def test_png_keeps_what_is_near_and_far_apart_from_unknown(tmp_path: Path) -> None:
    write_depth(tmp_path / "a.png", np.array([[0.0, 0.0001, 1000.0]], np.float32), preview=False)
    assert read_depth(tmp_path / "a.png")[0].tolist() == pytest.approx([0, 0.001, 65.535])


def test_bad_maps_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no such file"):
        read_depth(tmp_path / "a.npy")
    with pytest.raises(ArtifactError, match=r"written as \.png, \.npy, \.exr, not '\.tif'"):
        write_depth(tmp_path / "a.tif", map_m())
    write_depth(tmp_path / "a.npy", map_m())
    with pytest.raises(ArtifactError, match="PNG of 8 bits"):
        read_depth(tmp_path / "a.preview.png")
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
    with pytest.raises(ArtifactError, match=r"shape \[2, 3, 4\]"):
        read_depth(tmp_path / "b.npy")
    for name in ("c.npy", "c.exr", "c.png"):
        (tmp_path / name).write_bytes(b"no map")
        with pytest.raises(ArtifactError, match=rf"{name} is "):
            read_depth(tmp_path / name)


def test_the_preview_shows_near_blue_far_red_and_unknown_black() -> None:
    depth = np.tile(np.linspace(1, 10, 50, dtype=np.float32), (4, 1))
    depth[0] = 0
    shown = depth_preview(depth)
    assert not shown[0].any()
    assert shown[2, 12, 2] > shown[2, 12, 0]
    assert shown[2, 45, 0] > shown[2, 45, 2]
    assert not depth_preview(np.zeros((2, 2), np.float32)).any()


def test_a_slanted_plane_has_its_normal_everywhere_and_a_step_has_none() -> None:
    camera = camera_at_origin(40.0, height=30, width=40)
    wanted = np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, -0.2, -1.0])
    rays = camera.directions(unit=False).numpy()
    depth = -2.0 / (rays @ wanted)  # the plane through points p with p . wanted = -2
    found = normals_from_depth(depth, camera)
    assert np.allclose(found, wanted, atol=1e-4)
    stepped = depth.copy()
    stepped[:, 20:] *= 2
    found = normals_from_depth(stepped, camera)
    assert np.allclose(found[:, 19], wanted, atol=1e-4)
    lone = np.zeros_like(depth)
    lone[5, 5] = 1
    assert not normals_from_depth(lone, camera).any()
    assert not normal_preview(normals_from_depth(lone, camera)).any()
    with pytest.raises(DataError, match="40x30"):
        normals_from_depth(depth[:10], camera)


def test_a_wall_s_normal_is_shown_as_blue() -> None:
    camera = camera_at_origin(40.0, height=5, width=5)
    found = normals_from_depth(np.full((5, 5), 2.0), camera)
    assert normal_preview(found)[2, 2].tolist() == [128, 128, 255]
