""".splat: the plain 32 bytes a Gaussian of the first web viewers.

Position and scales as float32, colour and opacity in 8 bits each, and a quaternion, wxyz, in 8 bits
a part. There is no header. The largest and most opaque come first, so that a viewer that is still
loading shows the most of the scene. Harmonics beyond the constant and extras are lost.

Source: the format of github.com/antimatter15/splat.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fovea.errors import ArtifactError
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0, from_colors
from fovea.scene.ply import unit_quats

ROW = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])


def write_splat(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as .splat; linear colours become sRGB."""
    scene = in_color_space(gaussians.detach().to("cpu"), "srgb")
    order = torch.argsort(
        scene.scales.double().prod(dim=1) * scene.opacities, descending=True, stable=True
    )
    scene = scene[order]
    colors = scene.harmonics[:, 0] * C0 + 0.5
    rows = np.empty(len(scene), dtype=ROW)
    rows["position"] = scene.means.numpy()
    rows["scale"] = scene.scales.numpy()
    rgba = torch.cat([colors, scene.opacities[:, None]], dim=1).numpy()
    rows["rgba"] = np.clip(np.rint(rgba * 255), 0, 255)
    rows["quat"] = np.clip(np.rint(unit_quats(scene.quats).numpy() * 128 + 128), 0, 255)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rows.tobytes())


def read_splat(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read Gaussians from .splat.

    Raises:
        ArtifactError: it is missing, or is not whole rows of finite numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No .splat file {path}: there is no such file. Check the name.")
    body = path.read_bytes()
    if len(body) % ROW.itemsize:
        raise ArtifactError(
            f"{path} has {len(body)} bytes, and a .splat has {ROW.itemsize} for each Gaussian: it "
            "is cut off or another format. Fetch or export it again."
        )
    rows = np.frombuffer(body, dtype=ROW)
    numbers = np.concatenate([rows["position"], rows["scale"]], axis=1).astype(np.float64)
    if not np.isfinite(numbers).all() or (numbers[:, 3:] < 0).any():
        raise ArtifactError(
            f"{path} holds positions or scales that no Gaussian has: it is not a .splat. Give the "
            "file another ending, or export it again."
        )
    rgba = torch.from_numpy(rows["rgba"] / 255)
    return Gaussians(
        means=torch.from_numpy(numbers[:, :3]),
        quats=unit_quats(torch.from_numpy((rows["quat"].astype(np.float64) - 128) / 128)),
        scales=torch.from_numpy(numbers[:, 3:]),
        opacities=rgba[:, 3],
        harmonics=from_colors(rgba[:, :3]),
    ).to(dtype)
