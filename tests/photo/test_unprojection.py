"""From the network's space to metres."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from fovea.errors import DataError
from fovea.photo.unprojection import ndc_to_metric, unproject
from fovea.scene.covariance import Shapes, decomposed, mapped
from fovea.scene.gaussians import rotations

DEGENERATE = 7
"""The first of unproject.npz are balls, needles, discs and odd quaternions."""


def covariances(shapes: Shapes) -> np.ndarray:
    axes = rotations(torch.from_numpy(shapes.quats).double()).numpy() * shapes.scales[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest error of each covariance by its own largest entry."""
    count = len(wanted)
    found, wanted = found.reshape(count, -1), wanted.astype(np.float64).reshape(count, -1)
    return float((np.abs(found - wanted).max(1) / np.abs(wanted).max(1)).max())


@pytest.fixture(scope="module")
def golden(goldens: Path) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
    folder = goldens / "sharp"
    return dict(np.load(folder / "unproject.npz")), json.loads(
        (folder / "unproject.json").read_text()
    )


@pytest.mark.parametrize("case", ["centre", "offcentre"])
def test_gaussians_become_metric_as_the_reference_has_them(case: str, golden) -> None:
    arrays, cameras = golden
    camera = cameras[case]
    affine = ndc_to_metric(
        focal_px=camera["f_px"],
        height=int(camera["height"]),
        width=int(camera["width"]),
        principal_px=(camera["cx"], camera["cy"]),
        extrinsics=arrays[f"{case}_extrinsics"],
    )
    # The reference inverts in float32, which keeps seven digits.
    assert np.abs(affine - arrays[f"{case}_matrix"][:3]).max() < 3e-7
    found = mapped(arrays["mean_ndc"], arrays["quaternions_ndc"], arrays["scales_ndc"], affine)
    assert np.allclose(found.means, arrays[f"{case}_mean"], atol=2e-6)
    assert off(covariances(found), arrays[f"{case}_covariance"]) < 2e-6
    wanted = arrays[f"{case}_scales"]
    assert np.allclose(found.scales[:, 0], wanted[:, 0], rtol=1e-6)
    assert np.allclose(found.scales[DEGENERATE:], wanted[DEGENERATE:], rtol=2e-4)


@pytest.mark.parametrize("network", ["tiny", "thin"])
def test_what_the_whole_network_gives_becomes_metric(network: str, goldens: Path) -> None:
    folder = goldens / "sharp"
    arrays = np.load(folder / f"{network}.npz")
    meta = json.loads((folder / f"{network}.json").read_text())["_meta"]
    width, height = meta["image_size"]
    affine = ndc_to_metric(
        focal_px=meta["focal_px"], height=height, width=width, network_size=meta["internal"]
    )
    found = mapped(
        arrays["ndc_mean_vectors"], arrays["ndc_quaternions"], arrays["ndc_singular_values"], affine
    )
    assert np.allclose(found.means, arrays["metric_mean_vectors"], atol=1e-6)
    six = covariances(found)[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    assert off(six, arrays["metric_covariance"]) < 2e-6
    scales = arrays["metric_singular_values"]
    assert np.allclose(found.scales[:, :2], scales[:, :2], rtol=1e-3)
    thick = scales[:, 2] > 1e-2 * scales[:, 0]
    assert np.allclose(found.scales[thick, 2], scales[thick, 2], rtol=1e-3)


def test_an_off_centre_camera_sees_the_points_where_it_put_them() -> None:
    camera = {"focal_px": 500.0, "height": 300, "width": 400, "principal_px": (150.0, 170.0)}
    affine = ndc_to_metric(**camera)
    # NDC -1..1 is the picture; at depth 2 the point in its middle is (0, 0, 2) times depth.
    x, y, z = affine[:, :3] @ [0.0, 0.0, 2.0] + affine[:, 3]
    assert (500 * x / z + 150, 500 * y / z + 170) == pytest.approx((200, 150))


SIZES = some.floats(2.0**-13, 1024.0, width=32)


@settings(max_examples=60, deadline=None)
@given(
    some.tuples(SIZES, SIZES, SIZES),
    some.tuples(*(some.floats(-2, 2, width=32) for _ in range(4))),
    some.tuples(some.floats(0.1, 3), some.floats(0.1, 3), some.floats(-0.5, 0.5)),
)
def test_any_shape_keeps_its_covariance_and_is_unit_and_descending(sizes, quat, map_) -> None:
    affine = np.array([[map_[0], 0, map_[2], 0], [0, map_[1], 0, 0], [0, 0, 1, 0]], np.float64)
    scales, quats = np.array([sizes], np.float32), np.array([quat], np.float32)
    found = mapped(np.zeros((1, 3), np.float32), quats, scales, affine)
    norm = np.linalg.norm(quats.astype(np.float64), axis=1, keepdims=True)
    unit = quats / norm if norm > 0 else np.array([[1.0, 0, 0, 0]])
    axes = affine[:, :3] @ rotations(torch.from_numpy(unit).double()).numpy()[0] * scales[0]
    # Rounded to float32, a covariance is off by 2^-24 of its largest entry in each place.
    assert off(covariances(found), (axes @ axes.T)[None]) < 1e-6
    assert abs(np.linalg.norm(found.quats.astype(np.float64)) - 1) < 1e-6
    assert found.quats[0, 0] >= 0
    assert np.all(np.diff(found.scales[0]) <= 0)


@pytest.mark.parametrize("sizes", [(0, 0, 0), (1, 1, 1), (1, 0, 0), (1, 1, 0), (1e-30, 0, 0)])
def test_nothing_a_ball_a_needle_and_a_disc_have_axes(sizes: tuple[float, ...]) -> None:
    identity = np.eye(3, 4)
    found = mapped(
        np.zeros((1, 3), np.float32),
        np.zeros((1, 4), np.float32),
        np.array([sizes], np.float32),
        identity,
    )
    assert np.isfinite(found.quats).all()
    assert np.linalg.norm(found.quats) == pytest.approx(1, abs=1e-6)
    assert np.allclose(found.scales[0], sorted(sizes, reverse=True), atol=1e-7)


def test_the_number_of_threads_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(1001, columns)).astype(np.float32) for columns in (3, 4, 3)]
    affine = rng.normal(size=(3, 4))
    one, many = (mapped(*rows, affine, threads=count) for count in (1, 7))
    assert all(np.array_equal(a, b) for a, b in zip(one, many, strict=True))


def test_a_prediction_becomes_linear_gaussians() -> None:
    ndc = SimpleNamespace(
        means=torch.tensor([[[0.5, 0.0, 2.0]]]),
        quats=torch.tensor([[[2.0, 0.0, 0.0, 0.0]]]),
        scales=torch.tensor([[[0.1, 0.2, 0.3]]]),
        colors=torch.tensor([[[0.1, 0.5, 0.9]]]),
        opacities=torch.tensor([[0.7]]),
    )
    scene = unproject(ndc, focal_px=100.0, height=100, width=200)
    assert scene.color_space == "linear"
    assert scene.means[0].tolist() == pytest.approx([0.5, 0.0, 2.0])
    assert scene.colors(torch.zeros(3))[0].tolist() == pytest.approx([0.1, 0.5, 0.9])
    assert scene.scales[0].tolist() == pytest.approx([0.3, 0.1, 0.1])


def test_a_camera_without_a_focal_length_is_refused() -> None:
    with pytest.raises(DataError, match="focal_px=0"):
        ndc_to_metric(focal_px=0.0, height=10, width=10)


def test_noise_below_zero_counts_by_its_size_as_in_a_singular_value() -> None:
    quats, scales = decomposed(np.array([[4.0, 0, 0, 1.0, 0, -0.25]]))
    assert scales[0].tolist() == pytest.approx([2.0, 1.0, 0.5])
    assert np.linalg.norm(quats) == pytest.approx(1)
