"""The Gaussians as the optimiser sees them: raw parameters, start values, activations.

Raw values have no bounds: scales are logarithms, opacities logits, quaternions and normals of any
    length. Materials (albedo, roughness, metallic) are logits; the second stage learns them. `N`
    Gaussians, `K` coefficients of the spherical harmonics, (degree + 1)^2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.start import log_scales
from fovea.scene import harmonics
from fovea.scene.gaussians import Gaussians

Parameters = dict[str, Tensor]
"""`means` [N, 3], `dc` [N, 1, 3], `rest` [N, K-1, 3], `opacities` [N], `scales` [N, 3], `quats` [N,
4],
`normals` [N, 3]; raw, in this order everywhere."""

NAMES = ("means", "dc", "rest", "opacities", "scales", "quats", "normals")


def logit(probability: float) -> float:
    """The inverse of the sigmoid."""
    return math.log(probability / (1 - probability))


def initial_parameters(
    points: Float[np.ndarray, "n 3"],
    colors: Float[np.ndarray, "n 3"],
    *,
    degree: int,
    opacity: float = 0.1,
) -> Parameters:
    """Round, faint Gaussians at points, as large as the points are apart, normals along +z."""
    count = len(points)
    quats = torch.zeros(count, 4)
    quats[:, 0] = 1
    normals = torch.zeros(count, 3)
    normals[:, 2] = 1
    dc = harmonics.from_colors(torch.from_numpy(np.asarray(colors, dtype=np.float32)))
    return {
        "means": torch.from_numpy(np.asarray(points, dtype=np.float32)).clone(),
        "dc": dc,
        "rest": torch.zeros(count, (degree + 1) ** 2 - 1, 3),
        "opacities": torch.full((count,), logit(opacity)),
        "scales": log_scales(points).float(),
        "quats": quats,
        "normals": normals,
    }


def activate(parameters: Mapping[str, Tensor], *, degree: int | None = None) -> Gaussians:
    """The Gaussians that raw parameters stand for, with harmonics up to a degree or all."""
    rest = parameters["rest"]
    if degree is not None:
        rest = rest[:, : (degree + 1) ** 2 - 1]
    coefficients = torch.cat([parameters["dc"], rest], dim=1) if rest.shape[1] else parameters["dc"]
    return Gaussians(
        means=parameters["means"],
        quats=functional.normalize(parameters["quats"], dim=-1),
        scales=parameters["scales"].exp(),
        opacities=parameters["opacities"].sigmoid(),
        harmonics=coefficients,
        extras={"normal": functional.normalize(parameters["normals"], dim=-1)},
    )
