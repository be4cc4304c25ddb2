"""Lenses against OpenCV's own functions, and there and back."""

from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.scene.camera import Camera
from fovea.scene.distortion import Distortion, undistort, undistorted_camera

LENSES = [
    Distortion("opencv", (-0.21, 0.06, 0.002, -0.001)),
    Distortion("opencv", (0.08, -0.03, 0.001, 0.0015, 0.01)),
    Distortion("simple_radial", (-0.15,)),
    Distortion("simple_radial", (0.07, 0.01)),
    Distortion("fisheye", (0.03, -0.01, 0.002, -0.0005)),
    Distortion("opencv", (0.1, 0.02, 0.001, 0.002, 0.003, 0.05, 0.01, 0.002)),
    Distortion("fov", (0.9,)),
    Distortion("thin_prism_fisheye", (0.03, -0.01, 0.001, 0.002, 0.003, 0.004, 0.002, 0.003)),
    Distortion(
        "fisheye624",
        (0.03, -0.01, 0.003, 0.004, 0.002, 0.001, 0.001, 0.002, 0.003, 0.001, 0.002, 0.0015),
    ),
    Distortion("division", (-0.1,)),
    Distortion("unified", (0.6, 1.1)),
]
OPENCVS = [lens for lens in LENSES if lens.model in ("opencv", "simple_radial", "fisheye")]
# The name in COLMAP, where it is not one of those that OpenCV has too.
COLMAPS = {
    "fov": "FOV",
    "thin_prism_fisheye": "THIN_PRISM_FISHEYE",
    "fisheye624": "RAD_TAN_THIN_PRISM_FISHEYE",
    "division": "DIVISION",
    "unified": "EUCM",
}


def camera(distortion: Distortion | None, height: int = 60, width: int = 80) -> Camera:
    intrinsics = [[70.0, 0, 41.3], [0, 72.0, 28.9], [0, 0, 1]]
    return Camera(
        torch.eye(4, dtype=torch.float64),
        intrinsics,
        height=height,
        width=width,
        distortion=distortion,
    )


@pytest.mark.parametrize("lens", OPENCVS)
def test_a_lens_bends_as_opencv_does(lens: Distortion) -> None:
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    rays = np.concatenate([points, np.ones((50, 1))], axis=1)
    none, identity = np.zeros(3), np.eye(3)
    if lens.model == "fisheye":
        theirs, _ = cv2.fisheye.projectPoints(
            rays[:, None], none, none, identity, np.array(lens.coefficients)
        )
    else:
        k = np.zeros(8)
        k[: len(lens.coefficients)] = lens.coefficients
        theirs, _ = cv2.projectPoints(rays, none, none, identity, k)
    assert np.abs(lens.distort(points) - theirs[:, 0]).max() < 1e-12


@pytest.mark.parametrize("lens", [lens for lens in LENSES if lens not in OPENCVS])
def test_a_lens_bends_as_colmap_does(lens: Distortion) -> None:
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    theirs = pycolmap.Camera(
        model=COLMAPS[lens.model],
        width=200,
        height=200,
        params=[100.0, 110.0, 100.0, 90.0, *lens.coefficients],
    )
    seen = np.array([theirs.img_from_cam(np.array([x, y, 1.0])) for x, y in points])
    assert np.abs(lens.distort(points) - (seen - [100, 90]) / [100, 110]).max() < 1e-12


def test_a_fisheye_that_sees_half_of_the_world_becomes_a_pinhole_of_its_middle() -> None:
    bent = Camera(
        torch.eye(4, dtype=torch.float64),
        [[50.0, 0, 80.0], [0, 50.0, 80.0], [0, 0, 1]],
        height=160,
        width=160,
        distortion=Distortion("fisheye", (0.0, 0.0, 0.0, 0.0)),
    )
    straight, pinhole = undistort(np.full((160, 160, 3), 0.5), bent)
    assert straight.shape == (160, 160, 3)
    assert 100 < np.degrees(pinhole.fov_x) < 130


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LENSES), st.floats(-0.7, 0.7), st.floats(-0.7, 0.7))
def test_bending_and_straightening_undo_each_other(lens: Distortion, x: float, y: float) -> None:
    point = np.array([[x, y]])
    assert np.abs(lens.undistort(lens.distort(point)) - point).max() < 1e-9


def pattern(points: np.ndarray) -> np.ndarray:
    """A smooth picture by direction, so that any camera can take it."""
    x, y = points[..., 0], points[..., 1]
    parts = [np.sin(5 * x + y), np.cos(4 * y), np.sin(3 * x - 4 * y)]
    return (0.5 + 0.4 * np.stack(parts, axis=-1)).astype(np.float32)


def on_plane(taken_by: Camera) -> np.ndarray:
    return taken_by.directions(unit=False).numpy()[..., :2]


@pytest.mark.parametrize("lens", LENSES)
def test_a_straightened_picture_is_the_pinholes(lens: Distortion) -> None:
    bent_camera = camera(lens)
    bent = pattern(lens.undistort(on_plane(bent_camera)))
    straight, pinhole = undistort(bent, bent_camera)
    assert pinhole.distortion is None
    assert straight.shape == bent.shape
    # Cubic sampling of a pattern of some 60 pixels a period, with OpenCV's 1/32 pixel steps.
    assert np.abs(straight - pattern(on_plane(pinhole))).max() < 4e-3


@pytest.mark.parametrize("lens", LENSES)
def test_every_pixel_shows_something_and_one_edge_is_reached(lens: Distortion) -> None:
    bent_camera = camera(lens)
    pinhole = undistorted_camera(bent_camera)
    matrix = bent_camera.intrinsics.numpy()
    seen = lens.distort(on_plane(pinhole)) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
    limits = np.array([bent_camera.width, bent_camera.height]) - 0.5
    slack = np.concatenate([(seen - 0.5).reshape(-1), (limits - seen).reshape(-1)])
    # The bounds are taken at the pixels of the edge, not between them.
    assert slack.min() > -1e-3
    assert slack.min() < 0.3


def test_pixels_keep_their_shape_and_place_their_pose() -> None:
    before = camera(LENSES[0])
    after = undistorted_camera(before)
    ratio = before.intrinsics[0, 0] / before.intrinsics[1, 1]
    assert after.intrinsics[0, 0] / after.intrinsics[1, 1] == pytest.approx(ratio.item())
    assert torch.equal(after.world_to_camera, before.world_to_camera)
    assert (after.height, after.width) == (before.height, before.width)


def test_transparent_pixels_do_not_colour_their_neighbours() -> None:
    image = np.zeros((60, 80, 4), np.float32)
    image[:, :40] = [0.8, 0.4, 0.2, 1]
    image[:, 40:] = [0.0, 1.0, 0.9, 0]
    straight, _ = undistort(image, camera(LENSES[0]))
    shown = straight[..., 3] > 0.05
    assert np.abs(straight[shown][:, :3] - [0.8, 0.4, 0.2]).max() < 1e-3


def test_a_pinhole_stays_what_it_is() -> None:
    image = np.zeros((60, 80, 3), np.float32)
    pinhole = camera(None)
    assert undistort(image, pinhole) == (image, pinhole)


def test_a_single_channel_stays_one() -> None:
    straight, _ = undistort(np.ones((60, 80, 1), np.float32), camera(LENSES[2]))
    assert straight.shape == (60, 80, 1)


def test_real_photographs_hardly_move(data_folder: Path) -> None:
    import json

    pose = json.loads((data_folder / "multiview" / "fox" / "transforms.json").read_text())
    lens = Distortion("opencv", tuple(pose[name] for name in ("k1", "k2", "p1", "p2")))
    intrinsics = [[pose["fl_x"], 0, pose["cx"]], [0, pose["fl_y"], pose["cy"]], [0, 0, 1]]
    photo = Camera(
        torch.eye(4, dtype=torch.float64), intrinsics, int(pose["h"]), int(pose["w"]), lens
    )
    zoom = undistorted_camera(photo).intrinsics[0, 0] / pose["fl_x"]
    assert 0.9 < zoom < 1.1


def test_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="20 x 10 pixels and its camera 80 x 60"):
        undistort(np.zeros((10, 20, 3), np.float32), camera(LENSES[0]))


def test_a_lens_that_turns_back_is_refused() -> None:
    with pytest.raises(DataError, match="its curve turns back"):
        undistorted_camera(camera(Distortion("simple_radial", (-2.0,))))


@pytest.mark.parametrize(
    ("model", "coefficients", "sentence"),
    [
        ("opencv", (0.1,), r"opencv has 4 or 5 or 8 finite coefficients; found \[0\.1\]"),
        ("fisheye", (0.1, 0.2, float("nan"), 0.0), "fisheye has 4 finite coefficients"),
        ("full_opencv", (0.0,) * 8, "found 'full_opencv'"),
    ],
)
def test_a_lens_that_is_none_is_refused(
    model: str, coefficients: tuple[float, ...], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        Distortion(model, coefficients)
