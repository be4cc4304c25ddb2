"""PLY: the container, and 3D Gaussians in the columns everybody's tools agree on.

The file holds raw values, what an optimiser sees: logits of opacities, logarithms of scales,
quaternions wxyz of any length. `Gaussians` holds activated ones; the two are translated here, in
double precision. Coordinates are stored as they are, without a change of axes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fovea.errors import ArtifactError
from fovea.scene.gaussians import ColorSpace, Gaussians
from fovea.scene.ply_elements import Elements, read_elements, write_elements

DEGREES = {0: 0, 9: 1, 24: 2, 45: 3, 72: 4}
"""The degree of the harmonics by the number of f_rest columns."""

REQUIRED = (
    *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
IGNORED = ("nx", "ny", "nz")
"""Normals that the first 3D Gaussian code writes as zeros."""

LOGIT_LIMIT = 16.0
"""Opacities 0 and 1 have no finite logit; single precision tells nothing beyond this from them."""


def read_ply(
    path: str | Path,
    *,
    unmarked_color_space: ColorSpace = "srgb",
    dtype: torch.dtype = torch.float32,
) -> Gaussians:
    """Read 3D Gaussians from a PLY file; binary of either byte order or text.

    Columns beyond those of the format become `extras`; `name_0`, `name_1`, ... together make one.
    `albedo`, `roughness` and `metallic` are stored as logits and `normal` at any length.

    Args:
        path: the file.
        unmarked_color_space: of colours in a file without a `color_space` element.
        dtype: of the result. Written again, float64 gives the same bytes, as long as the file's
            quaternions had unit length.

    Raises:
        ArtifactError: it is missing, is not a PLY, is cut off, or lacks a column.
    """
    elements = read_elements(path)
    return from_elements(
        Path(path), elements, unmarked_color_space=unmarked_color_space, dtype=dtype
    )


def from_elements(
    path: Path,
    elements: Elements,
    *,
    unmarked_color_space: ColorSpace = "srgb",
    dtype: torch.dtype = torch.float32,
) -> Gaussians:
    """The Gaussians in the elements of a PLY, as `read_ply`; `path` is for messages."""
    if "vertex" not in elements:
        raise ArtifactError(
            f"{path} has no element 'vertex', where Gaussians are kept. "
            f"Its elements: {', '.join(elements) or 'none'}. Export it as a Gaussian scene."
        )
    marked = elements.get("color_space")
    space = unmarked_color_space
    if marked is not None and marked.dtype.names == ("color_space",) and len(marked) == 1:
        space = "linear" if int(marked["color_space"][0]) == 1 else "srgb"
    return _gaussians(path, elements["vertex"], space, dtype)


def write_ply(
    path: str | Path,
    gaussians: Gaussians,
    *,
    with_nxyz: bool = False,
    elements: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write 3D Gaussians as a binary little-endian PLY of float32 columns.

    Args:
        path: the file.
        gaussians: colours that are linear are marked by an element `color_space` of 1.
        with_nxyz: add the columns nx, ny, nz, all zero, for tools that insist on them.
        elements: further elements behind the vertices: plain arrays, each one column of its
            element's name.
    """
    columns = _columns(gaussians, with_nxyz)
    table = np.empty((len(gaussians), len(columns)), dtype="<f4")
    for index, values in enumerate(columns.values()):
        table[:, index] = values
    vertex = table.view([(name, "<f4") for name in columns])[:, 0]
    rest = dict(elements or {})
    if gaussians.color_space == "linear":
        rest.setdefault("color_space", np.array([1], dtype=np.uint8))
    named = {name: values.view([(name, values.dtype)]) for name, values in rest.items()}
    write_elements(path, {"vertex": vertex} | named)


def _gaussians(path: Path, vertex: np.ndarray, space: ColorSpace, dtype: torch.dtype) -> Gaussians:
    names = vertex.dtype.names or ()
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise ArtifactError(
            f"{path} has no column {missing[0]!r}, which Gaussians need"
            + (f" (nor {', '.join(missing[1:])})" if missing[1:] else "")
            + f". Its columns: {', '.join(names) or 'none'}. Export it as a 3D Gaussian scene."
        )
    rest = [name for name in names if re.fullmatch(r"f_rest_\d+", name)]
    wanted_rest = [f"f_rest_{index}" for index in range(len(rest))]
    if len(rest) not in DEGREES or set(rest) != set(wanted_rest):
        raise ArtifactError(
            f"{path} has {len(rest)} columns f_rest_*; harmonics of degree 0 to 4 have "
            f"{', '.join(map(str, DEGREES))}, numbered from 0. Export it again."
        )

    def table(*columns: str) -> Tensor:
        values = np.empty((len(vertex), len(columns)))
        for index, column in enumerate(columns):
            values[:, index] = vertex[column]
        return torch.from_numpy(values)

    raw = {"means": table("x", "y", "z"), "quats": table(*(f"rot_{i}" for i in range(4)))}
    raw["scales"] = table(*(f"scale_{i}" for i in range(3)))
    constant = table("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    varying = table(*wanted_rest).view(len(vertex), 3, len(rest) // 3).transpose(1, 2)
    raw["harmonics"] = torch.cat([constant, varying], dim=1)
    for what, values in raw.items():
        bad = int((~torch.isfinite(values)).flatten(1).any(dim=1).sum())
        if bad:
            raise ArtifactError(
                f"{path} has {bad} of {len(vertex)} Gaussians whose {what} are not finite numbers. "
                "Remove them in an editor, or export it again."
            )
    others = [name for name in names if name not in (*REQUIRED, *rest, *IGNORED)]
    extras = {
        name: _ACTIVATE.get(name, _unchanged)(table(*columns)).to(dtype)
        for name, columns in _groups(others).items()
    }
    return Gaussians(
        means=raw["means"].to(dtype),
        quats=unit_quats(raw["quats"]).to(dtype),
        scales=raw["scales"].exp().to(dtype),
        opacities=torch.sigmoid(table("opacity")[:, 0]).to(dtype),
        harmonics=raw["harmonics"].to(dtype),
        color_space=space,
        extras=extras,
    )


def _columns(gaussians: Gaussians, with_nxyz: bool) -> dict[str, np.ndarray]:
    """Raw columns by name, in the order of the file."""
    count, rest = len(gaussians), gaussians.harmonics[:, 1:].transpose(1, 2).flatten(1)
    parts: dict[tuple[str, ...], Tensor] = {("x", "y", "z"): gaussians.means}
    if with_nxyz:
        parts[IGNORED] = gaussians.means.new_zeros(count, 3)
    parts[_numbered("f_dc", 3)] = gaussians.harmonics[:, 0]
    parts[_numbered("f_rest", rest.shape[1])] = rest
    parts[("opacity",)] = logits(gaussians.opacities)[:, None]
    for name, values in gaussians.extras.items():
        raw = logits(values) if _ACTIVATE.get(name) is torch.sigmoid else values
        parts[(name,) if raw.shape[1] == 1 else _numbered(name, raw.shape[1])] = raw
    parts[_numbered("scale", 3)] = gaussians.scales.double().log()
    parts[_numbered("rot", 4)] = gaussians.quats
    return {
        name: column
        for names, values in parts.items()
        for name, column in zip(names, values.detach().cpu().numpy().T, strict=True)
    }


def logits(probabilities: Tensor) -> Tensor:
    """Logits in double precision, finite also for 0 and 1 in single precision."""
    p = probabilities.double()
    most = LOGIT_LIMIT if probabilities.dtype != torch.float64 else math.inf
    return torch.logit(p).clamp(-most, most)


def unit_quats(quats: Tensor) -> Tensor:
    """Quaternions at length 1; the zero one becomes no rotation."""
    length = quats.norm(dim=-1, keepdim=True)
    none = quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    return torch.where(length > 0, quats / length.clamp_min(torch.finfo(quats.dtype).tiny), none)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{index}" for index in range(count))


def _groups(names: list[str]) -> dict[str, list[str]]:
    """Column names by the attribute they are parts of, `normal_0 normal_1 normal_2` -> `normal`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        stem, _, number = name.rpartition("_")
        is_part = bool(stem) and number.isdecimal() and f"{stem}_0" in names
        groups.setdefault(stem if is_part else name, []).append(name)
    return groups


def _unchanged(values: Tensor) -> Tensor:
    return values


_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda values: torch.nn.functional.normalize(values, dim=-1),
    "albedo": torch.sigmoid,
    "roughness": torch.sigmoid,
    "metallic": torch.sigmoid,
}
