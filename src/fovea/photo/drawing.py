"""What a camera sees of a scene made of one photograph, as numbers and as a picture.

Drawn as SHARP draws: without blur on the image, from 1 cm on, over black. Colours are blended in
the space they are in; linear ones are encoded as sRGB afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fovea.photo.holes import fill
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0
from fovea.scene.image import to_uint8
from fovea.scene.rasterize import rasterize

NEAR_M = 0.01
Picture = UInt8[np.ndarray, "height width 3"]
Depth = Float[np.ndarray, "height width"]


@dataclass(frozen=True)
class Drawn:
    """One view of a scene, before it is a picture."""

    colors: Float[np.ndarray, "height width 3"]
    """Over black, in the space in which they were blended."""
    alpha: Float[np.ndarray, "height width"]
    depth: Depth
    """Mean z-depth of what is seen; 0 where nothing is."""

    def filled(self) -> Drawn:
        """The same view with what nobody has seen filled from around it."""
        depth_sum = (self.depth * self.alpha)[..., None]
        values = np.concatenate([self.colors, depth_sum], axis=-1)
        whole = fill(values, self.alpha)
        return Drawn(whole[..., :3], np.ones_like(self.alpha), whole[..., 3])

    def picture(self, color_space: str, *, cut_off: bool = False) -> Picture:
        """8-bit sRGB; `cut_off` drops what does not fill a step, as the reference does."""
        colors = np.clip(self.colors, 0, 1)
        if color_space == "linear":
            colors = linear_to_srgb(torch.from_numpy(colors)).numpy()
        return (colors * 255).astype(np.uint8) if cut_off else to_uint8(colors)


def constant_colors(gaussians: Gaussians) -> Float[Tensor, "N 3"] | None:
    """Their colours, where these do not depend on the direction; found once for many views."""
    if gaussians.degree:
        return None
    return (gaussians.harmonics[:, 0] * C0 + 0.5).clamp_min(0).contiguous()


@torch.no_grad()
def draw(
    gaussians: Gaussians,
    camera: Camera,
    *,
    colors: Float[Tensor, "N 3"] | None = None,
    blur: float = 0.0,
) -> Drawn:
    """Draw a scene.

    Args:
        gaussians: the scene.
        camera: the view.
        colors: of the Gaussians, where they are known already.
        blur: added to the variances on the image, in px².
    """
    raster = rasterize(gaussians, camera, features=colors, near=NEAR_M, blur=blur)
    values = (raster.features, raster.alpha, raster.depth)
    return Drawn(*(value.cpu().numpy() for value in values))
