# torch leaves too many of its own types unknown for strict.
"""What the twins pass on: the view to draw and the Gaussians as they appear in it.

`N` Gaussians; `conics` are the upper triangle (a, b, c) of the inverse 2D covariance, in 1/px^2. A
Gaussian's density at offset (dx, dy) px from its 2D mean is exp(-(a dx^2 + c dy^2) / 2 - b dx dy).
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

TILE = 16
"""Side of a tile, in pixels."""
ALPHA_MIN = 1.0 / 255.0
"""A contribution below this is skipped."""
ALPHA_MAX = 0.99
"""No Gaussian hides more than this; the gradient passes straight through the cap."""
TRANSMITTANCE_MIN = 1e-4
"""A pixel is finished before the Gaussian that would bring its transmittance below this."""
THINNEST = 1e-6
"""The smaller variance on the image is at least this share of both: thinner splats, which only come
without blur, are beyond what single precision can invert."""
FRUSTUM_MARGIN = 0.3
"""How far beyond the image, in half widths, the projection's Jacobian still follows the mean."""


@dataclass(frozen=True)
class View:
    """A camera in the dtype and on the device of the Gaussians, with how to draw.

    Attributes:
        world_to_camera: as in Camera.
        intrinsics: as in Camera.
        height: of the image, in pixels.
        width: of the image, in pixels.
        near: z-depth up to which Gaussians are dropped, in world units.
        blur: added to the variances on the image, in px^2.
        in_tiles: whether a Gaussian acts only in the 16x16 tiles that its 3-sigma square touches,
            as the first CUDA rasterisers did; otherwise in every pixel where its alpha reaches
            1/255.
    """

    world_to_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    height: int
    width: int
    near: float
    blur: float
    in_tiles: bool

    @property
    def divide_epsilon(self) -> float:
        """Added to z in the perspective division, where the first CUDA rasterisers added it."""
        return 1e-7 if self.in_tiles else 0.0

    @property
    def jacobian_bounds(self) -> tuple[float, float, float, float]:
        """Lowest and highest x/z, lowest and highest y/z that the Jacobian follows."""
        fx, fy, cx, cy = self.focal_and_centre
        margin_x = FRUSTUM_MARGIN * self.width / (2 * fx)
        margin_y = FRUSTUM_MARGIN * self.height / (2 * fy)
        return (
            -cx / fx - margin_x,
            (self.width - cx) / fx + margin_x,
            -cy / fy - margin_y,
            (self.height - cy) / fy + margin_y,
        )

    @property
    def focal_and_centre(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels, without gradient."""
        rows: list[list[float]] = self.intrinsics.detach().tolist()
        return rows[0][0], rows[1][1], rows[0][2], rows[1][2]


@dataclass(frozen=True)
class Splats:
    """Gaussians as they appear in a view. Rows of Gaussians that are not seen hold no meaning.

    Attributes:
        means2d: centres in pixels, pixel centres at +0.5.
        conics: inverse covariances on the image.
        depths: z of the centres in the camera.
        opacities: peak opacity.
        radii: three standard deviations along the longer axis, in whole pixels; 0 where it is not
            seen.
    """

    means2d: Float[Tensor, "N 2"]
    conics: Float[Tensor, "N 3"]
    depths: Float[Tensor, " N"]
    opacities: Float[Tensor, " N"]
    radii: Int[Tensor, " N"]

    @property
    def visible(self) -> Bool[Tensor, " N"]:
        """Which of them reach the image."""
        return self.radii > 0
