"""Camera paths are the reference's; the dolly zoom and two eyes do what they promise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.photo.settings.film import StereoConfig, TrajectoryConfig
from fovea.photo.stereo import baseline_m, eyes, joined
from fovea.photo.trajectory import (
    DepthRange,
    eye_positions,
    film_cameras,
    film_size,
    maximum_offsets,
    photograph_camera,
    poses,
    reference_size,
)

KINDS = ("swipe", "shake", "rotate", "rotate_forward")


@pytest.fixture(scope="module")
def facts(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "sharp" / "trajectories.json").read_text())


@pytest.fixture(scope="module")
def arrays(goldens: Path) -> dict[str, np.ndarray]:
    with np.load(goldens / "sharp" / "trajectories.npz") as file:
        return dict(file)


def motion(facts: dict[str, Any], params: str, kind: str, lookat: str = "point") -> Any:
    given = facts["_params"][params]
    return TrajectoryConfig(
        trajectory=kind,  # pyright: ignore[reportArgumentType]
        lookat=lookat,  # pyright: ignore[reportArgumentType]
        max_disparity=given["max_disparity"],
        max_zoom=given["max_zoom"],
        distance_m=given["distance_m"],
        steps=given["num_steps"],
        repeats=given["num_repeats"],
    )


def cases(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[tuple[str, str, str]]:
    return [
        (case, params, kind)
        for case in facts
        if not case.startswith("_")
        for params in ("default", "custom")
        for kind in KINDS
        if f"{case}_{params}_{kind}_eye" in arrays
    ]


def depths_of(case: str, arrays: dict[str, np.ndarray]) -> DepthRange:
    points = arrays["points"].copy()
    if case.startswith("far"):
        points[points[:, 2] > 0, 2] += 40
    return DepthRange.of(torch.from_numpy(points))


def test_the_goldens_hold_every_motion(
    facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    assert {kind for _, _, kind in cases(facts, arrays)} == set(KINDS)


def test_depth_ranges_are_the_references(
    facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    for case in (name for name in facts if not name.startswith("_")):
        found = depths_of(case, arrays)
        wanted = facts[case]["depth_quantiles"]
        np.testing.assert_allclose(
            [found.near, found.focus, found.far],
            [wanted["q0.001"], wanted["q0.1"], wanted["q0.999"]],
            rtol=1e-6,
        )


def test_eyes_and_poses_are_the_references(
    facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    for case, params, kind in cases(facts, arrays):
        fact, depths = facts[case], depths_of(case, arrays)
        config = motion(facts, params, kind)
        size = {"focal_px": fact["f_px"], "height": fact["height"], "width": fact["width"]}
        offsets = maximum_offsets(config, depths.near, **size)
        np.testing.assert_allclose(offsets, fact[f"max_offset_{params}"], rtol=1e-6)
        found = eye_positions(config, offsets)
        name = f"{case}_{params}_{kind}"
        # The reference computes in float32; its noise is 1e-7 of the size.
        scale = max(1.0, max(offsets))
        np.testing.assert_allclose(found, arrays[f"{name}_eye"], atol=1e-6 * scale)
        matrices = np.stack(poses(config, found, depths.target_m))
        np.testing.assert_allclose(matrices, arrays[f"{name}_extrinsics"], atol=2e-6 * scale)


def test_looking_ahead_moves_the_target_with_the_eye(
    facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    config = motion(facts, "custom", "rotate", "ahead")
    found = poses(config, arrays["near_hd_custom_rotate_eye"], depths_of("near", arrays).target_m)
    np.testing.assert_allclose(
        np.stack(found), arrays["near_hd_custom_rotate_extrinsics_ahead"], atol=2e-6
    )


def test_film_cameras_are_the_references_lens_on_its_screen(
    facts: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    for case in ("near_hd", "near_odd", "near_tall"):
        fact = facts[case]
        size = {"height": fact["height"], "width": fact["width"]}
        lens = photograph_camera(focal_px=fact["f_px"], mode="reference", **size)
        height, width = reference_size(**size)
        assert [width, height] == fact["screen_size"]
        config = motion(facts, "default", "rotate_forward")
        cameras = film_cameras(config, lens, depths_of(case, arrays))
        camera = cameras[17].resized(height=height, width=width)
        np.testing.assert_allclose(
            camera.intrinsics, arrays[f"{case}_intrinsics"][:3, :3], rtol=1e-6
        )
        name = f"{case}_default_rotate_forward_extrinsics"
        np.testing.assert_allclose(camera.world_to_camera, arrays[name][17], atol=2e-6)


def test_screen_sizes_follow_the_references_rule(facts: dict[str, Any]) -> None:
    for words, wanted in facts["_screen_size_rule"].items():
        width, height = map(int, words.split("x"))
        assert reference_size(height=height, width=width) == tuple(wanted[::-1])


def test_our_own_films_are_even_and_no_longer_than_asked() -> None:
    assert film_size(height=501, width=741, longest_px=1280) == (500, 740)
    assert film_size(height=4000, width=3000, longest_px=1280) == (1280, 960)
    assert film_size(height=1, width=9, longest_px=100) == (2, 8)


def test_the_principal_point_is_the_middle_unless_the_reference_is_repeated() -> None:
    ours = photograph_camera(focal_px=10, height=6, width=8, mode="corrected")
    theirs = photograph_camera(focal_px=10, height=6, width=8, mode="reference")
    assert ours.intrinsics[:2, 2].tolist() == [4.0, 3.0]
    assert theirs.intrinsics[:2, 2].tolist() == [3.5, 2.5]


def test_a_scene_behind_the_camera_has_no_film() -> None:
    with pytest.raises(DataError, match="of 2 there is none"):
        DepthRange.of(torch.tensor([[0.0, 0, -1], [0, 0, -2]]))


# Dolly zoom

LENS = photograph_camera(focal_px=400, height=300, width=400, mode="corrected")
DEPTHS = DepthRange(near=1.0, focus=3.0, far=20.0)


@given(dolly=st.floats(-0.5, 2), x=st.floats(-1, 1), start=st.floats(-1, 1))
def test_the_subject_of_a_dolly_zoom_keeps_its_place_and_size(
    dolly: float, x: float, start: float
) -> None:
    config = TrajectoryConfig(trajectory="dolly_zoom", dolly=dolly, steps=7, distance_m=start)
    subject = torch.tensor([x, 0.3, DEPTHS.focus], dtype=torch.float64)
    seen = torch.stack([c.project(subject)[0] for c in film_cameras(config, LENS, DEPTHS)])
    np.testing.assert_allclose(seen, seen[:1].expand_as(seen), atol=1e-9)


def test_the_background_of_a_dolly_zoom_grows_while_the_camera_goes_back() -> None:
    config = TrajectoryConfig(trajectory="dolly_zoom", steps=3, dolly=0.5)
    cameras = film_cameras(config, LENS, DEPTHS)
    wall = torch.tensor([1.0, 0, 9], dtype=torch.float64)
    places = [float(camera.project(wall)[0][0]) - 200 for camera in cameras]
    assert places[1] > 1.2 * places[0]
    assert places[0] == pytest.approx(places[2])
    assert float(cameras[1].position[2]) == pytest.approx(-1.5)


def test_a_subject_behind_the_camera_is_refused_with_both_distances() -> None:
    config = TrajectoryConfig(trajectory="dolly_zoom", distance_m=4.0)
    with pytest.raises(DataError, match=r"at 3 m and the camera starts at distance_m=4"):
        film_cameras(config, LENS, DEPTHS)


# Two eyes


@given(depth=st.floats(0.5, 100), screen=st.floats(0.5, 100))
def test_disparity_is_f_b_over_z_less_that_of_the_screen(depth: float, screen: float) -> None:
    config = StereoConfig(layout="side_by_side", baseline_mm=60, screen_m=screen)
    left, right = eyes(config, LENS, DEPTHS)
    point = torch.tensor([0.2, 0.1, depth], dtype=torch.float64)
    at_left, at_right = left.project(point)[0], right.project(point)[0]
    wanted = 400 * 0.06 * (1 / depth - 1 / screen)
    assert float(at_left[0] - at_right[0]) == pytest.approx(wanted, abs=1e-9)
    assert float(at_left[1]) == float(at_right[1])


def test_parallel_eyes_share_what_is_infinitely_far() -> None:
    config = StereoConfig(layout="side_by_side", baseline_mm=60, screen="infinity")
    left, right = eyes(config, LENS, DEPTHS)
    assert torch.equal(left.intrinsics, right.intrinsics)
    assert float(right.position[0] - left.position[0]) == pytest.approx(0.06)


def test_the_baseline_follows_the_nearest_depth_unless_given() -> None:
    assert baseline_m(StereoConfig(), DEPTHS) == pytest.approx(1 / 30)
    assert baseline_m(StereoConfig(baseline_mm=63), DEPTHS) == 0.063


def test_pairs_are_joined_for_parallel_eyes_crossed_eyes_and_glasses() -> None:
    left, right = np.full((2, 3, 3), 10, np.uint8), np.full((2, 3, 3), 20, np.uint8)
    beside = joined(StereoConfig(layout="side_by_side"), left, right)
    assert beside.shape == (2, 6, 3)
    assert beside[0, 0, 0] == 10
    assert joined(StereoConfig(layout="crossed"), left, right)[0, 0, 0] == 20
    assert joined(StereoConfig(layout="anaglyph"), left, right)[0, 0].tolist() == [10, 20, 20]
