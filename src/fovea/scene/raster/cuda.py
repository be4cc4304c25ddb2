# torch leaves too many of its own types unknown for strict.
"""The cuda twin: hands the work to gsplat's kernels.

gsplat draws the exact footprint, with the same thresholds as the other twins; its bounding boxes
are ours, exact for the opacity. Needs a GPU: written against gsplat's documented calls.

Source: Ye et al., "gsplat: An Open-Source Library for Gaussian Splatting" (2024).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import BackendError
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster import plain
from fovea.scene.raster.splats import TILE, Splats, View

CHANNEL_COUNTS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32)
"""Of those gsplat is built for; other counts are padded."""

colors = plain.colors


def project(gaussians: Gaussians, view: View) -> Splats:
    """Place the Gaussians on the image; by `plain` where the intrinsics ask for a gradient."""
    if view.in_tiles:
        raise BackendError(
            "gsplat draws the exact footprint only; got footprint='reference' on a GPU. "
            "Ask for backend='plain', or move the Gaussians with gaussians.to('cpu')."
        )
    if view.intrinsics.requires_grad:
        return plain.project(gaussians, view)
    _, means2d, depths, conics, _ = _gsplat().fully_fused_projection(
        gaussians.means,
        None,
        gaussians.quats,
        gaussians.scales,
        view.world_to_camera[None],
        view.intrinsics[None],
        view.width,
        view.height,
        eps2d=view.blur,
        near_plane=view.near,
        packed=False,
    )
    means2d, conics, depths, opacities = means2d[0], conics[0], depths[0], gaussians.opacities
    radii = plain.visible_radii(
        means2d.detach(), conics.detach(), depths.detach(), opacities.detach(), view
    )
    return Splats(means2d, conics, depths, opacities, radii)


def blend(
    splats: Splats,
    features: Float[Tensor, "N C"],
    attached: Float[Tensor, " C"],
    view: View,
) -> tuple[Float[Tensor, "H W C"], Float[Tensor, "H W"]]:
    """Blend feature channels front to back; as `plain.blend`."""
    lists = _lists(splats, view)
    moves = attached > 0
    drawn, alpha = _draw(splats, features[:, moves], lists, view)
    constant = Splats(
        splats.means2d.detach(),
        splats.conics.detach(),
        splats.depths,
        splats.opacities.detach(),
        splats.radii,
    )
    carried, _ = _draw(constant, features[:, ~moves], lists, view)
    image = drawn.new_empty((view.height, view.width, len(attached)))
    image = image.index_copy(2, torch.nonzero(moves)[:, 0], drawn)
    image = image.index_copy(2, torch.nonzero(~moves)[:, 0], carried)
    return image, 1 - alpha


def _lists(splats: Splats, view: View) -> tuple[Tensor, Tensor]:
    gsplat = _gsplat()
    tiles = -(-view.width // TILE), -(-view.height // TILE)
    means2d, conics, opacities = (
        values.detach() for values in (splats.means2d, splats.conics, splats.opacities)
    )
    half = torch.ceil(plain.half_sizes(conics, opacities)) + 1
    half = torch.where(splats.visible[:, None], half, 0.0).to(torch.int32)
    _, pairs, ids = gsplat.isect_tiles(
        means2d[None], half[None], splats.depths.detach()[None], TILE, *tiles
    )
    return gsplat.isect_offset_encode(pairs, 1, *tiles), ids


def _draw(
    splats: Splats, features: Tensor, lists: tuple[Tensor, Tensor], view: View
) -> tuple[Tensor, Tensor]:
    """Image and alpha, as many channels at a time as gsplat takes."""
    parts: list[Tensor] = []
    alpha = features.new_zeros((view.height, view.width))
    for some in features.split(CHANNEL_COUNTS[-1], dim=1):
        wanted = next(count for count in CHANNEL_COUNTS if count >= max(some.shape[1], 1))
        padded = torch.nn.functional.pad(some, (0, wanted - some.shape[1]))
        size = view.width, view.height, TILE
        image, covered = _gsplat().rasterize_to_pixels(
            splats.means2d[None],
            splats.conics[None],
            padded[None],
            splats.opacities[None],
            *size,
            *lists,
        )
        parts.append(image[0, ..., : some.shape[1]])
        # Every chunk has the same alpha; one of them carries its gradient.
        alpha = covered[0, ..., 0] if len(parts) == 1 else alpha
    return torch.cat(parts, dim=-1), alpha


def _gsplat() -> ModuleType | Any:
    try:
        import gsplat  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BackendError(
            "The cuda rasteriser needs the package gsplat, which is not installed. "
            "Install it with `pip install 'fovea-vision[cuda]'`, or ask for backend='plain'."
        ) from error
    return gsplat
