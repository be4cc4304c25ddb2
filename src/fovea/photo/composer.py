"""Base Gaussians and the network's deltas become Gaussians in the network's own space (NDC).

x and y run from -1 to 1 over the picture and are multiplied by depth; z is in metres.
`unprojection` brings them to the camera's space. All in float32.

Notation: sigma the logistic function, s the base inverse depth, d the deltas.

Source: section "Gaussian composition" of arXiv 2512.10685 and its public predictor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.photo.model.initializer import BaseGaussians
from fovea.scene.color import srgb_to_linear

POSITION_FACTOR, COLOR_FACTOR = 0.001, 0.1
MOST_SCALE = 10.0
"""Times the base scale; a delta of zero gives 1 with slope 1."""
SLOPE = MOST_SCALE / (MOST_SCALE - 1)
OFFSET = -math.log(MOST_SCALE - 1)
LEAST_INVERSE = 1e-6
FARTHEST_INVERSE = 1e-3
DARKEST = 0.01
"""Of base colours, and 1 minus it the brightest, before the logit."""
LEAST_SCALE = 1e-18
"""Its square is still a normal float32, and its logarithm is finite."""
LEAST_OPACITY = 2.0**-24
"""1 minus it is the largest float32 below 1, so that files can hold the logit."""


@dataclass(frozen=True)
class Ndc:
    """Predicted Gaussians before the camera is known to them.

    The index of a Gaussian is (layer * h + row) * w + column.
    """

    means: Float[Tensor, "B N 3"]
    scales: Float[Tensor, "B N 3"]
    quats: Float[Tensor, "B N 4"]
    """wxyz, not normalised."""
    colors: Float[Tensor, "B N 3"]
    """Linear light, in 0..1."""
    opacities: Float[Tensor, "B N"]
    disparity: Float[Tensor, "B 2 S S"]
    """As the depth head gave it: of the visible surface and the one behind."""
    depth_m: Float[Tensor, "B 2 S S"]
    """In metres, drawn towards a given depth map where there was one."""
    global_scale: Float[Tensor, " B"]
    """The nearest depth, in metres, by which the scene was normalised."""


def compose(
    base: BaseGaussians,
    delta: Float[Tensor, "B 14 2 h w"],
    *,
    disparity: Float[Tensor, "B 2 S S"],
    depth_m: Float[Tensor, "B 2 S S"],
) -> Ndc:
    """The Gaussians; `disparity` and `depth_m` are passed on."""
    position, scale, quat, color, opacity = delta.float().split((3, 3, 4, 3, 1), dim=1)
    z = predicted_depth(base.inverse_depth, position[:, 2:])
    x, y = (
        centre + POSITION_FACTOR * position[:, axis : axis + 1]
        for axis, centre in enumerate((base.x_ndc, base.y_ndc))
    )
    metric = base.global_scale.reshape(-1, 1, 1)
    size = base.scale * base.inverse_depth * z
    identity = torch.tensor([1.0, 0, 0, 0], device=delta.device).reshape(1, 4, 1, 1, 1)
    return Ndc(
        means=_by_gaussian(torch.cat([z * x, z * y, z], dim=1)).mul_(metric),
        scales=_by_gaussian(size * scale_factor(scale)).mul_(metric).clamp_min_(LEAST_SCALE),
        quats=_by_gaussian(identity + quat),
        colors=_by_gaussian(predicted_color(base.colors, color)),
        opacities=_by_gaussian(predicted_opacity(opacity))[..., 0],
        disparity=disparity,
        depth_m=depth_m,
        global_scale=base.global_scale,
    )


def predicted_depth(inverse_depth: Tensor, delta: Tensor) -> Tensor:
    """Normalised depth, 1 / (softplus(softplus^-1(s) + 0.001 d) + 0.001): never above 1000."""
    moved = inverse_softplus(inverse_depth) + POSITION_FACTOR * delta
    return 1 / (functional.softplus(moved) + FARTHEST_INVERSE)


def inverse_softplus(values: Tensor) -> Tensor:
    """ln(e^a - 1) as a + ln(1 - e^-a), for a >= 1e-6.

    `expm1` keeps all digits where a is small. The public predictor subtracts two numbers near 1
    there and is off by 6e-8 / a of itself; for depths, a >= 0.01, both agree.
    """
    values = values.clamp_min(LEAST_INVERSE)
    return values + torch.log(-torch.expm1(-values))


def scale_factor(delta: Tensor) -> Tensor:
    """What the base scale is multiplied by, in 0..10."""
    return MOST_SCALE * torch.sigmoid(SLOPE * delta + OFFSET)


def predicted_color(base_srgb: Tensor, delta: Tensor) -> Tensor:
    """Linear light. The delta moves the logit of the sRGB value, not of the linear one."""
    moved = torch.logit(base_srgb.clamp(DARKEST, 1 - DARKEST)) + COLOR_FACTOR * delta
    return srgb_to_linear(torch.sigmoid(moved))


def predicted_opacity(delta: Tensor) -> Tensor:
    """0.5 where the delta is zero; strictly between 0 and 1, also where float32 would round."""
    return torch.sigmoid(delta).clamp(LEAST_OPACITY, 1 - LEAST_OPACITY)


def _by_gaussian(values: Float[Tensor, "B C 2 h w"]) -> Float[Tensor, "B N C"]:
    return values.flatten(2).transpose(1, 2).contiguous()
