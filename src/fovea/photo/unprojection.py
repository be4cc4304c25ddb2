"""From the network's space to metres: what SHARP predicts becomes Gaussians before a camera.

The network places Gaussians in normalised device coordinates (NDC): x and y times depth run from -1
to 1 across the picture, z is in metres already. An affine map, found from the camera, makes them
metric; a Gaussian's covariance goes with it and is taken apart again into scales and a rotation, in
closed form. Axes are OpenCV's: x right, y down, z forward.

Without torch, `ndc_to_metric` and `fovea.scene.covariance.mapped` do the same with arrays.

Source: Mescheder et al., "Sharp Monocular View Synthesis in Less Than a Second" (2025). Theirs is a
LAPACK decomposition for each Gaussian; ours is the closed form in `scene/kernels/covariance.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float64

from fovea.errors import DataError
from fovea.scene.covariance import mapped

if TYPE_CHECKING:
    from torch import Tensor

    from fovea.scene.gaussians import Gaussians

NETWORK_SIZE = 1536
"""Width and height, in pixels, of the picture that the network sees."""


class NdcGaussians(Protocol):
    """What the composer gives: Gaussians in NDC, a batch of them, colours linear."""

    @property
    def means(self) -> Tensor:
        """Places, the third entry in metres."""
        ...

    @property
    def quats(self) -> Tensor:
        """Rotations, wxyz, of any length."""
        ...

    @property
    def scales(self) -> Tensor:
        """Standard deviations along the axes."""
        ...

    @property
    def colors(self) -> Tensor:
        """Linear, 0..1."""
        ...

    @property
    def opacities(self) -> Tensor:
        """At the middle, 0..1."""
        ...


def unproject(
    ndc: NdcGaussians,
    *,
    focal_px: float,
    height: int,
    width: int,
    network_size: int = NETWORK_SIZE,
    extrinsics: Any = None,
    principal_px: tuple[float, float] | None = None,
    item: int = 0,
) -> Gaussians:
    """The metric Gaussians of one photograph, colours linear.

    Args:
        ndc: what the composer gave.
        focal_px: focal length, in pixels of the photograph.
        height: of the photograph, in pixels.
        width: of the photograph, in pixels.
        network_size: width and height of the picture that the network saw.
        extrinsics: 4x4 world to camera; the camera is at the origin where it is left out.
        principal_px: column and row of the principal point; the photograph's centre by default.
        item: which one of the batch.

    Raises:
        DataError: the camera has no inverse.
    """
    import torch

    from fovea.scene.gaussians import Gaussians
    from fovea.scene.harmonics import from_colors

    affine = ndc_to_metric(
        focal_px=focal_px,
        height=height,
        width=width,
        network_size=network_size,
        extrinsics=extrinsics,
        principal_px=principal_px,
    )
    rows = (ndc.means[item], ndc.quats[item], ndc.scales[item])
    means, quats, scales = (values.detach().float().cpu().numpy() for values in rows)
    shapes = mapped(means, quats, scales, affine)
    return Gaussians(
        *(torch.from_numpy(values) for values in shapes),
        opacities=ndc.opacities[item].detach().float().cpu(),
        harmonics=from_colors(ndc.colors[item].detach().float().cpu()),
        color_space="linear",
    )


def ndc_to_metric(
    *,
    focal_px: float,
    height: int,
    width: int,
    network_size: int = NETWORK_SIZE,
    extrinsics: Any = None,
    principal_px: tuple[float, float] | None = None,
) -> Float64[np.ndarray, "3 4"]:
    """The affine map from NDC to the world, in metres; arguments as of `unproject`.

    Raises:
        DataError: the camera has no inverse.
    """
    column, row = principal_px or (width / 2, height / 2)
    lens = np.array([[focal_px, 0, column, 0], [0, focal_px, row, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    resize = np.diag([network_size / width, network_size / height, 1.0, 1.0])
    to_ndc = np.diag([2 / network_size, 2 / network_size, 1.0, 1.0])
    to_ndc[0, 2] = to_ndc[1, 2] = -1.0
    camera = np.eye(4) if extrinsics is None else np.asarray(extrinsics, dtype=np.float64)
    whole = to_ndc @ resize @ lens @ camera
    if not np.isfinite(whole).all() or not abs(np.linalg.det(whole)) > 0:
        raise DataError(
            "Unprojection needs a camera with an inverse: finite extrinsics and a focal length "
            f"above 0; got focal_px={focal_px}, extrinsics {camera.tolist()}. Check the camera."
        )
    return np.linalg.inv(whole)[:3]
