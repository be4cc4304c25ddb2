"""Gaussian scenes by the name of their file."""

from __future__ import annotations

from pathlib import Path

import torch

from fovea.errors import ArtifactError
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import read_ply, write_ply


def read_gaussians(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read a Gaussian scene, whatever its format."""
    return read_ply(path, dtype=dtype)


def write_gaussians(path: str | Path, gaussians: Gaussians) -> None:
    """Write a Gaussian scene in the format its name ends in: .ply."""
    if Path(path).suffix.lower() != ".ply":
        raise ArtifactError(f"{path}: Gaussian scenes are written as .ply. Change the name.")
    write_ply(path, gaussians)
