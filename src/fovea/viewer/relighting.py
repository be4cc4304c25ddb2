"""What the page needs to show a scene under other lights: its materials and the lights of a run.

A scene has materials when its PLY has GS-IR's columns (normal, albedo, roughness, metallic). The
page reads them itself; an exported page, whose scene may be an .spz, gets them packed: see `pack`.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.runs.run import StageState

if TYPE_CHECKING:
    from fovea.scene.gaussians import Gaussians

COLUMNS = ("normal_2", "albedo_2", "roughness", "metallic")
TRANSFER = "transfer_15"
"""The last of the harmonics of visibility times clamped cosine, which `relight.export` adds."""

LIGHTS = (".hdr", ".exr")
ENVIRONMENTS = ("envmaps", "Environment_Maps/high_res_envmaps_1k", "Environment_Maps")
LEVEL = 0.9
"""Cosine between up and an axis from which on that axis is meant, as in `relight.film`."""

LONGEST_HEADER = 65536
HEAD = struct.Struct("<4sIII16f")
EXPORTED_LIGHT_PX = 256
EXPORTED_LIGHT_BYTES = 160 << 10


def columns(path: Path) -> frozenset[str]:
    """The columns that a PLY's header names; none for other files."""
    if path.suffix.lower() != ".ply":
        return frozenset()
    with path.open("rb") as file:
        head = file.read(LONGEST_HEADER).split(b"end_header")[0]
    return frozenset(re.findall(r"^property \w+ (\w+)\s*$", head.decode("latin-1"), re.MULTILINE))


def best_scene(scenes: Mapping[str, Path]) -> str | None:
    """The address of the scene to relight, of several the last, and rather one with shadows."""
    found = {address: columns(path) for address, path in scenes.items()}
    ready = [address for address, names in found.items() if names.issuperset(COLUMNS)]
    shadowed = [address for address in ready if TRANSFER in found[address]]
    return (shadowed or ready or [None])[-1]


def lights(
    folder: Path, stages: Iterable[StageState], configs: Mapping[str, Any]
) -> dict[str, tuple[Path, bool]]:
    """The lights of a run by name, and whether each was fitted by it; fitted ones first.

    They are the outputs of kind `light`, the maps named in the stages' settings, and the maps that
    lie beside the photographs. What an export wrote is left out: it is turned for other programs.
    """
    found: dict[str, tuple[Path, bool]] = {}
    for item in stages:
        if item.use == "relight.export":
            continue
        for output in item.outputs.values():
            path = folder / output["path"]
            if output["kind"] == "light" and path.is_file():
                found[item.key] = (path, True)
    fitted = {path.resolve() for path, _ in found.values()}
    for path in _maps(configs):
        if path.resolve() not in fitted:
            found.setdefault(path.stem, (path, False))
    return found


def _maps(settings: Any) -> Iterator[Path]:
    """The maps that settings name: files, folders of maps, captures with maps beside them."""
    for path in _named(settings):
        if path.is_dir():
            yield from _inside(path) or _environments(path)
        elif path.is_file() and path.suffix.lower() in LIGHTS:
            yield path


def _named(value: Any) -> Iterator[Path]:
    """Every text of a stage's settings that may be a path."""
    if isinstance(value, str) and len(value) < 4096 and ("/" in value or value.endswith(LIGHTS)):
        yield Path(value)
    elif isinstance(value, Mapping):
        for part in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _named(part)
    elif isinstance(value, list):
        for part in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _named(part)


def _inside(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in LIGHTS]


def _environments(capture: Path) -> list[Path]:
    for folder in (capture, *capture.parents[:2]):
        for name in ENVIRONMENTS:
            if (folder / name).is_dir() and (maps := _inside(folder / name)):
                return maps
    return []


def level_up(up: Sequence[float]) -> str | list[float]:
    """Up as the films of the relight room take it: an axis where it is one, else a direction."""
    return "z" if up[2] > LEVEL else "y" if up[1] > LEVEL else list(up)


def pack(gaussians: Gaussians) -> bytes:
    """The materials in 8 bits a value, 8 or 24 bytes a Gaussian, as `materials.js` reads them.

    A head: "FOVM", version, count, whether transfer follows, and the 16 scales of the transfer.
    Then planes, each Gaussian after Gaussian: normal (signed), albedo (sRGB), roughness, metallic,
    transfer (signed, times its scale).
    """
    from fovea.scene.color import linear_to_srgb

    extras = {name: values.double().numpy() for name, values in gaussians.extras.items()}
    transfer = extras.get("transfer")
    has_transfer = transfer is not None and transfer.shape[1] == 16
    scales = np.ones(16)
    parts = [
        _signed(extras["normal"]),
        _unsigned(linear_to_srgb(extras["albedo"])),
        _unsigned(extras["roughness"]),
        _unsigned(extras["metallic"]),
    ]
    if transfer is not None and has_transfer:
        scales = np.maximum(np.abs(transfer).max(axis=0, initial=0), 1e-6)
        parts.append(_signed(transfer / scales))
    head = HEAD.pack(b"FOVM", 1, len(gaussians), int(has_transfer), *scales)
    return head + b"".join(part.tobytes() for part in parts)


def _signed(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values * 127), -127, 127).astype(np.int8)


def _unsigned(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)


def small_light(path: Path) -> bytes:
    """The file of a light, no larger than an exported page needs: means over 2^k texels as .hdr."""
    if path.stat().st_size <= EXPORTED_LIGHT_BYTES:
        return path.read_bytes()
    from fovea.scene.radiance import read_radiance, write_radiance

    image = read_radiance(path)
    height, width, _ = image.shape
    step = max(1, width // EXPORTED_LIGHT_PX)
    rows, across = height // step, width // step
    if step > 1:
        image = image[: rows * step, : across * step]
        image = image.reshape(rows, step, across, step, 3).mean(axis=(1, 3))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "light.hdr"
        write_radiance(target, image)
        return target.read_bytes()
