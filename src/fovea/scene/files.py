"""Gaussian scenes by the name of their file: .ply, .compressed.ply, .spz, .sog, .splat and .glb."""

from __future__ import annotations

from pathlib import Path

import torch

from fovea.errors import ArtifactError
from fovea.scene import compressed_ply
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussian_gltf import read_gaussian_glb, write_gaussian_glb
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import from_elements, write_ply
from fovea.scene.ply_elements import read_elements
from fovea.scene.sog import read_sog, write_sog
from fovea.scene.splat import read_splat, write_splat
from fovea.scene.spz import read_spz, write_spz

ENDINGS = (".compressed.ply", ".ply", ".spz", ".sog", ".splat", ".glb")


def read_gaussians(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read a Gaussian scene; whether a .ply is compressed is seen from its elements.

    A folder with a meta.json, or that file, is read as SOG.

    Raises:
        ArtifactError: it is missing, damaged, or of another format.
    """
    path = Path(path)
    if path.name == "meta.json" or (path / "meta.json").is_file():
        return read_sog(path, dtype=dtype)
    match path.suffix.lower():
        case ".spz":
            return read_spz(path, dtype=dtype)
        case ".sog":
            return read_sog(path, dtype=dtype)
        case ".splat":
            return read_splat(path, dtype=dtype)
        case ".glb":
            return read_gaussian_glb(path, dtype=dtype)
        case ".ply":
            elements = read_elements(path)
            if compressed_ply.is_compressed(elements):
                return compressed_ply.unpack(path, elements, dtype=dtype)
            return from_elements(path, elements, dtype=dtype)
        case suffix:
            raise _unknown(path, suffix, "read")


def write_gaussians(path: str | Path, gaussians: Gaussians) -> None:
    """Write a Gaussian scene in the format its name ends in.

    Only .ply keeps every value, the extras and the colour space; .glb keeps the colour space too.
    In the others linear colours become sRGB, which is what viewers take them for.

    Raises:
        ArtifactError: it ends in something else.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".compressed.ply"):
        compressed_ply.write_compressed_ply(path, in_color_space(gaussians, "srgb"))
    elif name.endswith(".ply"):
        write_ply(path, gaussians)
    elif name.endswith(".spz"):
        write_spz(path, in_color_space(gaussians, "srgb"))
    elif name.endswith(".sog"):
        write_sog(path, gaussians)
    elif name.endswith(".splat"):
        write_splat(path, gaussians)
    elif name.endswith(".glb"):
        write_gaussian_glb(path, gaussians)
    else:
        raise _unknown(path, path.suffix, "written")


def _unknown(path: Path, suffix: str, verb: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: Gaussian scenes are {verb} as {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, not "
        f"{suffix!r}. Convert it, or change the name."
    )
