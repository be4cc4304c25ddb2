"""Start clouds: points with colours in a PLY file, as COLMAP, GS-IR and nerfstudio write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from fovea.errors import ArtifactError
from fovea.scene.ply_elements import read_elements

Cloud = tuple[Float[np.ndarray, "n 3"] | None, Float[np.ndarray, "n 3"] | None]


def read_cloud(path: Path) -> Cloud:
    """Positions and sRGB colours in 0..1; nothing where there is no file or no point.

    Raises:
        ArtifactError: the file is damaged, has no x y z, or holds positions that are not finite.
    """
    if not path.is_file():
        return None, None
    rows = read_elements(path).get("vertex")
    names = (rows.dtype.names or ()) if rows is not None else ()
    if rows is None or not {"x", "y", "z"} <= set(names):
        raise ArtifactError(
            f"{path} should hold points with x, y and z; its vertices have"
            f" {', '.join(names) or 'nothing'}. Export it again, or remove it."
        )
    points = np.stack([rows[axis] for axis in "xyz"], axis=1).astype(np.float64)
    bad = int((~np.isfinite(points)).any(axis=1).sum())
    if bad:
        raise ArtifactError(
            f"{path} holds {bad} of {len(points)} points that are not finite. Export it again, or"
            " remove it."
        )
    if not len(points):
        return None, None
    if not {"red", "green", "blue"} <= set(names):
        return points, None
    colors = np.stack([rows[name] for name in ("red", "green", "blue")], axis=1)
    return points, colors / 255.0 if colors.dtype == np.uint8 else colors.astype(np.float64)
