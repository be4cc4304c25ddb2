"""SHARP's scene files: a Gaussian PLY that also says by which camera the photograph was taken.

Behind the vertices stand the elements extrinsic, intrinsic, image_size, frame, disparity,
color_space and version. What this module writes has the reference's bytes. Stored colours are sRGB,
because viewers blend what they find; `Gaussians` read here are linear again.

Source: the files of github.com/apple/ml-sharp, version 1.5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from fovea.errors import ArtifactError
from fovea.scene.covariance import share
from fovea.scene.ply_elements import Elements, read_elements, write_elements
from fovea.scene.raster.compiled import kernels

if TYPE_CHECKING:
    from fovea.scene.camera import Camera
    from fovea.scene.gaussians import ColorSpace, Gaussians

COLUMNS = (
    *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
VERSION = (1, 5, 0)
DISPARITY_SHARES = (0.1, 0.9)
"""Quantiles of 1/z that the element `disparity` holds."""

UNKNOWN_FOCAL_PX, UNKNOWN_HEIGHT, UNKNOWN_WIDTH = 512.0, 480, 640
"""What the reference takes for a file that says nothing of its camera."""


@dataclass(frozen=True)
class SharpScene:
    """A scene and the photograph's camera."""

    gaussians: Gaussians
    """Metric, colours linear."""
    focal_px: float
    height: int
    """Of the photograph, in pixels."""
    width: int
    stored_color_space: ColorSpace | None
    """Of the colours in the file; None where it does not say."""

    def camera(self) -> Camera:
        """The photograph's: at the origin, principal point in the middle."""
        return camera_at_origin(self.focal_px, height=self.height, width=self.width)


def camera_at_origin(focal_px: float, *, height: int, width: int) -> Camera:
    """A photograph's camera: the world is its own, the principal point the photograph's centre."""
    import torch

    from fovea.scene.camera import Camera

    lens = [[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]]
    double = torch.float64
    return Camera(
        torch.eye(4, dtype=double), torch.tensor(lens, dtype=double), height=height, width=width
    )


def write_sharp_ply(
    path: str | Path, gaussians: Gaussians, *, focal_px: float, height: int, width: int
) -> None:
    """Write a scene as the reference does.

    Args:
        path: the file.
        gaussians: of harmonics' degree 0 is kept; colours of either space.
        focal_px: focal length, in pixels of the photograph.
        height: of the photograph, in pixels.
        width: of the photograph, in pixels.
    """
    from fovea.scene.gaussian_color import in_color_space
    from fovea.scene.harmonics import C0

    scene = in_color_space(gaussians.detach(), "linear")
    colors = scene.harmonics[:, 0].double() * C0 + 0.5
    rows = (scene.means, scene.quats, scene.scales, colors, scene.opacities)
    means, quats, scales, linear, opacities = (values.float().cpu().numpy() for values in rows)
    write_sharp_arrays(
        path,
        means,
        quats,
        scales,
        linear,
        opacities,
        focal_px=focal_px,
        height=height,
        width=width,
    )


def write_sharp_arrays(
    path: str | Path,
    means: Float[np.ndarray, "N 3"],
    quats: Float[np.ndarray, "N 4"],
    scales: Float[np.ndarray, "N 3"],
    colors_linear: Float[np.ndarray, "N 3"],
    opacities: Float[np.ndarray, " N"],
    *,
    focal_px: float,
    height: int,
    width: int,
) -> None:
    """Write arrays as `write_sharp_ply` writes Gaussians; NumPy alone."""
    values = (means, quats, scales, colors_linear, opacities)
    table = _table(*(np.ascontiguousarray(part, dtype=np.float32) for part in values))
    lens = [focal_px, 0, width / 2, 0, focal_px, height / 2, 0, 0, 1]
    rest = {
        "extrinsic": np.eye(4, dtype="<f4").ravel(),
        "intrinsic": np.array(lens, dtype="<f4"),
        "image_size": np.array([width, height], dtype="<u4"),
        "frame": np.array([1, len(means)], dtype="<i4"),
        "disparity": _disparities(np.asarray(means, dtype=np.float32)[:, 2]),
        "color_space": np.array([0], dtype="u1"),
        "version": np.array(VERSION, dtype="u1"),
    }
    named = {name: part.view([(name, part.dtype)]) for name, part in rest.items()}
    write_elements(path, {"vertex": table} | named)


def read_sharp_ply(path: str | Path, *, unmarked_color_space: ColorSpace = "linear") -> SharpScene:
    """Read a scene of SHARP, also one of its older forms, or any Gaussian PLY.

    Args:
        path: the file.
        unmarked_color_space: of colours in a file that does not say; the reference takes them as
            linear. Give "srgb" for a file of another tool, which looks washed out otherwise.

    Raises:
        ArtifactError: it is missing, damaged, or no Gaussian scene.
    """
    from fovea.scene.gaussian_color import in_color_space
    from fovea.scene.ply import from_elements

    path = Path(path)
    elements = read_elements(path)
    stored = from_elements(path, elements, unmarked_color_space=unmarked_color_space)
    focal_px, height, width = _camera_facts(path, elements) or (
        UNKNOWN_FOCAL_PX,
        UNKNOWN_HEIGHT,
        UNKNOWN_WIDTH,
    )
    return SharpScene(
        gaussians=in_color_space(stored, "linear"),
        focal_px=focal_px,
        height=height,
        width=width,
        stored_color_space=stored.color_space if "color_space" in elements else None,
    )


def read_camera(path: str | Path) -> Camera | None:
    """The photograph's camera, if the file is a PLY that says which it was.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = Path(path)
    if path.suffix.lower() != ".ply":
        return None
    facts = _camera_facts(path, read_elements(path))
    return camera_at_origin(facts[0], height=facts[1], width=facts[2]) if facts else None


def _camera_facts(path: Path, elements: Elements) -> tuple[float, int, int] | None:
    """Focal length, height and width, in pixels; None where the file does not say."""
    lens, size = _numbers(elements, "intrinsic"), _numbers(elements, "image_size")
    if lens is None:
        return None
    if len(lens) == 9 and size is not None and len(size) == 2:
        facts = float(lens[0]), int(size[1]), int(size[0])
    elif len(lens) == 4:
        facts = float(lens[0]), int(lens[3]), int(lens[2])
    else:
        raise ArtifactError(
            f"{path} says of its camera neither 9 numbers `intrinsic` with 2 `image_size`, nor 4 "
            f"`intrinsic`; it has {len(lens)} and {0 if size is None else len(size)}. Write it "
            "again with the tool that made it."
        )
    if not facts[0] > 0 or min(facts[1:]) < 1:
        raise ArtifactError(
            f"{path} says a focal length of {facts[0]} px and a photograph of {facts[2]}x{facts[1]}"
            " px; all must be positive. Write it again with the tool that made it."
        )
    return facts


def _numbers(elements: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    rows = elements.get(name)
    if rows is None or rows.dtype.names != (name,):
        return None
    return rows[name]


def _table(*values: np.ndarray) -> np.ndarray:
    """The rows of the element `vertex`, filled by all processors."""
    rows = np.empty((len(values[0]), len(COLUMNS)), dtype=np.float32)
    fill: Any = kernels("vertices", package="fovea.photo").fill
    share(lambda part, parts: fill(part, parts, *values, rows))
    return rows.view([(name, "<f4") for name in COLUMNS])[:, 0]


def _disparities(z: Float[np.ndarray, " N"]) -> Float[np.ndarray, " 2"]:
    """Two quantiles of 1/z, linear between the neighbours, worked in float32."""
    if not len(z):
        return np.zeros(2, dtype="<f4")
    with np.errstate(divide="ignore"):
        disparity = np.float32(1) / z
    found: list[np.float32] = []
    for part in DISPARITY_SHARES:
        place = np.float32(part) * np.float32(len(z) - 1)
        below = int(np.floor(place))
        above = min(below + 1, len(z) - 1)
        low, high = np.partition(disparity, [below, above])[[below, above]]
        found.append(low + (place - np.float32(below)) * (high - low))
    return np.array(found, dtype="<f4")
