"""How far normals point away from where they should.

Normals are world-space unit vectors, [..., height, width, 3]. `decode_normals` turns the pictures
that hold them into such arrays.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from fovea.errors import DataError
from fovea.metrics.metric import MeanMetric

BACKGROUND = (0.0, 0.0, 1.0)
"""What stands where there is no surface, by the convention of TensoIR's pictures."""


def normal_error_deg(
    normals: Float[Tensor, "*pixels 3"],
    target: Float[Tensor, "*pixels 3"],
    mask: Bool[Tensor, "*pixels"] | None = None,
) -> Float[Tensor, ""]:
    """Mean angle between normals and their target, in degrees.

    Without a mask the mean is over all pixels, as GS-IR and others report it: background, where
    both hold the same normal, dilutes the error by the coverage. With one it is the error of the
    surface.

    Args:
        normals: any length but zero; a zero vector counts as orthogonal to everything.
        target: as `normals`.
        mask: pixels that count; at least one.

    Raises:
        DataError: shapes differ, or the mask is empty.
    """
    if normals.shape != target.shape or normals.shape[-1] != 3:
        raise DataError(
            f"normals and their target have one shape ending in 3; found {tuple(normals.shape)} "
            f"and {tuple(target.shape)}. Resize or crop one of them."
        )
    cosine = (F.normalize(normals, dim=-1) * F.normalize(target, dim=-1)).sum(dim=-1)
    angles = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
    if mask is None:
        return angles.mean()
    if not mask.any():
        raise DataError("the mask of a normal map has no pixel set; leave the view out.")
    return angles[mask].mean()


def decode_normals(
    image: Float[Tensor, "*pixels channels"], background: tuple[float, float, float] = BACKGROUND
) -> Float[Tensor, "*pixels 3"]:
    """Unit normals from a picture of them, whose values 0..1 stand for -1..1.

    With a fourth channel, the coverage, the background is blended in before normalising. Without
    one, the pixels that an 8-bit writer makes of the background are put back to exactly it: 8 bits
    have no step for zero, and would leave them half a degree off.
    """
    normals = image[..., :3] * 2 - 1
    behind = torch.tensor(background, dtype=image.dtype, device=image.device)
    if image.shape[-1] == 4:
        alpha = image[..., 3:]
        normals = normals * alpha + behind * (1 - alpha)
    else:
        steps = torch.floor((behind + 1) / 2 * 255 + 0.5)
        is_background = (torch.round(image * 255) == steps).all(dim=-1, keepdim=True)
        normals = torch.where(is_background, behind, normals)
    return F.normalize(normals, dim=-1)


class NormalError(MeanMetric):
    """Mean `normal_error_deg` of the views; with `mask=` in `update`, that of the surface alone."""

    name = "normal_error"
    direction = "min"
    unit = "deg"

    def scores(self, image: Tensor, target: Tensor, **rest: Any) -> Tensor:
        """The mean angle of each view."""
        masks: Tensor | None = rest.get("mask")
        views = zip(
            image.reshape(-1, *image.shape[-3:]),
            target.reshape(-1, *target.shape[-3:]),
            strict=True,
        )
        if masks is None:
            return torch.stack([normal_error_deg(*view) for view in views])
        flat = masks.reshape(-1, *masks.shape[-2:])
        return torch.stack(
            [normal_error_deg(*view, mask) for view, mask in zip(views, flat, strict=True)]
        )
