"""Gaussians: the scene as every room passes it on.

Values are activated: what the equations use, not what an optimiser sees. `N` is the number of
    Gaussians, `K` the
number of spherical-harmonic coefficients, (degree + 1)^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError
from fovea.scene import harmonics as spherical

ColorSpace = Literal["srgb", "linear"]


@dataclass(frozen=True)
class Gaussians:
    """Anisotropic 3D Gaussians with a colour that depends on the direction they are seen from.

    Attributes:
        means: centres in the world.
        quats: unit quaternions, wxyz, from the Gaussian's axes to the world.
        scales: standard deviations along those axes, positive.
        opacities: peak opacity, in 0..1.
        harmonics: colour coefficients; colour = max(0, basis(direction) . harmonics + 0.5).
        color_space: of these colours, `srgb` or `linear`.
        extras: further attributes by name, such as `normal`, `albedo`, `roughness`; N rows each.

    Raises:
        DataError: the arrays do not agree in shape, or `color_space` is another word.
    """

    means: Float[Tensor, "N 3"]
    quats: Float[Tensor, "N 4"]
    scales: Float[Tensor, "N 3"]
    opacities: Float[Tensor, " N"]
    harmonics: Float[Tensor, "N K 3"]
    color_space: ColorSpace = "srgb"
    extras: dict[str, Float[Tensor, "N _"]] = field(default_factory=dict[str, Tensor])

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return self.means.shape[0]

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> Gaussians:
        """Some of them, by mask, indices or slice."""
        return self._each(lambda values: values[index])

    @property
    def degree(self) -> int:
        """Of the spherical harmonics."""
        return math.isqrt(self.harmonics.shape[1]) - 1

    def to(self, *args: Any, **kwargs: Any) -> Gaussians:
        """The same Gaussians on another device or in another dtype, as `Tensor.to`."""
        return self._each(lambda values: values.to(*args, **kwargs))

    def detach(self) -> Gaussians:
        """The same values, constant for autograd."""
        return self._each(Tensor.detach)

    def colors(self, position: Float[Tensor, " 3"]) -> Float[Tensor, "N 3"]:
        """Their colours as seen from a position in the world."""
        directions = self.means - position.to(self.means)
        return spherical.evaluate(self.harmonics, torch.nn.functional.normalize(directions, dim=-1))

    def covariances(self) -> Float[Tensor, "N 3 3"]:
        """World covariance, R diag(scales^2) R^T."""
        axes = rotations(self.quats) * self.scales[:, None, :]
        return axes @ axes.transpose(1, 2)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Gaussians:
        return replace(
            self,
            means=change(self.means),
            quats=change(self.quats),
            scales=change(self.scales),
            opacities=change(self.opacities),
            harmonics=change(self.harmonics),
            extras={name: change(values) for name, values in self.extras.items()},
        )


def rotations(quats: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of unit quaternions, wxyz. They are taken as they come, not normalised."""
    w, x, y, z = quats.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, dim=-2)


def _check(gaussians: Gaussians) -> None:
    count = gaussians.means.shape[0]
    found = gaussians.harmonics.shape
    coefficients = found[1] if len(found) == 3 else 0
    wanted = {
        "means": (count, 3),
        "quats": (count, 4),
        "scales": (count, 3),
        "opacities": (count,),
        "harmonics": (count, coefficients, 3),
    }
    for name, shape in wanted.items():
        if tuple(getattr(gaussians, name).shape) != shape:
            raise DataError(
                f"Gaussians need {name} of shape {list(shape)} for {count} means; got "
                f"{list(getattr(gaussians, name).shape)}."
            )
    if math.isqrt(coefficients) ** 2 != coefficients or not 1 <= coefficients <= 25:
        raise DataError(
            f"Harmonics of degree 0 to 4 have 1, 4, 9, 16 or 25 coefficients; got {coefficients}."
        )
    if gaussians.color_space not in ("srgb", "linear"):
        raise DataError(f"color_space is 'srgb' or 'linear'; got {gaussians.color_space!r}.")
    for name, values in gaussians.extras.items():
        if values.dim() != 2 or values.shape[0] != count:
            raise DataError(
                f"The extra attribute {name!r} needs shape [{count}, C]; got {list(values.shape)}."
            )
