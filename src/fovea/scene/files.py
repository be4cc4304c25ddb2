"""Gaussian scenes by the name of their file: .ply, .compressed.ply and .spz."""

from __future__ import annotations

from pathlib import Path

import torch

from fovea.errors import ArtifactError
from fovea.scene import compressed_ply
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import from_elements, write_ply
from fovea.scene.ply_elements import read_elements
from fovea.scene.spz import read_spz, write_spz


def read_gaussians(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read a Gaussian scene; whether a .ply is compressed is seen from its elements.

    Raises:
        ArtifactError: it is missing, damaged, or of another format.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".spz":
            return read_spz(path, dtype=dtype)
        case ".ply":
            elements = read_elements(path)
            if compressed_ply.is_compressed(elements):
                return compressed_ply.unpack(path, elements, dtype=dtype)
            return from_elements(path, elements, dtype=dtype)
        case suffix:
            raise _unknown(path, suffix, "read")


def write_gaussians(path: str | Path, gaussians: Gaussians) -> None:
    """Write a Gaussian scene in the format its name ends in.

    Only .ply keeps every value, the extras and the colour space.

    Raises:
        ArtifactError: it ends in something else.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".compressed.ply"):
        compressed_ply.write_compressed_ply(path, gaussians)
    elif name.endswith(".ply"):
        write_ply(path, gaussians)
    elif name.endswith(".spz"):
        write_spz(path, gaussians)
    else:
        raise _unknown(path, path.suffix, "written")


def _unknown(path: Path, suffix: str, verb: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: Gaussian scenes are {verb} as .ply, .compressed.ply or .spz, not {suffix!r}. "
        "Convert it, or change the name."
    )
