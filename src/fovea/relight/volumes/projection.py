"""What is visible from a place, as coefficients of spherical harmonics.

A place looks around through the six faces of a cube (`fovea.relight.light.cubemap`), each with a
view of 90 degrees. What is hidden in a texel is 0, what is open 1; the coefficients are a product
of these numbers with a fixed matrix.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.light import latlong
from fovea.relight.light.cubemap import FACES, sample, solid_angles, texel_directions
from fovea.relight.volumes.lobe import DEGREE
from fovea.scene.camera import Camera
from fovea.scene.harmonics import basis

Layout = Literal["texels", "centres", "reference"]
ROWS, COLUMNS = 256, 512
"""Of the lat-long grid on which the published system integrates."""
OPAQUE = 0.5
"""Alpha up to which a texel shows nothing that could hide the sky."""


@cache
def projection(
    res: int, layout: Layout = "texels", dtype: torch.dtype = torch.float64
) -> Float[Tensor, "texels 16"]:
    """The matrix from a function on a cube of `res` x `res` texels to its coefficients.

    Args:
        res: texels along the edge of a face.
        layout: where the integral's samples lie: `texels`, one in each with its exact solid angle;
            `centres` and `reference`, on a lat-long grid of 256 x 512 that reads the nearest
            texel, at the centres of its cells or, as published, at corners in stretched columns.
        dtype: of the result; everything is computed in float64.
    """
    if layout == "texels":
        directions = texel_directions(res, dtype=torch.float64).reshape(-1, 3)
        weights = solid_angles(res, dtype=torch.float64).reshape(-1, 1)
        return (weights * basis(directions, DEGREE)).to(dtype)
    directions, weights = grid(layout)
    numbers = torch.arange(6 * res * res, dtype=torch.float64).reshape(6, res, res, 1)
    texel = sample(numbers, directions, filter="nearest").round().long().reshape(-1)
    rows = (weights * basis(directions, DEGREE)).reshape(-1, (DEGREE + 1) ** 2)
    return rows.new_zeros(6 * res * res, rows.shape[1]).index_add_(0, texel, rows).to(dtype)


def grid(
    layout: Literal["centres", "reference"],
) -> tuple[Float[Tensor, "256 512 3"], Float[Tensor, "256 512 1"]]:
    """The directions of the lat-long grid and the solid angle each stands for."""
    kind = "bake_reference" if layout == "reference" else "centres"
    one = torch.float64
    directions = latlong.directions(ROWS, COLUMNS, layout=kind, dtype=one)
    return directions, latlong.solid_angles(ROWS, COLUMNS, dtype=one).unsqueeze(-1)


def open_sky(
    distances: Float[Tensor, "*batch"], threshold: float = math.inf, *, softly: bool = False
) -> Float[Tensor, "*batch"]:
    """How open directions are in which something stands at a distance, 0 where nothing does.

    Args:
        distances: from the place, along the ray.
        threshold: up to which things hide; a negative one, or infinity, hides at any distance.
        softly: things hide exp(-(distance / threshold)^2) of their direction in place of all or
            nothing.
    """
    is_hit = distances > 0
    if softly and math.isfinite(threshold):
        hidden = torch.exp(-((distances / threshold) ** 2)) * is_hit
    else:
        hidden = (is_hit & (distances < threshold)).to(distances)
    return 1 - hidden


def face_rotations() -> Float[Tensor, "6 3 3"]:
    """From each face's camera to the world; columns are right, down and forward.

    A cube is seen from inside and its layout from outside: these mirror.
    """
    return torch.tensor(FACES, dtype=torch.float64).transpose(1, 2)


def face_cameras(position: Float[Tensor, " 3"], res: int) -> list[Camera]:
    """Cameras for the six faces about a place; their pictures are the faces mirrored sideways."""
    cameras = []
    for rotation in face_rotations():
        unmirrored = rotation * rotation.new_tensor([-1.0, 1.0, 1.0])
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = unmirrored.T
        pose[:3, 3] = -unmirrored.T @ position.to(pose)
        cameras.append(Camera.from_fov(pose, fov_x=math.pi / 2, height=res, width=res))
    return cameras


def ray_lengths(res: int) -> Float[Tensor, "{res} {res}"]:
    """The distance of a face's texels where their depth is 1."""
    at = 2 * (torch.arange(res, dtype=torch.float64) + 0.5) / res - 1
    return (at[:, None] ** 2 + at[None] ** 2 + 1).sqrt()


def radial(
    depths: Float[Tensor, "6 res res"], opacities: Float[Tensor, "6 res res"]
) -> Float[Tensor, "6 res res"]:
    """Distances on a cube from the z-depths its cameras saw, 0 where they saw through."""
    lengths = ray_lengths(depths.shape[1]).to(depths)
    return torch.where(opacities > OPAQUE, depths, 0.0).flip(-1) * lengths


def coefficients(
    visible: Float[Tensor, "*batch 6 res res"], layout: Layout = "texels"
) -> Float[Tensor, "*batch 16"]:
    """The coefficients of how open each texel of a cube is."""
    matrix = projection(visible.shape[-1], layout, visible.dtype).to(visible.device)
    return visible.flatten(-3) @ matrix
