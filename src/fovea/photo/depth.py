"""Depth maps in and out, with a preview, and normals from depth.

A map is float32 z-depth in metres; 0 or not finite says that nothing is known. On disk: PNG of 16
bits in millimetres (0 is unknown, 65.535 m the most), .npy, or OpenEXR with one channel `Z`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fovea.errors import ArtifactError, DataError
from fovea.photo.turbo import depth_colors
from fovea.scene.camera import Camera

DepthFormat = Literal["png", "npy", "exr"]
DepthMap = Float[np.ndarray, "height width"]

MM = 1000.0
MOST_MM = 65535
PREVIEW_SHARE = 98.0
"""Percentile of the depths at which the preview's colours end; a sky would take them all."""
STEP_SHARE = 0.1
"""Neighbours whose depths differ by more than this part lie on different surfaces."""


def write_depth(path: str | Path, depth_m: DepthMap, *, preview: bool = True) -> list[Path]:
    """Write a depth map, in the format its name ends in, and a preview in Turbo's colours.

    Args:
        path: .png, .npy or .exr.
        depth_m: z-depth; unknown where it is 0 or not finite.
        preview: whether a picture `<name>.preview.png` is written beside it.

    Returns:
        What was written.

    Raises:
        ArtifactError: the name ends in something else.
    """
    path = Path(path)
    known = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, 0).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix.lower():
        case ".png":
            from PIL import Image

            # Beyond the range is far, and not unknown.
            millimetres = np.clip(np.rint(known * MM), 0, MOST_MM).astype(np.uint16)
            millimetres[(known > 0) & (millimetres == 0)] = 1
            Image.fromarray(millimetres).save(path)
        case ".npy":
            np.save(path, known)
        case ".exr":
            _write_exr(path, known)
        case suffix:
            raise _unknown(path, suffix, "written")
    if not preview:
        return [path]
    from fovea.scene.image import write_image

    shown = path.with_name(f"{path.stem}.preview.png")
    write_image(shown, depth_preview(known).astype(np.float32) / 255)
    return [path, shown]


def read_depth(path: str | Path) -> Float32[np.ndarray, "height width"]:
    """Read a metric depth map, in metres; 0 where nothing is known.

    Raises:
        ArtifactError: it is missing, damaged, or not a map of one channel.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No depth map {path}: there is no such file. Check the name.")
    match path.suffix.lower():
        case ".png":
            depth = _read_png(path)
        case ".npy":
            try:
                depth = np.load(path, allow_pickle=False)
            except (ValueError, EOFError, OSError) as error:
                raise ArtifactError(f"{path} is no array: {error}. Write it again.") from None
        case ".exr":
            depth = _read_exr(path)
        case suffix:
            raise _unknown(path, suffix, "read")
    if depth.ndim != 2 or depth.dtype.kind not in "fiu" or not depth.size:
        raise ArtifactError(
            f"{path} is an array of {depth.dtype}, shape {list(depth.shape)}; a depth map has one "
            "number, in metres, for each row and column. Write it so."
        )
    metres = depth.astype(np.float32)
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0))


def depth_preview(depth_m: DepthMap) -> UInt8[np.ndarray, "height width 3"]:
    """A picture of a depth map: blue is near, red far, black unknown."""
    known = np.isfinite(depth_m) & (depth_m > 0)
    if not known.any():
        return np.zeros((*depth_m.shape, 3), dtype=np.uint8)
    values = np.where(known, depth_m, 0)
    nearest, farthest = np.percentile(depth_m[known], [100 - PREVIEW_SHARE, PREVIEW_SHARE])
    span = max(float(farthest - nearest), 1e-6)
    colors = depth_colors(np.clip(values - nearest, 0, span).astype(np.float32), span)
    return np.where(known[..., None], colors, 0).astype(np.uint8)


def normals_from_depth(depth_m: DepthMap, camera: Camera) -> Float32[np.ndarray, "height width 3"]:
    """Unit normals of the surface, towards the camera, in its axes; 0 where there is none.

    At each pixel the nearer of the two neighbours, in depth, is taken on each axis, so that an edge
    bends no normal; across a step of more than a tenth of the depth there is none.

    Raises:
        DataError: map and camera are of different sizes.
    """
    if depth_m.shape != (camera.height, camera.width):
        raise DataError(
            f"The depth map is {depth_m.shape[1]}x{depth_m.shape[0]} pixels and the camera's "
            f"picture {camera.width}x{camera.height}. Resize the camera: camera.resized(...)."
        )
    lens = camera.intrinsics.double().numpy()
    rows, columns = np.indices(depth_m.shape) + 0.5
    known = np.isfinite(depth_m) & (depth_m > 0)
    z = np.where(known, depth_m, np.nan).astype(np.float64)
    x = (columns - lens[0, 2]) / lens[0, 0] * z
    y = (rows - lens[1, 2]) / lens[1, 1] * z
    points = np.stack([x, y, z], axis=-1)
    along_x, along_y = _steps(points, axis=1), _steps(points, axis=0)
    # Right x down is forward; the side that is seen looks back.
    normals = -np.cross(along_x, along_y)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    found = np.isfinite(length) & (length > 0)
    return np.where(found, normals / np.where(found, length, 1), 0).astype(np.float32)


def normal_preview(
    normals: Float[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture of normals, x right, y up, z towards the camera, as `n / 2 + 1 / 2`."""
    shown = normals * np.array([1, -1, -1]) / 2 + 0.5
    is_none = ~np.any(normals, axis=-1, keepdims=True)
    return np.where(is_none, 0, np.rint(shown * 255)).astype(np.uint8)


def _steps(points: Float[np.ndarray, "H W 3"], *, axis: int) -> Float[np.ndarray, "H W 3"]:
    """From each point along an axis, by the neighbour whose depth is nearer."""
    blank = np.full_like(np.take(points, [0], axis=axis), np.nan)
    ahead = np.diff(points, axis=axis, append=blank)
    behind = np.diff(points, axis=axis, prepend=blank)
    jumps = [
        np.where(np.isnan(step[..., 2]), np.inf, np.abs(step[..., 2])) for step in (ahead, behind)
    ]
    chosen = np.where((jumps[0] <= jumps[1])[..., None], ahead, behind)
    too_far = np.minimum(*jumps) > STEP_SHARE * points[..., 2]
    return np.where(too_far[..., None], np.nan, chosen)


def _read_png(path: Path) -> np.ndarray:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ArtifactError(f"{path} is not a PNG that can be read. Write it again.")
    if stored.dtype != np.uint16:
        raise ArtifactError(
            f"{path} is a PNG of {stored.dtype.itemsize * 8} bits; a depth map has 16, in "
            "millimetres. Give the map and not its preview."
        )
    return stored / np.float32(MM) if stored.ndim == 2 else stored


def _write_exr(path: Path, depth_m: Float32[np.ndarray, "height width"]) -> None:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": depth_m}).write(str(path))


def _read_exr(path: Path) -> np.ndarray:
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except RuntimeError as error:
        raise ArtifactError(f"{path} is not an EXR that can be read: {error}.") from None
    for name in ("Z", "Y", "depth"):
        if name in channels:
            return np.asarray(channels[name])
    raise ArtifactError(
        f"{path} has the channels {', '.join(channels)}, and none is Z, Y or depth. Rename the one "
        "that holds metres."
    )


def _unknown(path: Path, suffix: str, verb: str) -> ArtifactError:
    names = ", ".join(f".{name}" for name in get_args(DepthFormat))
    return ArtifactError(f"{path}: depth maps are {verb} as {names}, not {suffix!r}. Rename it.")
