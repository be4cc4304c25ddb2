"""Gaussians from linear colours to sRGB ones and back.

Viewers blend the colours they find in a file and show the sum, so files of other tools hold sRGB.
What SHARP predicts is linear: blending it in linear light and encoding the picture is nearer to a
camera. The same scene in the other space looks alike where one Gaussian covers a pixel, and a
little different where several share it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.scene.color import LINEAR_CUT, SRGB_CUT, linear_to_srgb, srgb_to_linear
from fovea.scene.gaussians import ColorSpace, Gaussians
from fovea.scene.harmonics import C0


def in_color_space(gaussians: Gaussians, space: ColorSpace) -> Gaussians:
    """The same Gaussians with colours in the space named.

    The constant colour is converted exactly. What varies with the direction is scaled by the slope
    of the curve there, which is right to first order.
    """
    if gaussians.color_space == space:
        return gaussians
    colors = gaussians.harmonics[:, :1].double() * C0 + 0.5
    encoded = linear_to_srgb(colors) if space == "srgb" else srgb_to_linear(colors)
    constant = (encoded - 0.5) / C0
    slope = _encoding_slope(colors) if space == "srgb" else 1 / _encoding_slope(encoded)
    harmonics = torch.cat([constant, gaussians.harmonics[:, 1:].double() * slope], dim=1)
    return replace(gaussians, harmonics=harmonics.to(gaussians.harmonics.dtype), color_space=space)


def _encoding_slope(linear: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The derivative of sRGB by linear light."""
    curve = 1.055 / 2.4 * linear.clamp(LINEAR_CUT, 1.0) ** (1 / 2.4 - 1)
    return torch.where(linear <= LINEAR_CUT, torch.full_like(linear, SRGB_CUT / LINEAR_CUT), curve)
