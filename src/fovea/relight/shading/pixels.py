"""What there is to be lit: places, how they face, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """Pixels of one view, before any light.

    Attributes:
        points: in the world.
        normals: of length 1; 0 where nothing is.
        view: of length 1, from the points to the eye.
        albedo: linear.
        roughness: 0..1.
        metallic: 0..1.
    """

    points: Float[Tensor, "h w 3"]
    normals: Float[Tensor, "h w 3"]
    view: Float[Tensor, "h w 3"]
    albedo: Float[Tensor, "h w 3"]
    roughness: Float[Tensor, "h w 1"]
    metallic: Float[Tensor, "h w 1"]
