"""Camera paths, by their geometry."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ArtifactError, DataError
from fovea.scene.camera import Camera
from fovea.scene.path import (
    ellipse,
    interpolate,
    load_path,
    looked_at,
    orbit,
    save_path,
    upward,
)

CENTRE = np.array([0.4, -0.2, 0.7])
UP = np.array([0.3, 0.2, 0.9]) / np.linalg.norm([0.3, 0.2, 0.9])


def standing(
    count: int = 9, radius: float = 4.0, elevation_deg: float = 25.0, arc_deg: float = 360.0
) -> list[Camera]:
    """Cameras on a circle around CENTRE, level with respect to UP."""
    first = np.cross(UP, [1.0, 0, 0])
    first /= np.linalg.norm(first)
    second = np.cross(UP, first)
    elevation = math.radians(elevation_deg)
    cameras = []
    for turn in np.radians(arc_deg) * np.arange(count) / count:
        out = np.cos(turn) * first + np.sin(turn) * second
        place = CENTRE + radius * (math.cos(elevation) * out + math.sin(elevation) * UP)
        camera = Camera.look_at(
            place.tolist(), CENTRE.tolist(), up=UP.tolist(), fov_x=0.8, height=30, width=40
        )
        cameras.append(camera)
    return cameras


def positions(cameras: list[Camera]) -> np.ndarray:
    return np.stack([camera.position.numpy() for camera in cameras])


@pytest.mark.parametrize("arc_deg", [360.0, 90.0])
@pytest.mark.parametrize("elevation_deg", [-10.0, 25.0, 70.0])
def test_up_and_centre_are_found_from_the_cameras(arc_deg: float, elevation_deg: float) -> None:
    cameras = standing(elevation_deg=elevation_deg, arc_deg=arc_deg)
    assert np.allclose(looked_at(cameras), CENTRE)
    assert np.allclose(upward(cameras), UP)


def test_cameras_before_a_wall_look_before_them() -> None:
    cameras = [
        Camera.look_at([x, 0, 0], [x, 0, 5], up=(0, -1, 0), fov_x=1.0, height=4, width=4)
        for x in (-1.0, 0.0, 1.0)
    ]
    assert np.allclose(looked_at(cameras), [0, 0, 1])
    assert np.allclose(upward(cameras), [0, -1, 0])


def test_an_orbit_repeats_the_circle_of_the_cameras() -> None:
    cameras = standing(9)
    found = orbit(cameras, 9)
    assert np.allclose(positions(found), positions(cameras)) or np.allclose(
        positions(found)[[0, *range(8, 0, -1)]], positions(cameras)
    )
    for camera in found:
        pixel, depth = camera.project(torch.from_numpy(CENTRE))
        assert torch.allclose(pixel, torch.tensor([20.0, 15.0], dtype=torch.float64))
        assert depth.item() == pytest.approx(4)
        assert (camera.height, camera.width) == (30, 40)
        assert torch.equal(camera.intrinsics, cameras[0].intrinsics)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.floats(0.5, 9), st.floats(-80, 80))
def test_an_orbit_keeps_the_distance_and_elevation_it_was_told(
    count: int, radius: float, elevation_deg: float
) -> None:
    found = orbit(standing(4), count, radius=radius, elevation_deg=elevation_deg)
    offsets = positions(found) - CENTRE
    assert len(found) == count
    assert np.allclose(np.linalg.norm(offsets, axis=1), radius)
    assert np.allclose(offsets @ UP, radius * math.sin(math.radians(elevation_deg)))


def test_an_orbit_goes_around_what_it_was_told() -> None:
    found = orbit(standing(4), 8, centre=(1, 2, 3), up=(0, 0, 2), radius=1, elevation_deg=0)
    assert np.allclose(positions(found).mean(axis=0), [1, 2, 3])
    assert np.allclose(positions(found)[:, 2], 3)


def test_an_ellipse_goes_through_cameras_that_stand_on_one() -> None:
    places = [
        np.array([3 * math.cos(turn), 1.5 * math.sin(turn), 1.0])
        for turn in np.linspace(0, 2 * math.pi, 24, endpoint=False)
    ]
    cameras = [
        Camera.look_at(place.tolist(), [0, 0, 0], fov_x=0.8, height=30, width=40)
        for place in places
    ]
    found = positions(ellipse(cameras, 17))
    assert np.allclose((found[:, 0] / 3) ** 2 + (found[:, 1] / 1.5) ** 2, 1)
    assert np.allclose(found[:, 2], 1)


def test_a_ride_passes_its_keys() -> None:
    keys = standing(5)
    ride = interpolate(keys, 401)
    along = positions(ride)
    for key in keys:
        nearest = int(np.linalg.norm(along - key.position.numpy(), axis=1).argmin())
        assert np.linalg.norm(along[nearest] - key.position.numpy()) < 0.03
        assert torch.allclose(ride[nearest].rotation, key.rotation, atol=0.02)
    for end in (0, -1):
        assert torch.allclose(ride[end].world_to_camera, keys[end].world_to_camera, atol=1e-12)


def test_a_ride_is_smooth_and_evenly_paced() -> None:
    along = positions(interpolate(standing(8), 200))
    steps = np.linalg.norm(np.diff(along, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.25
    bends = np.linalg.norm(np.diff(along, n=2, axis=0), axis=1)
    assert bends.max() < 0.05 * steps.max()


def test_a_closed_ride_has_no_seam() -> None:
    ride = positions(interpolate(standing(6), 60, closed=True))
    around = np.vstack([ride, ride[:2]])
    steps = np.linalg.norm(np.diff(around, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.25
    bends = np.linalg.norm(np.diff(around, n=2, axis=0), axis=1)
    assert bends[-1] == pytest.approx(np.median(bends), rel=0.2)


def test_keys_far_apart_take_longer() -> None:
    keys = [standing(24)[index] for index in (0, 1, 2, 8, 9)]
    steps = np.linalg.norm(np.diff(positions(interpolate(keys, 100)), axis=0), axis=1)
    assert steps.max() / steps.min() < 2


def test_rotations_go_the_short_way_at_an_even_pace() -> None:
    keys = standing(8)[:2]
    ride = interpolate(keys, 11)
    between = [
        math.acos((torch.trace(a.rotation @ b.rotation.T).item() - 1) / 2)
        for a, b in itertools.pairwise(ride)
    ]
    assert max(between) - min(between) < 1e-6
    assert sum(between) < math.pi / 4


def test_a_zoom_is_linear_and_sizes_follow_the_first() -> None:
    first = standing(3)[0]
    wide = Camera.from_fov(first.world_to_camera, fov_x=1.2, height=60, width=80)
    ride = interpolate([first, wide], 3)
    middle = (first.intrinsics + wide.resized(height=30, width=40).intrinsics) / 2
    assert torch.allclose(ride[1].intrinsics, middle)
    assert {(camera.height, camera.width) for camera in ride} == {(30, 40)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_keys_and_standing_keys_are_no_trouble(count: int) -> None:
    key = standing(1)[0]
    for ride in (interpolate([key] * count, 4), interpolate([key] * count, 4, closed=True)):
        assert len(ride) == 4
        assert np.allclose(positions(ride), key.position.numpy())


def test_a_path_comes_back_from_its_file(tmp_path: Path) -> None:
    wanted = interpolate(standing(4), 7)
    save_path(tmp_path / "path.json", wanted)
    found = load_path(tmp_path / "path.json")
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a.world_to_camera, b.world_to_camera, atol=1e-12)
        assert torch.allclose(a.intrinsics, b.intrinsics, atol=1e-12)
        assert (a.height, a.width) == (b.height, b.width)


@pytest.mark.parametrize("text", ["not json", "[]", '{"cameras": []}', '{"path": [{"width": 4}]}'])
def test_a_file_without_a_path_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "path.json").write_text(text)
    with pytest.raises(ArtifactError, match="holds no camera path"):
        load_path(tmp_path / "path.json")


def test_a_pose_that_does_not_turn_rigidly_is_named(tmp_path: Path) -> None:
    save_path(tmp_path / "path.json", standing(1))
    document = json.loads((tmp_path / "path.json").read_text())
    document["path"][0]["rotation"][0][0] = 5
    (tmp_path / "path.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="must rotate without scaling"):
        load_path(tmp_path / "path.json")


def test_no_cameras_and_no_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are none"):
        orbit([], 4)
    with pytest.raises(DataError, match="there are none"):
        interpolate([], 4)
    with pytest.raises(ArtifactError, match="no such file"):
        load_path(tmp_path / "path.json")
