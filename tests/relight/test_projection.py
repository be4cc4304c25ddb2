import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light.cubemap import texel_directions
from fovea.relight.volumes.projection import (
    coefficients,
    face_cameras,
    face_rotations,
    grid,
    open_sky,
    projection,
    radial,
    ray_lengths,
)
from fovea.scene.harmonics import basis

EXACT = 1e-9


@pytest.fixture
def golden(goldens: Path) -> dict[str, np.ndarray]:
    with np.load(goldens / "inverse-rendering" / "occlusion_sh.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def plane_distances(directions, normal, distance):
    """How far a plane below a place lies in each direction; 0 where it does not."""
    down = -(directions @ normal)
    return torch.where(down > 1e-12, distance / down.clamp(min=1e-12), 0.0)


@pytest.mark.parametrize(
    ("layout", "key"), [("reference", "coeffs"), ("centres", "coeffs_center_grid")]
)
def test_planes_have_the_coefficients_of_the_reference(golden, layout, key):
    directions, weights = grid(layout)
    assert float(weights.expand(256, 512, 1).sum()) == pytest.approx(4 * math.pi)
    for normal, distance, threshold, expected in zip(
        golden["plane_normal"], golden["plane_dist"], golden["threshold"], golden[key], strict=True
    ):
        visible = open_sky(plane_distances(directions, normal, distance), float(threshold))
        found = (visible.unsqueeze(-1) * weights * basis(directions, 3)).sum(dim=(0, 1))
        np.testing.assert_allclose(found, expected, rtol=EXACT, atol=1e-11)


def test_a_cube_of_depths_has_the_coefficients_of_the_reference(golden):
    threshold = float(golden["depth_cube_threshold"])
    visible = open_sky(golden["depth_cube32"].squeeze(-1), threshold)
    found = coefficients(visible, "reference")
    np.testing.assert_allclose(found, golden["depth_cube_coeffs"], rtol=EXACT, atol=1e-11)


@pytest.mark.parametrize(("res", "within"), [(32, 6e-3), (64, 2.5e-3), (128, 1e-3)])
def test_texels_come_closer_to_the_exact_integral_the_smaller_they_are(golden, res, within):
    # The published grid stays 0.015 to 0.03 away; what remains here are cut texels at an edge.
    directions = texel_directions(res, dtype=torch.float64)
    for normal, distance, threshold, exact in zip(
        *(golden[k] for k in ("plane_normal", "plane_dist", "threshold", "coeffs_closed_form")),
        strict=True,
    ):
        visible = open_sky(plane_distances(directions, normal, distance), float(threshold))
        np.testing.assert_allclose(coefficients(visible), exact, atol=within)


@pytest.mark.parametrize("layout", ["texels", "centres"])
def test_an_open_sky_has_one_coefficient(layout):
    found = projection(16, layout).sum(dim=0)
    # A grid of 256 rows tells bands apart to 1e-4; cube texels of 16 to 1e-3.
    np.testing.assert_allclose(found, [math.sqrt(4 * math.pi), *[0] * 15], atol=1e-3)


def test_faces_look_as_those_of_the_reference(goldens):
    with np.load(goldens / "inverse-rendering" / "camera_rays.npz") as file:
        np.testing.assert_array_equal(face_rotations().numpy(), file["bake_face_rotations"])
        np.testing.assert_allclose(ray_lengths(8).numpy(), file["bake_ray_norm_8"], rtol=EXACT)


def test_the_pictures_of_face_cameras_are_faces_once_mirrored():
    place = torch.tensor([0.3, -1.0, 2.0])
    cameras = face_cameras(place, 6)
    seen = torch.stack([camera.directions() for camera in cameras]).flip(2)
    torch.testing.assert_close(seen, texel_directions(6, dtype=torch.float64))
    for camera in cameras:
        torch.testing.assert_close(camera.position, place.double())


def test_depths_become_distances_only_where_something_is():
    depths, alphas = torch.full((6, 4, 4), 2.0), torch.zeros(6, 4, 4)
    alphas[:, :, 0] = 0.5
    alphas[:, :, 1] = 0.51
    found = radial(depths, alphas)
    assert (found[:, :, [0, 1, 3]] == 0).all()
    torch.testing.assert_close(found[:, :, 2], (2 * ray_lengths(4)[:, 2]).expand(6, 4).float())


def test_hiding_ends_at_the_threshold_or_fades_towards_it():
    distances = torch.tensor([0.0, 0.1, 0.39, 0.4, 3.0])
    assert open_sky(distances, 0.4).tolist() == [1, 0, 0, 1, 1]
    assert open_sky(distances).tolist() == [1, 0, 0, 0, 0]
    soft = open_sky(distances, 0.4, softly=True)
    torch.testing.assert_close(soft[1:], 1 - torch.exp(-((distances[1:] / 0.4) ** 2)))
    assert soft[0] == 1
    assert open_sky(distances, softly=True).tolist() == [1, 0, 0, 0, 0]
