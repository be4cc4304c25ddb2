"""SPZ: Niantic's compressed Gaussians, 20 bytes each before gzip and half of that after.

Written in version 3, read in versions 2 and 3; version 4, another container, is not. Kept are
degrees up to 3; extras and the mark of linear colours are lost. Steps: positions 1/4096 (coarser
beyond 2047 from the origin), logarithmic scales 1/16 from -10 to 5.9, opacities and colours 8 bits,
quaternions 10 bits for each of the three smaller parts, harmonics from -1 to 1 in 5 bits for degree
1 and 4 above.

The format says its axes are x right, y up, z back, and viewers show a file as it is stored. We
store our scenes as they are, so that .ply and .spz look the same in one viewer; `opencv_axes` turns
one that is x right, y down, z forward, as Niantic's own tools do with a PLY.

Source: the description and version history of the format at github.com/nianticlabs/spz.
"""

from __future__ import annotations

import gzip
import itertools
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from fovea.errors import ArtifactError
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import MAX_DEGREE, basis
from fovea.scene.ply import unit_quats

MAGIC = 0x5053474E
HEADER = struct.Struct("<IIIBBBB")
"""Magic, version, count, degree of harmonics, fractional bits, flags, reserved."""

FRACTIONAL_BITS = 12
MOST_FIXED = 2**23 - 1
COLOR_SCALE = 0.15
HARMONIC_STEPS = {1: 8, 2: 16, 3: 16}
"""How coarse the 8-bit harmonics are by degree: 5 bits, then 4."""

QUAT_BYTES = {2: 3, 3: 4}


def write_spz(path: str | Path, gaussians: Gaussians, *, opencv_axes: bool = False) -> None:
    """Write Gaussians as SPZ 3.

    Args:
        path: the file.
        gaussians: harmonics beyond degree 3 are left out.
        opencv_axes: the scene is x right, y down, z forward, and is to be turned to the format's.
    """
    scene = gaussians.detach().to("cpu", torch.float64)
    if opencv_axes:
        scene = _turned(scene)
    degree = min(scene.degree, 3)
    reach = float(scene.means.abs().max()) if len(scene) else 0.0
    bits = FRACTIONAL_BITS
    while bits > 0 and reach * 2**bits > MOST_FIXED:
        bits -= 1
    parts = (
        _pack_positions(scene.means.numpy(), bits),
        _bytes(scene.opacities.numpy() * 255),
        _bytes((scene.harmonics[:, 0].numpy() * COLOR_SCALE + 0.5) * 255),
        _bytes((scene.scales.log().numpy() + 10) * 16),
        _pack_quats(scene.quats.numpy()),
        _pack_harmonics(scene.harmonics[:, 1 : (degree + 1) ** 2].numpy()),
    )
    body = HEADER.pack(MAGIC, 3, len(scene), degree, bits, 0, 0)
    body += b"".join(part.tobytes() for part in parts)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(body, mtime=0))


def read_spz(
    path: str | Path, *, opencv_axes: bool = False, dtype: torch.dtype = torch.float32
) -> Gaussians:
    """Read Gaussians from SPZ 2 or 3.

    Args:
        path: the file.
        opencv_axes: turn the scene from the format's axes to x right, y down, z forward.
        dtype: of the result.

    Raises:
        ArtifactError: it is missing, damaged, or of another version.
    """
    path = Path(path)
    version, count, degree, bits, body = _read(path)
    widths = (9, 1, 3, 3, QUAT_BYTES[version])
    edges = count * np.cumsum([0, *widths])
    positions, opacities, colors, scales, quats = (
        body[start:end].reshape(count, width)
        for (start, end), width in zip(itertools.pairwise(edges), widths, strict=True)
    )
    constant = (colors / 255 - 0.5) / COLOR_SCALE
    coefficients = (degree + 1) ** 2 - 1
    varying = (body[edges[-1] :].reshape(count, coefficients, 3).astype(np.float64) - 128) / 128
    unpacked = _unpack_quats(quats) if version == 3 else _unpack_quats_v2(quats)
    scene = Gaussians(
        means=torch.from_numpy(_unpack_positions(positions, bits)),
        quats=unit_quats(torch.from_numpy(unpacked)),
        scales=torch.from_numpy(np.exp(scales / 16 - 10.0)),
        opacities=torch.from_numpy(opacities[:, 0] / 255),
        harmonics=torch.from_numpy(np.concatenate([constant[:, None], varying], axis=1)),
    )
    return (_turned(scene) if opencv_axes else scene).to(dtype)


def _read(path: Path) -> tuple[int, int, int, int, UInt8[np.ndarray, " bytes"]]:
    """Version, count, degree, fractional bits and the bytes behind the header."""
    if not path.is_file():
        raise ArtifactError(f"No SPZ file {path}: there is no such file. Check the name.")
    packed = path.read_bytes()
    if packed.startswith(b"NGSP"):
        raise ArtifactError(
            f"{path} is SPZ 4 or later, and versions 2 and 3 are read. Write it as SPZ 3 or PLY."
        )
    if not packed.startswith(b"\x1f\x8b"):
        raise ArtifactError(
            f"{path} is not an SPZ file: it starts with {packed[:16]!r}. "
            "Give an .spz of version 2 or 3."
        )
    unzip = zlib.decompressobj(wbits=31)
    try:
        header = unzip.decompress(packed, HEADER.size)
        if len(header) < HEADER.size:
            raise ArtifactError(f"{path} is cut off in its header. Fetch or export it again.")
        magic, version, count, degree, bits, _, _ = HEADER.unpack(header)
        if magic != MAGIC:
            raise ArtifactError(f"{path} is a gzip file, and not an SPZ in it: {header[:16]!r}.")
        if version not in QUAT_BYTES or degree > 3 or bits > 23:
            raise ArtifactError(
                f"{path} is SPZ {version} of degree {degree} with {bits} fractional bits; "
                "versions 2 and 3, degrees to 3 and 23 bits are read. Write it as SPZ 3 or PLY."
            )
        needed = count * (16 + QUAT_BYTES[version] + 3 * ((degree + 1) ** 2 - 1))
        # No more is unpacked than this, and no more held than there is.
        body = unzip.decompress(unzip.unconsumed_tail, needed) if needed else b""
    except zlib.error as error:
        raise ArtifactError(f"{path} is damaged: {error}. Fetch or export it again.") from None
    if len(body) < needed:
        raise ArtifactError(
            f"{path} is cut off: its header promises {count} Gaussians, {needed} bytes, and "
            f"{len(body)} can be had. Fetch or export it again."
        )
    return version, count, degree, bits, np.frombuffer(body, dtype=np.uint8)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _pack_positions(means: Float[np.ndarray, "N 3"], bits: int) -> UInt8[np.ndarray, "N 3 3"]:
    fixed = np.clip(np.round(means * 2**bits), -MOST_FIXED, MOST_FIXED).astype("<i4")
    return np.ascontiguousarray(fixed).view(np.uint8).reshape(-1, 3, 4)[..., :3].copy()


def _unpack_positions(packed: UInt8[np.ndarray, "N 9"], bits: int) -> Float[np.ndarray, "N 3"]:
    low, middle, high = packed.reshape(-1, 3, 3).astype(np.int32).transpose(2, 0, 1)
    fixed = low | middle << 8 | high << 16
    return np.where(fixed >= 2**23, fixed - 2**24, fixed) / 2.0**bits


def _pack_quats(quats: Float[np.ndarray, "N 4"]) -> UInt8[np.ndarray, "N 4"]:
    """Which of xyzw is largest in two bits, then a sign and nine bits for each of the others."""
    parts = np.roll(quats, -1, axis=1)
    largest = np.abs(parts).argmax(axis=1)
    is_flipped = parts[np.arange(len(parts)), largest] < 0
    word = largest.astype(np.uint32)
    for axis in range(4):
        value = parts[:, axis]
        steps = np.floor(np.abs(value) * math.sqrt(2) * 511 + 0.5)
        sign = ((value < 0) ^ is_flipped).astype(np.uint32)
        tail = (sign << np.uint32(9)) | np.clip(steps, 0, 511).astype(np.uint32)
        word = np.where(largest == axis, word, (word << np.uint32(10)) | tail)
    return np.ascontiguousarray(word.astype("<u4")).view(np.uint8).reshape(-1, 4)


def _unpack_quats(packed: UInt8[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 4"]:
    word = np.ascontiguousarray(packed).view("<u4")[:, 0]
    largest = word >> np.uint32(30)
    parts = np.zeros((len(word), 4))
    for axis in (3, 2, 1, 0):
        steps = (word & np.uint32(511)) / 511 * math.sqrt(0.5)
        signed = np.where(word & np.uint32(512), -steps, steps)
        parts[:, axis] = np.where(largest == axis, 0.0, signed)
        word = np.where(largest == axis, word, word >> np.uint32(10))
    rest = np.sqrt(np.clip(1 - (parts * parts).sum(axis=1), 0, 1))
    parts[np.arange(len(parts)), largest] = rest
    return np.roll(parts, 1, axis=1)


def _unpack_quats_v2(packed: UInt8[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 4"]:
    """x, y, z in a byte each; w is what is left, and not negative."""
    xyz = packed / 127.5 - 1
    w = np.sqrt(np.clip(1 - (xyz * xyz).sum(axis=1, keepdims=True), 0, 1))
    return np.concatenate([w, xyz], axis=1)


def _pack_harmonics(varying: Float[np.ndarray, "N K 3"]) -> UInt8[np.ndarray, "N K 3"]:
    steps = np.array([HARMONIC_STEPS[math.isqrt(k + 1)] for k in range(varying.shape[1])])[:, None]
    fine = np.round(varying * 128) + 128
    return np.clip(np.floor((fine + steps / 2) / steps) * steps, 0, 255).astype(np.uint8)


def _turned(scene: Gaussians) -> Gaussians:
    """Half a turn about x, which takes (x, y, z) to (x, -y, -z) and is its own inverse."""
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    direction = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.8]).double(), dim=0)
    # Each function of the basis keeps or changes its sign.
    signs = torch.sign(basis(direction * flip, MAX_DEGREE) / basis(direction, MAX_DEGREE))
    count = scene.harmonics.shape[1]
    return Gaussians(
        means=scene.means * flip,
        quats=scene.quats[:, [1, 0, 3, 2]] * torch.tensor([-1.0, 1.0, -1.0, 1.0]).double(),
        scales=scene.scales,
        opacities=scene.opacities,
        harmonics=scene.harmonics * signs[:count, None],
        color_space=scene.color_space,
    )
