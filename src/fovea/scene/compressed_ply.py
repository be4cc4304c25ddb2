"""Compressed PLY: the chunked format of PlayCanvas and SuperSplat, 16 bytes a Gaussian.

Gaussians are sorted along a curve through space and cut into chunks of 256. A chunk keeps the range
of its positions, logarithmic scales and colours; a Gaussian keeps where in these ranges it lies:
position and scales in 11 + 10 + 11 bits, colour and opacity in 8 bits each, and of its quaternion
the three smaller parts in 10 bits. Harmonics beyond the constant take 8 bits each, from -4 to 4.

Source: the format that PlayCanvas' splat-transform writes.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt32
from torch import Tensor

from fovea.errors import ArtifactError
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0
from fovea.scene.ply import DEGREES, logits, unit_quats
from fovea.scene.ply_elements import Elements, read_elements, write_elements

CHUNK = 256
POSITION_BITS = (11, 10, 11)
COLOR_BITS = (8, 8, 8, 8)
LOG_SCALE_RANGE = (-20.0, 20.0)
HARMONICS_RANGE = 8.0

POSITION, SCALE, COLOR = ("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b")
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def is_compressed(elements: Elements) -> bool:
    """Whether a PLY's elements are those of this format."""
    vertex = elements.get("vertex")
    return "chunk" in elements and vertex is not None and PACKED[0] in (vertex.dtype.names or ())


def write_compressed_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians in chunks; colours as they are, extras and linear colours' mark are lost."""
    count = len(gaussians)
    order = along_curve(gaussians.means.detach().cpu().double().numpy())
    sorted_ = gaussians.detach().to("cpu", torch.float64)[torch.from_numpy(order)]
    log_scales = sorted_.scales.log().clamp(*LOG_SCALE_RANGE).numpy()
    colors = (0.5 + C0 * sorted_.harmonics[:, 0]).numpy()
    chunks, packed = np.zeros((-(-count // CHUNK), 0)), {}
    names = list[str]()
    for group, column, values in (
        (POSITION, "packed_position", sorted_.means.numpy()),
        (SCALE, "packed_scale", log_scales),
        (COLOR, "packed_color", colors),
    ):
        low, high = _ranges(values)
        # The reader sees the bounds in single precision, so that is what we measure against.
        low, high = low.astype(np.float32), high.astype(np.float32)
        chunks = np.concatenate([chunks, low, high], axis=1)
        names += [f"min_{name}" for name in group] + [f"max_{name}" for name in group]
        unit = _to_unit(values, low, high)
        if group is COLOR:
            unit = np.concatenate([unit, _opacities(sorted_)], axis=1)
        packed[column] = _pack(unit, COLOR_BITS if group is COLOR else POSITION_BITS)
    packed["packed_rotation"] = _pack_quats(sorted_.quats.numpy())
    vertex = np.empty(count, dtype=[(name, "<u4") for name in PACKED])
    for name in PACKED:
        vertex[name] = packed[name]
    chunk = chunks.astype("<f4").view([(name, "<f4") for name in names])[:, 0]
    elements = {"chunk": chunk, "vertex": vertex}
    if sorted_.degree > 0:
        elements["sh"] = _pack_harmonics(sorted_.harmonics[:, 1:])
    write_elements(path, elements)


def read_compressed_ply(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read Gaussians from chunks; also from older files, whose chunks hold no range of colours.

    Raises:
        ArtifactError: it is missing, damaged, or not in this format.
    """
    return unpack(Path(path), read_elements(path), dtype=dtype)


def unpack(path: Path, elements: Elements, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """The Gaussians in the elements of a compressed PLY; `path` is for messages.

    Raises:
        ArtifactError: the elements do not fit the format, or each other.
    """
    _check(path, elements)
    vertex, chunk = elements["vertex"], elements["chunk"]
    at = np.arange(len(vertex)) // CHUNK
    means = _from_unit(_unpack(vertex["packed_position"], POSITION_BITS), chunk, POSITION, at)
    log_scales = _from_unit(_unpack(vertex["packed_scale"], POSITION_BITS), chunk, SCALE, at)
    unit = _unpack(vertex["packed_color"], COLOR_BITS)
    has_range = "min_r" in (chunk.dtype.names or ())
    colors = _from_unit(unit[:, :3], chunk, COLOR, at) if has_range else unit[:, :3]
    parts = [((colors - 0.5) / C0)[:, None]]
    if "sh" in elements:
        parts.append(_unpack_harmonics(elements["sh"]))
    for name, values in (("positions", means), ("scales", log_scales), ("colours", colors)):
        if not np.isfinite(values).all():
            raise ArtifactError(f"{path} has chunks whose {name} are not finite. Export it again.")
    return Gaussians(
        means=torch.from_numpy(means).to(dtype),
        quats=torch.from_numpy(_unpack_quats(vertex["packed_rotation"])).to(dtype),
        scales=torch.from_numpy(np.exp(np.clip(log_scales, -80, 80))).to(dtype),
        opacities=torch.from_numpy(np.ascontiguousarray(unit[:, 3])).to(dtype),
        harmonics=torch.from_numpy(np.concatenate(parts, axis=1)).to(dtype),
    )


def _check(path: Path, elements: Elements) -> None:
    if not is_compressed(elements):
        raise ArtifactError(
            f"{path} is not a compressed PLY: it has the elements {', '.join(elements) or 'none'}, "
            "and chunk and vertex with packed columns are needed. Read it as an ordinary one."
        )
    vertex, chunk = elements["vertex"], elements["chunk"]
    bounds = [f"{end}_{name}" for name in (*POSITION, *SCALE) for end in ("min", "max")]
    for element, rows, names in (("vertex", vertex, PACKED), ("chunk", chunk, tuple(bounds))):
        missing = [name for name in names if name not in (rows.dtype.names or ())]
        if missing:
            raise ArtifactError(
                f"{path} has no column {missing[0]!r} in element {element!r}, which a compressed "
                f"PLY needs. Its columns: {', '.join(rows.dtype.names or ())}. Export it again."
            )
    if any(vertex.dtype[name] != np.dtype("u4") for name in PACKED):
        raise ArtifactError(f"{path} packs into other types than uint. Export it again.")
    if len(chunk) != -(-len(vertex) // CHUNK):
        raise ArtifactError(
            f"{path} has {len(chunk)} chunks for {len(vertex)} Gaussians; a chunk holds {CHUNK}. "
            "Export it again."
        )
    sh = elements.get("sh")
    if sh is not None and (len(sh) != len(vertex) or len(sh.dtype.names or ()) not in DEGREES):
        raise ArtifactError(
            f"{path} has harmonics of {len(sh)} rows and {len(sh.dtype.names or ())} columns for "
            f"{len(vertex)} Gaussians. Export it again."
        )


def along_curve(means: Float[np.ndarray, "N 3"]) -> np.ndarray:
    """The order of the means along a Morton curve, by which neighbours share a chunk."""
    if len(means) == 0:
        return np.zeros(0, dtype=np.int64)
    low, high = means.min(axis=0), means.max(axis=0)
    cells = ((means - low) / np.maximum(high - low, 1e-30) * 1023).astype(np.uint64)
    code = np.zeros(len(means), dtype=np.uint64)
    for bit in range(10):
        for axis in range(3):
            one = (cells[:, axis] >> np.uint64(bit)) & np.uint64(1)
            code |= one << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")


def _ranges(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.arange(0, len(values), CHUNK)
    if len(starts) == 0:
        return values[:0], values[:0]
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _to_unit(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    at = np.arange(len(values)) // CHUNK
    span = (high.astype(np.float64) - low)[at]
    return np.divide(values - low[at], span, out=np.zeros_like(values), where=span > 0)


def _from_unit(
    unit: np.ndarray, chunk: np.ndarray, names: tuple[str, ...], at: np.ndarray
) -> np.ndarray:
    low = np.stack([chunk[f"min_{name}"] for name in names], axis=1).astype(np.float64)[at]
    high = np.stack([chunk[f"max_{name}"] for name in names], axis=1).astype(np.float64)[at]
    return low + unit * (high - low)


def _pack(unit: Float[np.ndarray, "N parts"], bits: tuple[int, ...]) -> UInt32[np.ndarray, " N"]:
    """Numbers in 0..1 side by side, the first in the highest bits."""
    word = np.zeros(len(unit), dtype=np.uint32)
    for values, width in zip(unit.T, bits, strict=True):
        most = 2**width - 1
        steps = np.floor(np.clip(values, 0, 1) * most + 0.5).astype(np.uint32)
        word = (word << np.uint32(width)) | steps
    return word


def _unpack(word: UInt32[np.ndarray, " N"], bits: tuple[int, ...]) -> Float[np.ndarray, "N parts"]:
    parts, shift = list[np.ndarray](), sum(bits)
    for width in bits:
        shift -= width
        most = 2**width - 1
        parts.append(((word >> np.uint32(shift)) & np.uint32(most)) / most)
    return np.stack(parts, axis=1)


def _opacities(gaussians: Gaussians) -> np.ndarray:
    return torch.sigmoid(logits(gaussians.opacities)).numpy()[:, None]


def _pack_quats(quats: Float[np.ndarray, "N 4"]) -> UInt32[np.ndarray, " N"]:
    """Which part (wxyz) is largest, in two bits, then the others from -1/sqrt 2 to 1/sqrt 2."""
    rows = np.arange(len(quats))
    largest = np.abs(quats).argmax(axis=1)
    sign = np.where(quats[rows, largest] < 0, -1.0, 1.0)[:, None]
    others = _others(largest)
    unit = np.take_along_axis(quats * sign, others, axis=1) * math.sqrt(0.5) + 0.5
    return _pack(unit, (10, 10, 10)) | (largest.astype(np.uint32) << np.uint32(30))


def _unpack_quats(word: UInt32[np.ndarray, " N"]) -> Float[np.ndarray, "N 4"]:
    parts = (_unpack(word, (10, 10, 10)) - 0.5) * math.sqrt(2)
    largest = (word >> np.uint32(30)).astype(np.int64)
    rest = np.sqrt(np.clip(1 - (parts * parts).sum(axis=1), 0, 1))
    quats = np.empty((len(word), 4))
    np.put_along_axis(quats, _others(largest), parts, axis=1)
    quats[np.arange(len(word)), largest] = rest
    return unit_quats(torch.from_numpy(quats)).numpy()


def _others(largest: np.ndarray) -> np.ndarray:
    table = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    return table[largest]


def _pack_harmonics(varying: Float[Tensor, "N K 3"]) -> np.ndarray:
    flat = varying.transpose(1, 2).flatten(1).numpy()
    steps = np.clip(np.floor((flat / HARMONICS_RANGE + 0.5) * 256), 0, 255).astype(np.uint8)
    names = [(f"f_rest_{index}", "u1") for index in range(flat.shape[1])]
    return np.ascontiguousarray(steps).view(names)[:, 0]


def _unpack_harmonics(rows: np.ndarray) -> Float[np.ndarray, "N K 3"]:
    names = [f"f_rest_{index}" for index in range(len(rows.dtype.names or ()))]
    steps = np.stack([rows[name] for name in names], axis=1).astype(np.float64)
    # A step stands for its middle, but for the first and last, which stand for the ends.
    unit = np.where(steps == 0, 0.0, np.where(steps == 255, 1.0, (steps + 0.5) / 256))
    flat = (unit - 0.5) * HARMONICS_RANGE
    return flat.reshape(len(rows), 3, len(names) // 3).transpose(0, 2, 1)
