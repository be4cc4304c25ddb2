"""sRGB and linear light, for NumPy arrays and torch tensors alike.

`linear` values are proportional to light and may be added and blended; `srgb` values are what files
and screens hold. Both curves are the standard's (IEC 61966-2-1), go on above 1, and are straight
lines through zero below it, so that a negative value stays one.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)

LINEAR_CUT = 0.0031308
SRGB_CUT = 12.92 * LINEAR_CUT
"""Where the line ends. The standard prints this rounded, 0.04045, and its line and curve miss each
other there by 3e-8; with the product, encoding and decoding undo each other to 3e-9 beside the cut
and to the last bits elsewhere."""


def linear_to_srgb(linear: Array) -> Array:
    """Encode linear light for files and screens; 0 -> 0, 1 -> 1, 0.2140 -> 0.5."""
    if isinstance(linear, torch.Tensor):
        # The clamp keeps the gradient of the unused branch finite at zero.
        curve = 1.055 * linear.clamp_min(LINEAR_CUT) ** (1 / 2.4) - 0.055
        return torch.where(linear <= LINEAR_CUT, 12.92 * linear, curve)
    curve = 1.055 * np.maximum(linear, LINEAR_CUT) ** (1 / 2.4) - 0.055
    return np.where(linear <= LINEAR_CUT, 12.92 * linear, curve)


def srgb_to_linear(srgb: Array) -> Array:
    """Decode what files and screens hold to linear light; the inverse of `linear_to_srgb`."""
    if isinstance(srgb, torch.Tensor):
        curve = ((srgb.clamp_min(SRGB_CUT) + 0.055) / 1.055) ** 2.4
        return torch.where(srgb <= SRGB_CUT, srgb / 12.92, curve)
    curve = ((np.maximum(srgb, SRGB_CUT) + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= SRGB_CUT, srgb / 12.92, curve)
