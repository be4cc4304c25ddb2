"""Draw Gaussians: the one door to the rasterisers.

Colours, any other features and depth are blended front to back with the same weights,
differentiable in the Gaussians and in what they carry. Behind it stand three twins: `plain`
(PyTorch, any dtype, the judge), `cpu` (compiled, float32) and `cuda` (gsplat).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fovea.errors import BackendError, DataError
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster.splats import Splats, View

Footprint = Literal["exact", "reference"]
Backend = Literal["auto", "plain", "cpu", "cuda"]

EMPTY = 1e-6
"""Below this sum of weights a pixel has no depth."""


@dataclass(frozen=True)
class Raster:
    """A drawn view. `H`, `W` its size in pixels, `N` the Gaussians, `C` features, `D` passengers.

    Attributes:
        features: blended over the background.
        passengers: blended with the same weights, without a background; not divided by alpha.
        alpha: the sum of the weights, 1 - transmittance.
        depth: mean z-depth, sum(weight * z) / sum(weight); 0 where nothing is.
        transmittance: the share of the background that is seen.
        means2d: centres of the Gaussians in pixels; call `retain_grad()` on it for densification.
        radii: of the Gaussians, three standard deviations in whole pixels; 0 where it is not seen.
    """

    features: Float[Tensor, "H W C"]
    passengers: Float[Tensor, "H W D"]
    alpha: Float[Tensor, "H W"]
    depth: Float[Tensor, "H W"]
    transmittance: Float[Tensor, "H W"]
    means2d: Float[Tensor, "N 2"]
    radii: Int[Tensor, " N"]

    @property
    def visible(self) -> Bool[Tensor, " N"]:
        """Which Gaussians reach the image."""
        return self.radii > 0


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    *,
    features: Float[Tensor, "N C"] | None = None,
    passengers: Float[Tensor, "N D"] | None = None,
    background: Float[Tensor, " C"] | None = None,
    near: float = 0.2,
    blur: float = 0.3,
    footprint: Footprint = "exact",
    backend: Backend = "auto",
    depth_gradient: bool = False,
) -> Raster:
    """Draw Gaussians as a camera sees them.

    Args:
        gaussians: the scene.
        camera: the view; its lens distortion must have been removed. Gradients reach its matrices
            where they ask for them.
        features: what to blend; the colours of the harmonics seen from the camera when left out.
        passengers: blended with the same weights. They get gradients themselves, none of which
            reaches the geometry.
        background: behind the features; black when left out.
        near: z-depth up to which Gaussians are dropped, in world units.
        blur: added to the variances on the image, in px^2.
        footprint: `exact` draws a Gaussian wherever its alpha reaches 1/255; `reference` only in
            the 16x16 tiles that its 3-sigma square touches, as GS-IR and the first CUDA rasterisers
            do.
        backend: which twin draws. `auto` takes `cuda` for tensors on a GPU, `cpu` for float32 and
            `plain` for all else.
        depth_gradient: whether the depth moves the geometry.

    Raises:
        DataError: shapes, dtypes or devices do not agree, or the camera has a distortion.
        BackendError: the twin cannot work here, or not on these tensors.
    """
    _check(gaussians, camera, features, passengers, background)
    twin = _twin(backend, gaussians.means)
    view = View(
        world_to_camera=camera.world_to_camera.to(gaussians.means),
        intrinsics=camera.intrinsics.to(gaussians.means),
        height=camera.height,
        width=camera.width,
        near=near,
        blur=blur,
        in_tiles=footprint == "reference",
    )
    splats: Splats = twin.project(gaussians, view)
    seen: Tensor = twin.colors(gaussians, view, splats) if features is None else features
    extra = seen.new_zeros((len(gaussians), 0)) if passengers is None else passengers
    depths = splats.depths if depth_gradient else splats.depths.detach()
    counts = [seen.shape[1], extra.shape[1], 1]
    attached = torch.tensor([1.0] * counts[0] + [0.0] * counts[1] + [float(depth_gradient)])
    image, transmittance = twin.blend(
        splats,
        torch.cat([seen, extra, depths[:, None]], dim=1),
        attached.to(seen),
        view,
    )
    drawn, carried, depth_sum = image.split(counts, dim=-1)
    if background is not None:
        drawn = drawn + transmittance[..., None] * background
    alpha = 1 - transmittance
    weight = alpha if depth_gradient else alpha.detach()
    summed = depth_sum.squeeze(-1) if depth_gradient else depth_sum.squeeze(-1).detach()
    return Raster(
        features=drawn,
        passengers=carried,
        alpha=alpha,
        depth=torch.where(weight > EMPTY, summed / weight.clamp(min=EMPTY), 0.0),
        transmittance=transmittance,
        means2d=splats.means2d,
        radii=splats.radii,
    )


def _twin(backend: Backend, means: Tensor) -> ModuleType:
    if backend == "auto":
        on_cpu = "cpu" if means.dtype == torch.float32 else "plain"
        backend = "cuda" if means.device.type == "cuda" else on_cpu
    if backend in ("cpu", "cuda") and means.dtype != torch.float32:
        raise BackendError(
            f"The {backend} rasteriser works in float32; the means are {means.dtype}. "
            "Convert with gaussians.to(torch.float32), or ask for backend='plain'."
        )
    if backend in ("cpu", "cuda") and means.device.type != backend:
        raise BackendError(
            f"The {backend} rasteriser needs tensors on the {backend} device; the means are on "
            f"{means.device}. Move them with gaussians.to('{backend}'), or ask for backend='auto'."
        )
    return importlib.import_module(f"fovea.scene.raster.{backend}")


def _check(
    gaussians: Gaussians,
    camera: Camera,
    features: Tensor | None,
    passengers: Tensor | None,
    background: Tensor | None,
) -> None:
    if camera.distortion is not None:
        raise DataError(
            f"The rasterisers draw pinholes; camera {camera.name!r} has {camera.distortion}. "
            "Undistort its image with fovea.scene.distortion.undistort; use the camera it returns."
        )
    count, like = len(gaussians), gaussians.means
    for name, rows in (("features", features), ("passengers", passengers)):
        if rows is None:
            continue
        if rows.dim() != 2 or rows.shape[0] != count:
            raise DataError(f"{name} need shape [{count}, channels]; got {list(rows.shape)}.")
        if rows.dtype != like.dtype or rows.device != like.device:
            raise DataError(
                f"{name} are {rows.dtype} on {rows.device}, the means {like.dtype} on "
                f"{like.device}. Convert them with {name}.to(gaussians.means)."
            )
    channels = 3 if features is None else features.shape[1]
    if background is not None and tuple(background.shape) != (channels,):
        raise DataError(
            f"background needs one number for each of the {channels} feature channels; got shape "
            f"{list(background.shape)}."
        )
