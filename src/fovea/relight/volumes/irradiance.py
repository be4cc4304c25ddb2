"""Light that comes from nearby, kept on a grid: nine coefficients of irradiance at each node.

The second stage learns them; they start at 0. A place takes what lies between the nodes around it,
without regard to its normal, and the irradiance of its normal from that.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (2024), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.errors import DataError
from fovea.relight.volumes.grid import Grid, blended, trilinear
from fovea.scene.harmonics import basis

DEGREE = 2
COEFFICIENTS = (DEGREE + 1) ** 2
RESOLUTION = 64


class IrradianceVolume(nn.Module):
    """Irradiance by place and normal; gradients reach the coefficients only.

    Attributes:
        aabb: the box, its lowest corner before its highest.
        irradiance_coefficients: [X, Y, Z, 9, channels]; the names are those of GS-IR's checkpoints.

    Raises:
        DataError: the coefficients have another shape, or the box is empty.
    """

    aabb: Float[Tensor, " 6"]
    irradiance_coefficients: Float[Tensor, "X Y Z 9 C"]

    def __init__(
        self, aabb: Sequence[float] | Tensor, coefficients: Float[Tensor, "X Y Z 9 C"]
    ) -> None:
        super().__init__()
        shape = tuple(coefficients.shape)
        if len(shape) != 5 or shape[3] != COEFFICIENTS:
            raise DataError(
                f"an irradiance volume needs coefficients of shape [X, Y, Z, {COEFFICIENTS},"
                f" channels]; got {list(shape)}."
            )
        self.register_buffer("aabb", torch.as_tensor(aabb, dtype=coefficients.dtype).clone())
        self.irradiance_coefficients = nn.Parameter(coefficients.clone())
        corners: list[float] = self.aabb.tolist()
        self.grid = Grid.between(corners[:3], corners[3:], shape[:3])

    @classmethod
    def dark(
        cls, aabb: Sequence[float] | Tensor, *, resolution: int = RESOLUTION, channels: int = 1
    ) -> IrradianceVolume:
        """A volume without any light."""
        return cls(aabb, torch.zeros(*(resolution,) * 3, COEFFICIENTS, channels))

    def irradiance(
        self, points: Float[Tensor, "*batch 3"], normals: Float[Tensor, "*batch 3"]
    ) -> Float[Tensor, "*batch C"]:
        """The irradiance at places, not below 0. Those outside the box have that of its border."""
        rows = self.irradiance_coefficients.flatten(3).flatten(0, 2)
        nodes, weights = trilinear(points.detach().reshape(-1, 3), self.grid)
        found = blended(rows, nodes, weights).unflatten(-1, (COEFFICIENTS, -1))
        facing = basis(normals.detach().reshape(-1, 3), DEGREE)
        total = (found * facing.unsqueeze(-1)).sum(dim=-2).clamp(min=0)
        return total.reshape(*points.shape[:-1], total.shape[-1])
