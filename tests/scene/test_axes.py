"""Scenes in the axes of other programs."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.spatial.transform import Rotation

from fovea.errors import DataError
from fovea.scene.axes import PRESETS, AxesName, from_axes, to_axes, transformed
from fovea.scene.gaussians import Gaussians

NAMES = get_args(AxesName)


def scene(degree: int = 3) -> Gaussians:
    make = torch.Generator().manual_seed(degree)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=make, dtype=torch.float64)

    quats = torch.nn.functional.normalize(normal(20, 4), dim=-1)
    normals = torch.nn.functional.normalize(normal(20, 3), dim=-1)
    return Gaussians(
        normal(20, 3),
        quats,
        normal(20, 3).exp(),
        torch.full((20,), 0.5, dtype=torch.float64),
        normal(20, (degree + 1) ** 2, 3),
        extras={"normal": normals},
    )


def looks(found: Gaussians, wanted: Gaussians, matrix: np.ndarray, scale: float) -> None:
    """Places, shapes, normals and colours are those of `wanted`, seen from the turned place."""
    turn = torch.from_numpy(matrix)
    assert torch.allclose(found.means, wanted.means @ turn.T * scale, atol=1e-9)
    assert torch.allclose(
        found.covariances(), scale**2 * turn @ wanted.covariances() @ turn.T, atol=1e-9
    )
    assert torch.allclose(found.extras["normal"], wanted.extras["normal"] @ turn.T, atol=1e-9)
    eye = torch.tensor([0.3, -2.0, 5.0], dtype=torch.float64)
    assert torch.allclose(found.colors(turn @ eye * scale), wanted.colors(eye), atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("degree", [0, 1, 4])
def test_a_preset_turns_all_of_a_scene_and_back(name: AxesName, degree: int) -> None:
    matrix, units = PRESETS[name]
    wanted = scene(degree)
    there = to_axes(wanted, name)
    looks(there, wanted, matrix, units)
    looks(from_axes(there, name), wanted, np.eye(3), 1.0)


@settings(max_examples=20, deadline=None)
@given(some.tuples(*(some.floats(-3, 3) for _ in range(3))), some.booleans())
def test_any_rotation_or_mirror_keeps_the_colours_in_their_directions(vector, mirrored) -> None:
    matrix = Rotation.from_rotvec(vector).as_matrix() * (-1 if mirrored else 1)
    looks(transformed(scene(), matrix), scene(), matrix, 1.0)


UP = {"opengl": [0, 1, 0], "gltf": [0, 1, 0], "blender": [0, 0, 1], "ros": [0, 0, 1]} | {
    "unity": [0, 1, 0],
    "unreal": [0, 0, 100],
}


@pytest.mark.parametrize("name", UP)
def test_up_is_where_the_program_has_it(name: str) -> None:
    matrix, units = PRESETS[name]  # type: ignore[index]
    assert (matrix @ [0, -1, 0] * units).tolist() == UP[name]
    is_left_handed = name in ("unity", "unreal")
    assert (np.linalg.det(matrix) < 0) == is_left_handed


def test_opencv_is_the_scene_itself() -> None:
    wanted = scene()
    assert to_axes(wanted, "opencv") is wanted


def test_stretching_and_unknown_names_are_refused() -> None:
    with pytest.raises(DataError, match="orthogonal"):
        transformed(scene(), np.diag([1.0, 2.0, 1.0]))
    with pytest.raises(DataError, match="no axes 'maya'"):
        to_axes(scene(), "maya")  # type: ignore[arg-type]
