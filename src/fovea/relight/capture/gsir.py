"""Checkpoints of GS-IR, `chkpnt<iteration>.pth`, read without running anything that is in them.

torch's safe loader builds tensors and plain containers and refuses all else. The scene's materials
stand in it as logits, its light as a cubemap in world axes, faces +x -x +y -y +z -z.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.errors import ArtifactError
from fovea.scene.files import read_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import unit_quats
from fovea.training.checkpoint import NOT_READ, reason

FIELDS = (
    *("degree", "means", "dc", "rest", "scales", "quats", "opacities"),
    *("normal", "albedo", "roughness", "metallic"),
)
"""The first parts of the tuple `gaussians`; what follows belongs to its optimiser."""
MATERIALS = ("albedo", "roughness", "metallic")

# The radius of the scene is kept as a number of NumPy, under names of NumPy 1 and 2.
_NUMBERS: list[Any] = [
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint of GS-IR holds of its scene."""

    iteration: int
    gaussians: Gaussians
    """With extras `normal`, `albedo`, `roughness` and `metallic`; of a checkpoint of the first
    stage the materials are those it started from."""
    cubemap: Float[Tensor, "6 res res 3"] | None
    """Linear radiance; None before the second stage."""
    irradiance: Float[Tensor, "n n n k 1"] | None
    """Coefficients of the irradiance volume in its box `aabb`."""
    aabb: Float[Tensor, " 6"] | None


def read_scene(path: Path) -> Gaussians:
    """Read a scene: a file of Gaussians, or a checkpoint, `.pth`.

    A checkpoint of the first stage comes without the materials that it was only begun with.

    Raises:
        ArtifactError: it is missing, damaged, or of another format.
    """
    if path.suffix.lower() != ".pth":
        return read_gaussians(path)
    checkpoint = read_checkpoint(path)
    if checkpoint.cubemap is not None:
        return checkpoint.gaussians
    normal = checkpoint.gaussians.extras["normal"]
    return replace(checkpoint.gaussians, extras={"normal": normal})


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ArtifactError: it is missing, damaged, not GS-IR's, or holds more than tensors and numbers.
    """
    path = Path(path)
    document = _load(path)
    parts = document.get("gaussians")
    if not isinstance(parts, (tuple, list)) or len(parts) < len(FIELDS):
        raise ArtifactError(
            f"{path} should hold a tuple 'gaussians' of at least {len(FIELDS)} parts; it holds"
            f" {', '.join(document) or 'nothing'}. Give the chkpnt*.pth that GS-IR's training"
            " wrote."
        )
    raw = dict(zip(FIELDS, parts, strict=False))
    wrong = [name for name in FIELDS[1:] if not isinstance(raw[name], Tensor)]
    if wrong:
        raise ArtifactError(
            f"{path} should hold tensors; its {wrong[0]} is {type(raw[wrong[0]]).__name__}. Is it"
            " of another version of GS-IR?"
        )
    volume = document.get("irradiance_volumes") or {}
    light = document.get("cubemap") or {}
    return Checkpoint(
        int(document.get("iteration", 0)),
        _gaussians(raw),
        _detached(light.get("base")),
        _detached(volume.get("irradiance_coefficients")),
        _detached(volume.get("aabb")),
    )


def _gaussians(raw: dict[str, Any]) -> Gaussians:
    values = {name: raw[name].detach().cpu().double() for name in FIELDS[1:]}
    extras = {"normal": functional.normalize(values["normal"], dim=-1)}
    extras |= {name: values[name].sigmoid() for name in MATERIALS}
    return Gaussians(
        means=values["means"].float(),
        quats=unit_quats(values["quats"]).float(),
        scales=values["scales"].exp().float(),
        opacities=values["opacities"][:, 0].sigmoid().float(),
        harmonics=torch.cat([values["dc"], values["rest"]], dim=1).float(),
        extras={name: value.float() for name, value in extras.items()},
    )


def _detached(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.detach().cpu().float()


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(f"No checkpoint {path}: there is no such file. Check the name.")
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            document = torch.load(path, map_location="cpu", weights_only=True)
    except NOT_READ as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) is no checkpoint that can be read safely:"
            f" {reason(error)} Copy it again; a file that needs more than tensors is not opened."
        ) from None
    if not isinstance(document, dict):
        raise ArtifactError(
            f"{path} holds {type(document).__name__}, and GS-IR's checkpoints are dictionaries."
            " Give the chkpnt*.pth that its training wrote."
        )
    return document
