"""Which way is up: scenes from OpenCV's axes to those of other programs and back.

Our scenes are x right, y down, z forward. A preset says where these three directions go; some swap
handedness, which mirrors the numbers and not the scene. Means, rotations, normals and harmonics of
every degree are taken along.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from fovea.errors import DataError
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import basis

AxesName = Literal["opencv", "opengl", "gltf", "blender", "ros", "unity", "unreal"]

RIGHT, DOWN, FORWARD = np.eye(3)
PRESETS: dict[AxesName, tuple[Float[np.ndarray, "3 3"], float]] = {
    "opencv": (np.stack([RIGHT, DOWN, FORWARD]), 1.0),
    "opengl": (np.stack([RIGHT, -DOWN, -FORWARD]), 1.0),
    "gltf": (np.stack([RIGHT, -DOWN, -FORWARD]), 1.0),
    "blender": (np.stack([RIGHT, FORWARD, -DOWN]), 1.0),
    "ros": (np.stack([FORWARD, -RIGHT, -DOWN]), 1.0),
    "unity": (np.stack([RIGHT, -DOWN, FORWARD]), 1.0),
    "unreal": (np.stack([FORWARD, RIGHT, -DOWN]), 100.0),
}
"""What x, y and z are there, and how many units make a metre. `gltf` is y up and looks along -z, as
`opengl`; `blender` is its world, z up; `unity` and `unreal` are left-handed."""

DIRECTIONS = 64
"""Points on the sphere from which a change of harmonics is solved; degree 4 has nine unknowns."""


def to_axes(gaussians: Gaussians, name: AxesName) -> Gaussians:
    """A scene with OpenCV's axes in those of another program.

    Raises:
        DataError: there is no such preset.
    """
    matrix, units = _preset(name)
    return transformed(gaussians, matrix, scale=units)


def from_axes(gaussians: Gaussians, name: AxesName) -> Gaussians:
    """A scene with another program's axes in OpenCV's.

    Raises:
        DataError: there is no such preset.
    """
    matrix, units = _preset(name)
    return transformed(gaussians, matrix.T, scale=1 / units)


def transformed(
    gaussians: Gaussians,
    matrix: Float[np.ndarray, "3 3"],
    *,
    scale: float = 1.0,
    offset: Float[np.ndarray, " 3"] | None = None,
) -> Gaussians:
    """The scene turned or mirrored by an orthogonal matrix, scaled, then moved.

    Raises:
        DataError: the matrix is not orthogonal.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    off = float(np.abs(matrix @ matrix.T - np.eye(3)).max())
    if not off < 1e-6:
        raise DataError(
            f"Turning a scene needs an orthogonal matrix; M M^T is off the identity by {off:.2g}. "
            "Take its scale out and give it as `scale`."
        )
    if scale == 1 and offset is None and np.array_equal(matrix, np.eye(3)):
        return gaussians
    means = gaussians.means.double() @ torch.from_numpy(matrix.T) * scale
    if offset is not None:
        means = means + torch.from_numpy(np.asarray(offset, dtype=np.float64))
    turned = {
        name: (values.double() @ torch.from_numpy(matrix.T)).to(values)
        for name, values in gaussians.extras.items()
        if name == "normal"
    }
    return replace(
        gaussians,
        means=means.to(gaussians.means),
        quats=_turned_quats(gaussians.quats, matrix),
        scales=gaussians.scales * scale,
        harmonics=_turned_harmonics(gaussians.harmonics, matrix),
        extras=gaussians.extras | turned,
    )


def _preset(name: str) -> tuple[Float[np.ndarray, "3 3"], float]:
    for preset, facts in PRESETS.items():
        if preset == name:
            return facts
    raise DataError(f"There are no axes {name!r}. Choose from {', '.join(get_args(AxesName))}.")


def _turned_quats(quats: Float[Tensor, "N 4"], matrix: np.ndarray) -> Float[Tensor, "N 4"]:
    """A Gaussian is its own mirror image through its centre, so M and -M turn it alike."""
    proper = matrix * np.sign(np.linalg.det(matrix))
    w, x, y, z = Rotation.from_matrix(proper).as_quat(scalar_first=True)
    left = torch.tensor([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return (quats.double() @ left.double().T).to(quats)


def _turned_harmonics(
    harmonics: Float[Tensor, "N K 3"], matrix: np.ndarray
) -> Float[Tensor, "N K 3"]:
    """Coefficients of the same colours seen along turned directions.

    With f'(d) = f(M^T d), the coefficients of a degree among themselves solve B(d) c' = B(M^T d) c
    on directions d that fill the sphere; nothing is lost.
    """
    degree = math.isqrt(harmonics.shape[1]) - 1
    directions = _sphere(DIRECTIONS)
    here, there = basis(directions, degree), basis(directions @ torch.from_numpy(matrix), degree)
    parts = [harmonics[:, :1]]
    for band in range(1, degree + 1):
        columns = slice(band * band, (band + 1) ** 2)
        change = torch.linalg.lstsq(here[:, columns], there[:, columns]).solution
        parts.append((change @ harmonics[:, columns].double()).to(harmonics))
    return torch.cat(parts, dim=1)


def _sphere(count: int) -> Float[Tensor, "count 3"]:
    """Directions that fill the sphere evenly, along a spiral of the golden angle."""
    number = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * number + 1) / count
    angle = number * math.pi * (3 - math.sqrt(5))
    flat = torch.sqrt(1 - z * z)
    return torch.stack([flat * torch.cos(angle), flat * torch.sin(angle), z], dim=1)
