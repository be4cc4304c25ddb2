"""SOG: PlayCanvas' spatially ordered Gaussians, some 10 bytes each, as pictures in an archive.

A `meta.json` and lossless WebP pictures, a pixel for each Gaussian, in a zip named .sog or in
a folder. Steps: positions 16 bits of sign(x) ln(1 + |x|) over the scene's range; logarithms of
scales and colours 8 bits each, indices into a table of 256 values; opacities 8 bits; the three
smaller parts of a quaternion 8 bits each. Harmonics beyond the constant are rows of a palette of at
most 65536, of 8 bits a value. Extras are lost.

Source: the specification of version 2 at developer.playcanvas.com, "The SOG Format".
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, UnidentifiedImageError

from fovea.errors import ArtifactError
from fovea.scene.compressed_ply import along_curve
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import unit_quats

VERSION = 2
LEVELS = 256
LARGEST_FLAG = 252
"""Alpha of a quaternion's pixel: this and which of wxyz was largest."""
PALETTE_COLUMNS = 64
FULL_PALETTE, SAMPLED_PALETTE = 65536, 4096
"""Scenes up to the first size keep their own harmonics; larger ones share a sample of them."""
LLOYD_STEPS = 12
MOST_PIXELS = 1 << 28

Pixels = UInt8[np.ndarray, "height width channels"]
Json = dict[str, Any]


def write_sog(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as SOG 2: one archive, or a folder where the name has no ending.

    Linear colours become sRGB; harmonics beyond degree 3 are left out.
    """
    scene = in_color_space(gaussians.detach().to("cpu", torch.float64), "srgb")
    scene = scene[torch.from_numpy(along_curve(scene.means.numpy()))]
    files, meta = _packed(scene)
    files["meta.json"] = json.dumps(meta).encode()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.suffix:
        path.mkdir(exist_ok=True)
        for name, content in files.items():
            (path / name).write_bytes(content)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def read_sog(path: str | Path, *, dtype: torch.dtype = torch.float32) -> Gaussians:
    """Read Gaussians from SOG 2: an archive, a folder, or the `meta.json` in one.

    Raises:
        ArtifactError: it is missing, damaged, or of another version.
    """
    path = Path(path)
    load = _source(path)
    try:
        meta = json.loads(load("meta.json"))
    except ValueError:
        meta = None
    if not isinstance(meta, dict) or cast("Json", meta).get("version") != VERSION:
        raise ArtifactError(
            f"{path} is no SOG of version {VERSION}: its meta.json says something else. Convert it "
            "with a current tool, or give a .ply."
        )
    facts = cast("Json", meta)
    try:
        return _unpacked(path, facts, load).to(dtype)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} has a meta.json that does not fit its pictures ({error!r}). Export it again."
        ) from None


def _packed(scene: Gaussians) -> tuple[dict[str, bytes], Json]:
    """The pictures by their names, and what meta.json says."""
    count = len(scene)
    logs = np.sign(scene.means.numpy()) * np.log1p(np.abs(scene.means.numpy()))
    low, high = (logs.min(axis=0), logs.max(axis=0)) if count else (np.zeros(3), np.zeros(3))
    steps = np.rint((logs - low) / np.where(high > low, high - low, 1) * 65535).astype(np.uint16)
    log_scales = scene.scales.clamp_min(1e-30).log().numpy()
    scale_book, scale_rows = _booked(log_scales)
    color_book, color_rows = _booked(scene.harmonics[:, 0].numpy())
    opacities = np.clip(np.rint(scene.opacities.numpy() * 255), 0, 255)[:, None]
    files = {
        "means_l.webp": _picture(steps & 255),
        "means_u.webp": _picture(steps >> 8),
        "quats.webp": _picture(_pack_quats(unit_quats(scene.quats).numpy())),
        "scales.webp": _picture(scale_rows),
        "sh0.webp": _picture(np.concatenate([color_rows, opacities], axis=1)),
    }
    meta: Json = {
        "version": VERSION,
        "asset": {"generator": "fovea"},
        "count": count,
        "means": {
            "mins": low.tolist(),
            "maxs": high.tolist(),
            "files": ["means_l.webp", "means_u.webp"],
        },
        "scales": {"codebook": scale_book, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": color_book, "files": ["sh0.webp"]},
    }
    bands = min(scene.degree, 3)
    if bands and count:
        pictures, meta["shN"] = _pack_harmonics(scene.harmonics[:, 1 : (bands + 1) ** 2].numpy())
        files |= pictures
    return files, meta


def _unpacked(path: Path, meta: Json, load: Callable[[str], bytes]) -> Gaussians:
    count = int(meta["count"])

    def rows(part: str, number: int = 0) -> np.ndarray:
        pixels = _pixels(path, load(meta[part]["files"][number])).reshape(-1, 4)
        if len(pixels) < count:
            raise ValueError(f"{part} has {len(pixels)} pixels for {count} Gaussians")
        return pixels[:count]

    low, high = np.array(meta["means"]["mins"]), np.array(meta["means"]["maxs"])
    steps = rows("means")[:, :3] + 256.0 * rows("means", 1)[:, :3]
    logs = low + (high - low) * steps / 65535
    colors = rows("sh0")
    harmonics = np.array(meta["sh0"]["codebook"], dtype=np.float64)[colors[:, :3]][:, None]
    if "shN" in meta:
        more = _unpack_harmonics(path, meta["shN"], load, rows("shN", 1))
        harmonics = np.concatenate([harmonics, more], axis=1)
    book = np.array(meta["scales"]["codebook"], dtype=np.float64)
    return Gaussians(
        means=torch.from_numpy(np.sign(logs) * np.expm1(np.abs(logs))),
        quats=torch.from_numpy(_unpack_quats(rows("quats"))),
        scales=torch.from_numpy(np.exp(book[rows("scales")[:, :3]])),
        opacities=torch.from_numpy(colors[:, 3] / 255.0),
        harmonics=torch.from_numpy(harmonics),
    )


def _booked(values: Float[np.ndarray, "N C"]) -> tuple[list[float], Int[np.ndarray, "N C"]]:
    """A table of 256 values that stand for all with the least squared error, and who takes which.

    Lloyd's steps on the sorted values: a run of them belongs to each entry, and its mean is the
    next entry. It starts between equal steps and equal shares, so that rare large values keep one.
    """
    if not values.size:
        return [0.0] * LEVELS, np.zeros(values.shape, dtype=np.int64)
    ordered = np.sort(values, axis=None)
    even = np.linspace(ordered[0], ordered[-1], LEVELS)
    shares = ordered[np.linspace(0, len(ordered) - 1, LEVELS).astype(np.int64)]
    book = (even + shares) / 2
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(LLOYD_STEPS):
        cuts = np.searchsorted(ordered, (book[1:] + book[:-1]) / 2)
        edges = np.concatenate([[0], cuts, [len(ordered)]])
        counts = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(counts, 1)
        book = np.sort(np.where(counts > 0, means, book))
    return book.tolist(), np.searchsorted((book[1:] + book[:-1]) / 2, values)


def _pack_quats(quats: Float[np.ndarray, "N 4"]) -> Int[np.ndarray, "N 4"]:
    largest = np.abs(quats).argmax(axis=1)
    signs = np.where(np.take_along_axis(quats, largest[:, None], axis=1) < 0, -1.0, 1.0)
    others = np.take_along_axis(quats * signs, _OTHERS[largest], axis=1)
    steps = np.clip(np.rint((others / math.sqrt(2) + 0.5) * 255), 0, 255).astype(np.int64)
    return np.concatenate([steps, LARGEST_FLAG + largest[:, None]], axis=1)


def _unpack_quats(rows: UInt8[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 4"]:
    largest = rows[:, 3].astype(np.int64) - LARGEST_FLAG
    if ((largest < 0) | (largest > 3)).any():
        raise ValueError("a quaternion's alpha is not 252 to 255")
    others = (rows[:, :3] / 255 - 0.5) * math.sqrt(2)
    quats = np.empty((len(rows), 4))
    np.put_along_axis(quats, _OTHERS[largest], others, axis=1)
    rest = np.sqrt(np.clip(1 - (others * others).sum(axis=1), 0, 1))
    np.put_along_axis(quats, largest[:, None], rest[:, None], axis=1)
    return unit_quats(torch.from_numpy(quats)).numpy()


_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def _pack_harmonics(varying: Float[np.ndarray, "N K 3"]) -> tuple[dict[str, bytes], Json]:
    count, coefficients, _ = varying.shape
    flat = varying.reshape(count, -1)
    if count <= FULL_PALETTE:
        palette, labels = flat, np.arange(count)
    else:
        palette = flat[np.linspace(0, count - 1, SAMPLED_PALETTE).astype(np.int64)]
        labels = _nearest(flat, palette)
    book, steps = _booked(palette)
    height = -(-len(palette) // PALETTE_COLUMNS)
    table = np.zeros((height * PALETTE_COLUMNS, coefficients, 3), dtype=np.int64)
    table[: len(palette)] = steps.reshape(-1, coefficients, 3)
    wide = table.reshape(height, PALETTE_COLUMNS * coefficients, 3)
    halves = np.stack([labels & 255, labels >> 8, np.zeros_like(labels)], axis=1)
    return {"shN_centroids.webp": _webp(wide), "shN_labels.webp": _picture(halves)}, {
        "count": len(palette),
        "bands": math.isqrt(coefficients + 1) - 1,
        "codebook": book,
        "files": ["shN_centroids.webp", "shN_labels.webp"],
    }


def _unpack_harmonics(
    path: Path, facts: Json, load: Callable[[str], bytes], labels: np.ndarray
) -> Float[np.ndarray, "N K 3"]:
    coefficients = (int(facts["bands"]) + 1) ** 2 - 1
    pixels = _pixels(path, load(facts["files"][0]))[..., :3]
    palette = pixels.reshape(-1, coefficients, 3)
    number = labels[:, 0].astype(np.int64) + 256 * labels[:, 1].astype(np.int64)
    return np.array(facts["codebook"], dtype=np.float64)[palette[number]]


def _nearest(rows: np.ndarray, palette: np.ndarray) -> Int[np.ndarray, " N"]:
    """The number of the nearest row of the palette, for each of `rows`."""
    wanted = torch.from_numpy(palette).float()
    half = (wanted * wanted).sum(dim=1) / 2
    parts = torch.from_numpy(rows).float().split(16384)
    return torch.cat([(part @ wanted.T - half).argmax(dim=1) for part in parts]).numpy()


def _picture(rows: np.ndarray) -> bytes:
    """A picture, about square, with a pixel for each row; the last pixels are left over."""
    count, channels = rows.shape
    width = max(4, -(-math.isqrt(max(count, 1)) // 4) * 4)
    height = max(4, -(-count // width))
    pixels = np.zeros((height * width, channels), dtype=np.uint8)
    pixels[:count] = rows
    return _webp(pixels.reshape(height, width, channels))


def _webp(pixels: np.ndarray) -> bytes:
    rgba = np.full((*pixels.shape[:2], 4), 255, dtype=np.uint8)
    rgba[..., : pixels.shape[2]] = pixels
    buffer = io.BytesIO()
    # `exact` keeps the colours of transparent pixels, which here are numbers.
    Image.fromarray(rgba).save(buffer, "WEBP", lossless=True, exact=True, quality=50, method=3)
    return buffer.getvalue()


def _pixels(path: Path, content: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ArtifactError(
                    f"{path} holds a picture of {picture.width}x{picture.height} pixels, more than "
                    f"{MOST_PIXELS}. Split the scene."
                )
            return np.array(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError) as error:
        raise ArtifactError(f"{path} holds a damaged picture: {error}. Export it again.") from None


def _source(path: Path) -> Callable[[str], bytes]:
    """What reads a file of the set by its name."""
    folder = path.parent if path.name == "meta.json" else path
    if folder.is_dir():
        return _checked(path, lambda name: (folder / name).read_bytes())
    if not path.is_file():
        raise ArtifactError(f"No SOG file {path}: there is no such file. Check the name.")
    if not zipfile.is_zipfile(path):
        raise ArtifactError(
            f"{path} is not a SOG archive: it is no zip. Give a .sog or the folder of a meta.json."
        )
    with zipfile.ZipFile(path) as archive:
        members: Mapping[str, bytes] = {
            name: archive.read(name)
            for name in archive.namelist()
            if name == "meta.json" or name.endswith(".webp")
        }
    return _checked(path, members.__getitem__)


def _checked(path: Path, load: Callable[[str], bytes]) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            return load(Path(name).name)
        except (KeyError, OSError):
            raise ArtifactError(
                f"{path} lacks {name!r}, which its meta.json names. Export it again."
            ) from None

    return read
