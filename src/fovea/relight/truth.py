"""Ground truth beside a photograph, decoded and brought to the photograph's size.

`capture` says where the pictures lie; here they become tensors [height, width, ...] on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.metrics.normals import decode_normals
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph, View
from fovea.scene.capture.truth import RELIT
from fovea.scene.distortion import undistort
from fovea.scene.image import read_image, resize


@dataclass(frozen=True)
class Truth:
    """What is known of one view. Maps are straight, not multiplied by coverage.

    Attributes:
        coverage: how much of each pixel the thing covers, 0..1.
        normals: unit, world axes, (0, 0, 1) blended in where there is nothing; as TensoIR's.
        albedo: base colour, linear.
        roughness, metallic: linear, 0..1.
    """

    coverage: Float[Tensor, "h w"]
    normals: Float[Tensor, "h w 3"] | None = None
    albedo: Float[Tensor, "h w 3"] | None = None
    roughness: Float[Tensor, "h w"] | None = None
    metallic: Float[Tensor, "h w"] | None = None


def read_truth(view: View, photograph: Photograph) -> Truth:
    """Decode the truth of a view at its photograph's size."""
    found = {
        name: _read(view, name, photograph.camera)
        for name in ("normal", "albedo", "roughness", "metallic")
        if name in view.truth
    }
    coverage = _coverage(photograph, list(found.values()))
    return Truth(
        coverage=coverage,
        normals=_normals(found["normal"], coverage) if "normal" in found else None,
        albedo=found["albedo"][..., :3] if "albedo" in found else None,
        roughness=found["roughness"][..., 0] if "roughness" in found else None,
        metallic=found["metallic"][..., 0] if "metallic" in found else None,
    )


def relit_lights(view: View) -> tuple[str, ...]:
    """The lights under which the view is known, in the order of their names."""
    return tuple(sorted(key.removeprefix(RELIT) for key in view.truth if key.startswith(RELIT)))


def relit_photograph(
    view: View, light: str, camera: Camera, behind: Float[Tensor, " 3"]
) -> Float[Tensor, "h w 3"]:
    """The view under another light, before a background, sRGB in 0..1."""
    values = _read(view, RELIT + light, camera)
    if values.shape[-1] == 3:
        return values
    return torch.lerp(behind.to(values), values[..., :3], values[..., 3:])


def _read(view: View, name: str, camera: Camera) -> Float[Tensor, "h w c"]:
    """A picture of the view at the size of a camera, straightened as its photograph was."""
    values = read_image(view.truth[name])
    if view.camera.distortion is not None:
        values, _ = undistort(
            values, view.camera.resized(height=len(values), width=values.shape[1])
        )
    resized = resize(values, height=camera.height, width=camera.width, filter="area")
    return torch.from_numpy(np.ascontiguousarray(resized, dtype=np.float32))


def _coverage(photograph: Photograph, maps: list[Tensor]) -> Float[Tensor, "h w"]:
    """The alpha of a map that has one, else that of the photograph, else everything."""
    for values in maps:
        if values.shape[-1] == 4:
            return values[..., 3]
    pixels = photograph.pixels.cpu().float() / 255
    return pixels[..., 3] if photograph.is_cut_out else torch.ones(pixels.shape[:2])


def _normals(values: Tensor, coverage: Tensor) -> Float[Tensor, "h w 3"]:
    return decode_normals(torch.cat([values[..., :3], coverage[..., None]], dim=-1))
