"""glTF with Gaussians: the Khronos extension KHR_gaussian_splatting, as a binary .glb.

A mesh of points carries, for each Gaussian, POSITION, a rotation xyzw, scales, opacity and the
coefficients of its harmonics, all float32; COLOR_0 is what a program without the extension shows.
Values are activated, so nothing is lost but degree 4 and extras. The colour space is named. glTF is
y up: turn a scene with `fovea.scene.axes` before; here numbers are written as they are.

Source: KHR_gaussian_splatting in github.com/KhronosGroup/glTF, as ratified in 2026: kernel
`ellipse`, scales linear. Its drafts of 2025 kept logarithms of scales; such files show negative
ones and are read as such.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from fovea.errors import ArtifactError
from fovea.scene.axes import transformed
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0
from fovea.scene.ply import unit_quats

EXTENSION = "KHR_gaussian_splatting"
COLOR_SPACES = {"srgb": "srgb_rec709_display", "linear": "lin_rec709_display"}
GLB_MAGIC, JSON_CHUNK, BIN_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
POINTS, VERTICES = 0, 34962
FLOAT = 5126
COMPONENTS = {5120: ("i1", 127), 5121: ("u1", 255), 5122: ("<i2", 32767), 5123: ("<u2", 65535)}
"""Smaller component types, and what stands for 1 in normalised ones."""
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
MOST_DEGREE = 3

Json = dict[str, Any]


def write_gaussian_glb(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as a .glb; harmonics beyond degree 3 and extras are left out."""
    scene = gaussians.detach().to("cpu", torch.float32)
    columns = {"POSITION": scene.means.numpy()}
    shown = in_color_space(scene, "linear").harmonics[:, 0] * C0 + 0.5  # COLOR_0 is linear light
    columns["COLOR_0"] = torch.cat([shown, scene.opacities[:, None]], dim=1).clamp(0, 1).numpy()
    columns[f"{EXTENSION}:ROTATION"] = unit_quats(scene.quats).numpy()[:, [1, 2, 3, 0]]
    columns[f"{EXTENSION}:SCALE"] = scene.scales.numpy()
    columns[f"{EXTENSION}:OPACITY"] = scene.opacities.clamp(0, 1).numpy()[:, None]
    for number in range((min(scene.degree, MOST_DEGREE) + 1) ** 2):
        columns[_semantic(number)] = scene.harmonics[:, number].numpy()
    extension = {"kernel": "ellipse", "colorSpace": COLOR_SPACES[scene.color_space]}
    document = _document(columns, extension)
    body = b"".join(np.ascontiguousarray(v, dtype="<f4").tobytes() for v in columns.values())
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(body)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<III", GLB_MAGIC, 2, total))
        file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        file.write(struct.pack("<II", len(body), BIN_CHUNK) + body)


def read_gaussian_glb(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read the first mesh of Gaussians of a .glb, where its node puts it.

    Raises:
        ArtifactError: it is missing, damaged, or holds no Gaussians.
    """
    path = Path(path)
    document, body = _read_glb(path)
    mesh, primitive = _first_primitive(path, document)
    facts = primitive["extensions"][EXTENSION]
    attributes = cast("dict[str, int]", primitive["attributes"])

    def column(name: str) -> torch.Tensor:
        full = name if name in attributes or name == "POSITION" else f"{EXTENSION}:{name}"
        if full not in attributes:
            raise ArtifactError(
                f"{path} has Gaussians without {full}, which {EXTENSION} asks for. It has "
                f"{', '.join(attributes)}. Export it again."
            )
        return torch.from_numpy(_accessor(path, document, body, attributes[full]))

    count = sum(f"{_semantic(number)}" in attributes for number in range((MOST_DEGREE + 1) ** 2))
    coefficients = (math.isqrt(count)) ** 2 or 1
    scales = column("SCALE")
    if bool((scales < 0).any()):
        scales = scales.exp()
    scene = Gaussians(
        means=column("POSITION"),
        quats=unit_quats(column("ROTATION")[:, [3, 0, 1, 2]]),
        scales=scales,
        opacities=column("OPACITY")[:, 0],
        harmonics=torch.stack([column(_semantic(n)) for n in range(coefficients)], dim=1),
        color_space="linear" if facts.get("colorSpace") == COLOR_SPACES["linear"] else "srgb",
    )
    return _placed(path, document, mesh, scene).to(dtype)


def _semantic(number: int) -> str:
    degree = math.isqrt(number)
    return f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{number - degree * degree}"


def _document(columns: dict[str, np.ndarray], extension: Json) -> Json:
    """The JSON of a .glb whose buffer is these columns, one behind the other."""
    views: list[Json] = []
    accessors: list[Json] = []
    start = 0
    kinds = {width: kind for kind, width in WIDTHS.items()}
    for name, values in columns.items():
        length = values.shape[0] * values.shape[1] * 4
        views.append({"buffer": 0, "byteOffset": start, "byteLength": length, "target": VERTICES})
        accessor: Json = {
            "bufferView": len(accessors),
            "componentType": FLOAT,
            "count": len(values),
            "type": kinds[values.shape[1]],
        }
        if name == "POSITION" and len(values):
            accessor["min"] = [float(v) for v in values.min(axis=0)]
            accessor["max"] = [float(v) for v in values.max(axis=0)]
        accessors.append(accessor)
        start += length
    primitive = {
        "mode": POINTS,
        "attributes": {name: number for number, name in enumerate(columns)},
        "extensions": {EXTENSION: extension},
    }
    return {
        "asset": {"version": "2.0", "generator": "fovea"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": start}],
        "bufferViews": views,
        "accessors": accessors,
    }


def _read_glb(path: Path) -> tuple[Json, bytes]:
    if not path.is_file():
        raise ArtifactError(f"No glTF file {path}: there is no such file. Check the name.")
    whole = path.read_bytes()
    if len(whole) < 20 or struct.unpack_from("<I", whole)[0] != GLB_MAGIC:
        raise ArtifactError(
            f"{path} is not a binary glTF: it starts with {whole[:8]!r}. Export it as .glb."
        )
    length, kind = struct.unpack_from("<II", whole, 12)
    text, rest = whole[20 : 20 + length], whole[20 + length :]
    try:
        document = json.loads(text) if kind == JSON_CHUNK else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is a damaged glTF: its JSON cannot be read. Export it again.")
    return cast("Json", document), rest[8:]


def _first_primitive(path: Path, document: Json) -> tuple[int, Json]:
    """The first primitive of Gaussians, and the number of its mesh."""
    for number, mesh in enumerate(document.get("meshes", [])):
        for primitive in mesh.get("primitives", []):
            if EXTENSION in primitive.get("extensions", {}):
                return number, primitive
    raise ArtifactError(
        f"{path} is a glTF without Gaussians: no mesh has the extension {EXTENSION}. Give a .glb "
        "that a Gaussian tool has exported."
    )


def _accessor(path: Path, document: Json, body: bytes, number: int) -> np.ndarray:
    """Rows of an accessor, in float64."""
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    width, count = WIDTHS.get(accessor["type"], 0), accessor["count"]
    kind, one = (
        ("<f4", 1)
        if accessor["componentType"] == FLOAT
        else COMPONENTS.get(accessor["componentType"], ("", 1))
    )
    if not width or not kind:
        raise ArtifactError(
            f"{path} keeps Gaussians as {accessor['type']} of component type "
            f"{accessor['componentType']}, which {EXTENSION} has not. Export it again."
        )
    itemsize = np.dtype(kind).itemsize
    stride = view.get("byteStride", width * itemsize)
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    if count and start + stride * (count - 1) + width * itemsize > len(body):
        raise ArtifactError(
            f"{path} is cut off: it promises {count} Gaussians and holds {len(body)} bytes. Fetch "
            "or export it again."
        )
    rows = np.ndarray((count, width), kind, body, start, (stride, itemsize)).astype(np.float64)
    return rows / one if accessor.get("normalized") else rows


def _placed(path: Path, document: Json, mesh: int, scene: Gaussians) -> Gaussians:
    """The scene where the first node that shows its mesh puts it; parents are not looked at."""
    node = next((n for n in document.get("nodes", []) if n.get("mesh") == mesh), {})
    matrix = np.array(node.get("matrix", np.eye(4).ravel()), dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    linear = matrix[:3, :3] @ turn @ np.diag(node.get("scale", (1.0, 1.0, 1.0)))
    offset = matrix[:3, 3] + np.array(node.get("translation", (0.0, 0.0, 0.0)))
    size = abs(np.linalg.det(linear)) ** (1 / 3)
    if not size > 0 or np.abs(linear @ linear.T / size**2 - np.eye(3)).max() > 1e-4:
        raise ArtifactError(
            f"{path} stretches its Gaussians by another factor along each axis, which turns them "
            "into other shapes. Apply the node's scale before you export it."
        )
    u, _, vt = np.linalg.svd(linear)
    return transformed(scene, u @ vt, scale=float(size), offset=offset)
