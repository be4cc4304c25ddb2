# torch leaves too many of its own types unknown for strict.
"""The plain twin: the equations in PyTorch, differentiable in everything; slow, and the judge.

Shapes: `N` Gaussians, `M` of them in a tile front to back, `P` pixels of a tile, `C` channels.

Source: Zwicker et al., "EWA Splatting" (2002), for the projection; Kerbl et al., "3D Gaussian
    Splatting for
Real-Time Radiance Field Rendering" (2023), for the thresholds.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fovea.scene.gaussians import Gaussians
from fovea.scene.raster.splats import (
    ALPHA_MAX,
    ALPHA_MIN,
    THINNEST,
    TILE,
    TRANSMITTANCE_MIN,
    Splats,
    View,
)

MOST_PX = 1e9
"""Beyond this, a place or a size on the image is an overflow."""
SMALLEST_EIGENVALUE_GAP = 0.1
"""Under the square root of the radius, as the first CUDA rasterisers had it."""


def project(gaussians: Gaussians, view: View) -> Splats:
    """Place the Gaussians on the image, with gradients to them and to the camera."""
    rotation, translation = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    fx, fy = view.intrinsics[0, 0], view.intrinsics[1, 1]
    at = gaussians.means @ rotation.T + translation
    in_front = at[:, 2] > view.near
    x, y = at[:, 0], at[:, 1]
    z = torch.where(in_front, at[:, 2], 1.0)

    depth = z + view.divide_epsilon
    means2d = torch.stack(
        [fx * x / depth + view.intrinsics[0, 2], fy * y / depth + view.intrinsics[1, 2]], dim=-1
    )
    left, right, top, bottom = view.jacobian_bounds
    slope_x, slope_y = (x / z).clamp(left, right), (y / z).clamp(top, bottom)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([fx / z, zero, -fx * slope_x / z], dim=-1),
            torch.stack([zero, fy / z, -fy * slope_y / z], dim=-1),
        ],
        dim=-2,
    )
    to_image = jacobian @ rotation
    covariances = to_image @ gaussians.covariances() @ to_image.transpose(1, 2)
    a, b, c = (
        covariances[:, 0, 0] + view.blur,
        covariances[:, 0, 1],
        covariances[:, 1, 1] + view.blur,
    )
    widen = thinness(a.detach(), b.detach(), c.detach())
    a, c = a + widen, c + widen
    determinant = a * c - b * b
    valid = in_front & (determinant > 0)
    determinant = torch.where(valid, determinant, 1.0)
    conics = torch.stack([c, -b, a], dim=-1) / determinant[:, None]

    opacities = gaussians.opacities.detach()
    radii = visible_radii(means2d.detach(), conics.detach(), at[:, 2].detach(), opacities, view)
    return Splats(
        means2d=means2d,
        conics=conics,
        depths=at[:, 2],
        opacities=gaussians.opacities,
        radii=torch.where(valid, radii, 0),
    )


def colors(gaussians: Gaussians, view: View, splats: Splats) -> Float[Tensor, "N 3"]:
    """The colours of the harmonics seen from the camera; unseen Gaussians may be left out."""
    del splats
    rotation, translation = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    return gaussians.colors(-rotation.T @ translation)


def blend(
    splats: Splats,
    features: Float[Tensor, "N C"],
    attached: Float[Tensor, " C"],
    view: View,
) -> tuple[Float[Tensor, "H W C"], Float[Tensor, "H W"]]:
    """Blend feature channels front to back.

    Args:
        splats: where the Gaussians lie.
        features: what each of them carries.
        attached: 1 for a channel whose gradient reaches the weights, 0 for one that only gets its
            own.
        view: the image to draw.

    Returns:
        The sum of weight * feature in each pixel, and the transmittance that is left behind the
        last Gaussian.
    """
    ids = torch.nonzero(splats.visible).squeeze(-1)
    ids = ids[torch.argsort(splats.depths.detach()[ids], stable=True)]
    boxes = _boxes(splats, ids, view)
    strips: list[Tensor] = []
    leftovers: list[Tensor] = []
    for top in range(0, view.height, TILE):
        tiles = [
            _blend_tile(splats, features, attached, view, ids, boxes, top, left)
            for left in range(0, view.width, TILE)
        ]
        strips.append(torch.cat([image for image, _ in tiles], dim=1))
        leftovers.append(torch.cat([left_over for _, left_over in tiles], dim=1))
    return torch.cat(strips), torch.cat(leftovers)


def thinness(a: Tensor, b: Tensor, c: Tensor) -> Float[Tensor, " N"]:
    """What both variances lack for a splat to be as wide as can be inverted; mostly 0."""
    total = a + c
    smaller = (a * c - b * b) / total.clamp(min=1e-30)
    return (THINNEST * total - smaller).clamp(min=0.0)


def visible_radii(
    means2d: Float[Tensor, "N 2"],
    conics: Float[Tensor, "N 3"],
    depths: Float[Tensor, " N"],
    opacities: Float[Tensor, " N"],
    view: View,
) -> Int[Tensor, " N"]:
    """Three standard deviations along the longer axis, in whole pixels; 0 where it is not seen."""
    determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    middle = (conics[:, 0] + conics[:, 2]) / (2 * determinant)
    gap = (middle * middle - 1 / determinant).clamp(min=SMALLEST_EIGENVALUE_GAP).sqrt()
    radii = torch.ceil(3 * (middle + gap).sqrt())
    finite = (radii < MOST_PX) & (means2d.abs() < MOST_PX).all(dim=-1)
    seen = (depths > view.near) & finite & _reaches(means2d, conics, opacities, radii, view)
    return torch.where(seen, radii, 0.0).to(torch.int32)


def half_sizes(conics: Tensor, opacities: Tensor) -> Float[Tensor, "N 2"]:
    """Half width and height, in px, of where alpha reaches its threshold; -inf if nowhere."""
    reach = 2 * torch.log(opacities.clamp(min=1e-30) / ALPHA_MIN)
    determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    spread = torch.stack([conics[:, 2], conics[:, 0]], dim=-1) / determinant[:, None]
    sizes = (reach.clamp(min=0)[:, None] * spread).sqrt()
    return torch.where(reach[:, None] >= 0, sizes, -math.inf)


def _reaches(
    means2d: Tensor, conics: Tensor, opacities: Tensor, radii: Tensor, view: View
) -> Bool[Tensor, " N"]:
    if view.in_tiles:
        rectangle = _tile_rectangles(means2d, radii, view)
        return (rectangle[:, 0] < rectangle[:, 2]) & (rectangle[:, 1] < rectangle[:, 3])
    size = means2d.new_tensor([view.width, view.height])
    half = half_sizes(conics, opacities)
    return ((means2d + half >= 0.5) & (means2d - half <= size - 0.5)).all(dim=-1)


def _tile_rectangles(means2d: Tensor, radii: Tensor, view: View) -> Int[Tensor, "N 4"]:
    """First and past-the-last tile, x0 y0 x1 y1; in integer pixel coordinates, hence the 0.5."""
    tiles = means2d.new_tensor([-(-view.width // TILE), -(-view.height // TILE)])
    centre, reach = means2d - 0.5, radii[:, None]
    first = torch.trunc((centre - reach) / TILE).clamp(min=0)
    past = torch.trunc((centre + reach + TILE - 1) / TILE).clamp(min=0)
    return torch.cat([torch.minimum(first, tiles), torch.minimum(past, tiles)], dim=-1).long()


def _boxes(splats: Splats, ids: Tensor, view: View) -> Float[Tensor, "M 4"]:
    """The pixels each Gaussian may touch, x0 y0 x1 y1, as pixel coordinates."""
    means2d, conics = splats.means2d.detach()[ids], splats.conics.detach()[ids]
    if view.in_tiles:
        return _tile_rectangles(means2d, splats.radii[ids], view).to(means2d) * TILE
    half = half_sizes(conics, splats.opacities.detach()[ids]) * 1.001 + 0.01
    return torch.cat([means2d - half, means2d + half], dim=-1)


def _blend_tile(
    splats: Splats,
    features: Tensor,
    attached: Tensor,
    view: View,
    ids: Tensor,
    boxes: Tensor,
    top: int,
    left: int,
) -> tuple[Tensor, Tensor]:
    height, width = min(TILE, view.height - top), min(TILE, view.width - left)
    touches = (boxes[:, 0] < left + width) & (boxes[:, 2] > left)
    touches &= (boxes[:, 1] < top + height) & (boxes[:, 3] > top)
    inside = ids[touches]
    like = splats.means2d
    rows = torch.arange(top, top + height, dtype=like.dtype, device=like.device) + 0.5
    columns = torch.arange(left, left + width, dtype=like.dtype, device=like.device) + 0.5
    y, x = (axis.reshape(-1, 1) for axis in torch.meshgrid(rows, columns, indexing="ij"))

    alpha = alphas(splats, inside, x, y)
    after = torch.cumprod(1 - alpha, dim=1)
    alive = after >= TRANSMITTANCE_MIN
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)[:, : len(inside)]
    weights = torch.where(alive, alpha * before, 0.0)
    carried = features[inside]
    image = weights @ (carried * attached) + weights.detach() @ (carried * (1 - attached))
    left_over = torch.where(alive, 1 - alpha, 1.0).prod(dim=1)
    return image.reshape(height, width, -1), left_over.reshape(height, width)


def alphas(splats: Splats, ids: Tensor, x: Tensor, y: Tensor) -> Float[Tensor, "P M"]:
    """How much each Gaussian hides of each pixel; 0 where it is skipped."""
    means2d, conics = splats.means2d[ids], splats.conics[ids]
    dx, dy = means2d[:, 0] - x, means2d[:, 1] - y
    power = -0.5 * (conics[:, 0] * dx * dx + conics[:, 2] * dy * dy) - conics[:, 1] * dx * dy
    alpha = splats.opacities[ids] * torch.exp(power)
    capped = alpha + (alpha.clamp(max=ALPHA_MAX) - alpha).detach()
    return torch.where((power <= 0) & (capped.detach() >= ALPHA_MIN), capped, 0.0)
