"""Real spherical harmonics to degree 4, with the signs that 3D Gaussian files use.

Coefficients are ordered (l, m): 0,0 then 1,-1 1,0 1,1 then 2,-2 and so on; K = (degree + 1)^2. The
basis carries the Condon-Shortley sign, so that 1,-1 is -0.4886 y and 1,1 is -0.4886 x.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError

MAX_DEGREE = 4
C0 = 0.28209479177387814
"""The constant basis function; colour = 0.5 + C0 * coefficient at degree 0."""

C1 = 0.4886025119029199
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (
    0.5900435899266435,
    2.890611442640554,
    0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)
C4 = (
    2.5033429417967046,
    1.7701307697799304,
    0.9461746957575601,
    0.6690465435572892,
    0.10578554691520431,
    0.47308734787878004,
    0.6258357354491761,
)


def basis(directions: Float[Tensor, "*batch 3"], degree: int) -> Float[Tensor, "*batch K"]:
    """The basis functions up to `degree` at unit directions.

    Raises:
        DataError: the degree is not one of 0 to 4.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise DataError(
            f"Spherical harmonics are known for degrees 0 to {MAX_DEGREE}; got {degree}."
        )
    x, y, z = directions.unbind(-1)
    terms = [torch.full_like(x, C0)]
    if degree >= 1:
        terms += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        terms += _second(x, y, z)
    if degree >= 3:
        terms += _third(x, y, z)
    if degree >= 4:
        terms += _fourth(x, y, z)
    return torch.stack(terms, dim=-1)


def evaluate(
    harmonics: Float[Tensor, "*batch K 3"], directions: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Colours seen along unit directions, from the camera to the Gaussian.

    colour = max(0, sum_k basis_k * harmonics_k + 0.5), each channel by itself; where it is cut
    at 0, no gradient flows.
    """
    degree = math.isqrt(harmonics.shape[-2]) - 1
    weights = basis(directions, degree)
    return torch.relu((weights.unsqueeze(-1) * harmonics).sum(-2) + 0.5)


def from_colors(colors: Float[Tensor, "*batch 3"], degree: int = 0) -> Float[Tensor, "*batch K 3"]:
    """Coefficients that give these colours from every direction."""
    constant = ((colors - 0.5) / C0).unsqueeze(-2)
    rest = constant.new_zeros((*colors.shape[:-1], (degree + 1) ** 2 - 1, 3))
    return torch.cat([constant, rest], dim=-2)


def _second(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    return [
        C2[0] * x * y,
        -C2[0] * y * z,
        C2[1] * (2 * z * z - x * x - y * y),
        -C2[0] * x * z,
        C2[2] * (x * x - y * y),
    ]


def _third(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    xx, yy, zz = x * x, y * y, z * z
    return [
        -C3[0] * y * (3 * xx - yy),
        C3[1] * x * y * z,
        -C3[2] * y * (4 * zz - xx - yy),
        C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
        -C3[2] * x * (4 * zz - xx - yy),
        C3[4] * z * (xx - yy),
        -C3[0] * x * (xx - 3 * yy),
    ]


def _fourth(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    xx, yy, zz = x * x, y * y, z * z
    return [
        C4[0] * x * y * (xx - yy),
        -C4[1] * y * z * (3 * xx - yy),
        C4[2] * x * y * (7 * zz - 1),
        -C4[3] * y * z * (7 * zz - 3),
        C4[4] * (zz * (35 * zz - 30) + 3),
        -C4[3] * x * z * (7 * zz - 3),
        C4[5] * (xx - yy) * (7 * zz - 1),
        -C4[1] * x * z * (xx - 3 * yy),
        C4[6] * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
    ]
