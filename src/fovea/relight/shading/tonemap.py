"""From radiance to what a screen shows."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fovea.scene.color import linear_to_srgb


def aces(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A filmic curve from 0.. to 0..1 that bends highlights instead of clipping them.

    Source: Narkowicz, "ACES Filmic Tone Mapping Curve" (2015).
    """
    curve = linear * (2.51 * linear + 0.03) / (linear * (2.43 * linear + 0.59) + 0.14)
    return curve.clamp(0, 1)


def display(
    linear: Float[Tensor, "*shape"], *, tone: bool = False, gamma: bool = True
) -> Float[Tensor, "*shape"]:
    """Linear radiance as it is shown or compared with photographs, in 0..1.

    Args:
        linear: radiance.
        tone: bend highlights by `aces`; otherwise they are clipped at 1.
        gamma: encode as sRGB. Off, a fit happens in display space, as the reference's does when
            it is not told `--gamma`.
    """
    shown = aces(linear) if tone else linear.clamp(0, 1)
    return linear_to_srgb(shown) if gamma else shown
