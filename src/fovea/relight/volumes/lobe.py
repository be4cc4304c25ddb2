"""How much of a lobe of directions a function on the sphere lets through.

The function is given by 16 coefficients of the real spherical harmonics to degree 3, as baked: 1
where the sky is seen, 0 where something hides it. The lobe is GGX's distribution of half vectors
about an axis, taken as directions; with roughness 1 it is the cosine. `N` places, `S` samples.

Sums over samples are taken in the lobe's own frame. Sixteen values of a function of degree 3
determine it, so only these are taken in world axes; a fixed matrix gives it at all samples.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (2024), occlusion query.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.shading.brdf import frame, hammersley
from fovea.scene.harmonics import basis

DEGREE = 3
COEFFICIENTS = (DEGREE + 1) ** 2
SAMPLES = 256
CLAMPED_COSINE = (1.0, 2 / 3, 1 / 4, 0.0)
"""By band: what a cosine lobe of unit integral leaves of it."""
OPEN_HALF = (2 * math.pi, math.pi, 0.0, -math.pi / 4)
"""By band: the coefficients of an open half space, over the basis at its normal."""


def frames(axes: Float[Tensor, "N 3"], turns: Float[Tensor, " N"] | None = None) -> Tensor:
    """Right-handed frames about unit axes, [N, 3, 3]; their rows are tangent, bitangent and axis.

    Args:
        axes: the third of each frame; a zero axis has a frame without meaning.
        turns: how far tangent and bitangent are turned about the axis, in whole turns.
    """
    tangent, bitangent = frame(axes)
    if turns is not None:
        cos, sin = ((2 * math.pi * turns)[:, None].cos(), (2 * math.pi * turns)[:, None].sin())
        tangent, bitangent = (
            cos * tangent + sin * bitangent,
            cos * bitangent - sin * tangent,
        )
    return torch.stack([tangent, bitangent, axes], dim=1)


def half_vectors(
    roughness: Float[Tensor, "*N"], samples: int = SAMPLES
) -> Float[Tensor, "*N {samples} 3"]:
    """GGX half vectors about +z, spread evenly, by roughness; alpha = roughness^2."""
    points = hammersley(samples, dtype=roughness.dtype, device=roughness.device)
    u, v = points.unbind(-1)
    squared = (roughness**4)[..., None]
    cos = ((1 - v) / (1 + (squared - 1) * v)).sqrt()
    sin = (1 - cos * cos).clamp(min=0).sqrt()
    turn = (2 * math.pi * u).expand(cos.shape)
    return torch.stack([turn.cos() * sin, turn.sin() * sin, cos], dim=-1)


def lobe_visibility(
    coefficients: Float[Tensor, "N 16"],
    axes: Float[Tensor, "N 3"],
    *,
    roughness: float | Float[Tensor, " N"] = 1.0,
    samples: int = SAMPLES,
    jitter: Float[Tensor, " N"] | None = None,
) -> Float[Tensor, " N"]:
    """The mean over a lobe of the function, cut to 0..1 at each sample.

    Args:
        coefficients: of the function, at each place.
        axes: unit vectors about which the lobes lie; the result is 0 where one is zero.
        roughness: of the lobes; 1 gives a cosine lobe about a normal.
        samples: of each lobe.
        jitter: in 0..1, by which part of a turn the samples are turned about the axis.
    """
    local = _anchors(coefficients.dtype).to(coefficients.device)
    world = torch.einsum("sa,nab->nsb", local, frames(axes, jitter))
    anchored = torch.einsum("nsk,nk->ns", basis(world, DEGREE), coefficients)
    if isinstance(roughness, Tensor):
        spread = basis(half_vectors(roughness.to(anchored), samples), DEGREE)
        inverse = torch.linalg.inv(basis(local, DEGREE))
        values = torch.einsum("nsk,nk->ns", spread, anchored @ inverse.T)
    else:
        values = anchored @ _from_anchors(float(roughness), samples).to(anchored).T
    mean = values.clamp(0, 1).mean(dim=-1)
    return torch.where((axes == 0).all(dim=-1), torch.zeros_like(mean), mean)


def cosine_visibility(
    coefficients: Float[Tensor, "N 16"], normals: Float[Tensor, "N 3"]
) -> Float[Tensor, " N"]:
    """The exact mean of the function over a cosine lobe about each normal, cut to 0..1 at the end.

    An open half space gives 1, where samples cut one by one give 0.957. A zero normal gives 0.

    Source: Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps"
    (2001).
    """
    kept = (coefficients * basis(normals, DEGREE) * _by_band(CLAMPED_COSINE, normals)).sum(dim=-1)
    return torch.where((normals == 0).all(dim=-1), torch.zeros_like(kept), kept.clamp(0, 1))


def half_space(normals: Float[Tensor, "N 3"]) -> Float[Tensor, "N 16"]:
    """The coefficients of what a place on an open plane sees: all that its normal looks to."""
    return basis(normals, DEGREE) * _by_band(OPEN_HALF, normals)


def _by_band(shares: tuple[float, ...], like: Tensor) -> Float[Tensor, " 16"]:
    return like.new_tensor([s for band, s in enumerate(shares) for _ in range(2 * band + 1)])


@cache
def _anchors(dtype: torch.dtype) -> Float[Tensor, "16 3"]:
    """Sixteen directions at which a function of degree 3 is well determined: a golden spiral."""
    number = torch.arange(COEFFICIENTS, dtype=torch.float64)
    z = 1 - (2 * number + 1) / COEFFICIENTS
    turn = number * math.pi * (3 - math.sqrt(5))
    around = (1 - z * z).sqrt()
    return torch.stack([turn.cos() * around, turn.sin() * around, z], dim=-1).to(dtype)


@cache
def _from_anchors(roughness: float, samples: int) -> Float[Tensor, "S 16"]:
    """The matrix from a function's values at the anchors to those at the samples of a lobe."""
    spread = half_vectors(torch.tensor(roughness, dtype=torch.float64), samples)
    inverse = torch.linalg.inv(basis(_anchors(torch.float64), DEGREE))
    return basis(spread, DEGREE) @ inverse
