"""COLMAP models, binary and text: cameras, images and points of a sparse reconstruction.

COLMAP's own reader refuses models that other programs wrote slightly differently (a point whose
track does not agree with the images, no rigs file), and those are read daily; the format is three
flat tables, so they are read here. Poses are world-to-camera with our axes already.

Source: the format page of COLMAP's documentation (colmap.github.io/format.html).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from fovea.errors import ArtifactError, DataError
from fovea.scene.camera import Camera
from fovea.scene.capture.cloud import Cloud, read_cloud
from fovea.scene.capture.lens import (
    LENSES,
    NAMES,
    intrinsics_of,
    parameter_count,
    refused,
)
from fovea.scene.capture.truth import truth_beside
from fovea.scene.capture.views import Capture, View, hold_out_every
from fovea.scene.gaussians import rotations

Row = TypeVar("Row")


@dataclass(frozen=True)
class _Lens:
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class _Pose:
    name: str
    lens: int
    quat: tuple[float, float, float, float]
    translation: tuple[float, float, float]


def find_model(folder: Path) -> Path | None:
    """The folder of the sparse model inside a capture, or None."""
    for place in ("sparse/0", "sparse", "colmap/sparse/0"):
        if any((folder / place / f"images{suffix}").is_file() for suffix in (".bin", ".txt")):
            return folder / place
    return None


def read_colmap(folder: Path, *, images: str, hold_out: int) -> Capture:
    """Read a COLMAP capture; views are ordered by the photograph's name up to its first dot.

    Raises:
        ArtifactError: a file of the model or the folder of photographs is missing, or cut short.
        DataError: a camera model that cannot be undistorted, or an image whose camera is missing.
    """
    model = find_model(folder)
    if model is None:
        raise ArtifactError(f"a COLMAP model is sparse/0/images.bin or .txt; {folder} has neither.")
    photographs = folder / images
    if not photographs.is_dir():
        others = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name != "sparse")
        raise ArtifactError(
            f"{folder} is a COLMAP capture whose photographs should be in {images}/, and that"
            f" folder does not exist. Folders there: {', '.join(others) or 'none'}."
            " Name the right one with images=FOLDER."
        )
    lenses = _table(model, "cameras", _lenses_from_binary, _lenses_from_text)
    poses = _table(model, "images", _poses_from_binary, _poses_from_text)
    poses.sort(key=lambda pose: Path(pose.name).name.split(".")[0])
    lens_of = dict(lenses)
    for lens in lens_of.values():
        if lens.model not in LENSES:
            raise refused(lens.model, where=model, photographs=photographs)
    views, absent = [], []
    for pose in poses:
        path = photographs / Path(pose.name)
        path = path if path.is_file() else photographs / Path(pose.name).name
        if not path.is_file():
            absent.append(pose.name)
            continue
        if pose.lens not in lens_of:
            raise DataError(
                f"image {pose.name} of {model} names camera {pose.lens}, and the model holds"
                f" {sorted(lens_of)}. Export the model again, whole."
            )
        mask = folder / "masks" / f"{path.name}.png"
        mask = mask if mask.is_file() else mask.with_name(f"{path.stem}.png")
        camera = _camera(lens_of[pose.lens], pose)
        views.append(
            View(
                path.name.split(".")[0],
                camera,
                path,
                mask=mask if mask.is_file() else None,
                truth=truth_beside(path),
            )
        )
    points, colors = _points(model)
    return Capture(folder, hold_out_every(views, hold_out), points, colors, tuple(absent))


def _camera(lens: _Lens, pose: _Pose) -> Camera:
    intrinsics, distortion = intrinsics_of(lens.model, lens.parameters)
    quat = torch.tensor(pose.quat, dtype=torch.float64)
    world_to_camera = torch.eye(4, dtype=torch.float64)
    world_to_camera[:3, :3] = rotations(quat / quat.norm())
    world_to_camera[:3, 3] = torch.tensor(pose.translation, dtype=torch.float64)
    return Camera(
        world_to_camera,
        torch.tensor(intrinsics, dtype=torch.float64),
        height=lens.height,
        width=lens.width,
        distortion=distortion,
        name=Path(pose.name).name.split(".")[0],
    )


def _table(
    model: Path,
    name: str,
    from_binary: Callable[[bytes], Iterator[Row]],
    from_text: Callable[[list[str]], Iterator[Row]],
) -> list[Row]:
    """Read a table of the model from its binary file, else from its text twin."""
    binary, text = model / f"{name}.bin", model / f"{name}.txt"
    path = binary if binary.is_file() else text
    if not path.is_file():
        raise ArtifactError(
            f"a COLMAP model needs {name}.bin or {name}.txt, and {model} has neither. Found:"
            f" {', '.join(sorted(p.name for p in model.iterdir()))}."
        )
    try:
        if path is binary:
            return list(from_binary(path.read_bytes()))
        lines = path.read_text().splitlines()
        return list(from_text([line for line in lines if not line.startswith("#")]))
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise ArtifactError(
            f"{path} is not a whole COLMAP {name} table ({path.stat().st_size} bytes; {error})."
            " Copy it again, or export the model again."
        ) from error


def _lenses_from_binary(data: bytes) -> Iterator[tuple[int, _Lens]]:
    (count,), at = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        key, model, width, height = struct.unpack_from("<iiQQ", data, at)
        name = NAMES.get(model, f"number {model}")
        if name not in LENSES:
            # How long its parameters are is not known, so nothing after it can be read.
            yield key, _Lens(name, width, height, ())
            return
        number = parameter_count(name)
        yield key, _Lens(name, width, height, struct.unpack_from(f"<{number}d", data, at + 24))
        at += 24 + 8 * number


def _lenses_from_text(lines: list[str]) -> Iterator[tuple[int, _Lens]]:
    for line in filter(str.strip, lines):
        key, model, width, height, *parameters = line.split()
        if model in LENSES and len(parameters) != parameter_count(model):
            wanted = parameter_count(model)
            raise ValueError(f"{model} has {wanted} parameters, not {len(parameters)}")
        yield int(key), _Lens(model, int(width), int(height), tuple(map(float, parameters)))


def _poses_from_binary(data: bytes) -> Iterator[_Pose]:
    (count,), at = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        _, *numbers, lens = struct.unpack_from("<i7di", data, at)
        end = data.index(b"\0", at + 64)
        name = data[at + 64 : end].decode()
        (observations,) = struct.unpack_from("<Q", data, end + 1)
        at = end + 9 + 24 * observations
        if at > len(data):
            raise ValueError(f"it ends inside image {name}")
        yield _pose(name, lens, numbers)


def _poses_from_text(lines: list[str]) -> Iterator[_Pose]:
    # Two lines an image; the second, its 2D points, may be empty.
    for line in lines[::2]:
        if line.strip():
            _, *numbers, lens, name = line.split(maxsplit=9)
            yield _pose(name, int(lens), [float(number) for number in numbers])


def _pose(name: str, lens: int, numbers: list[float]) -> _Pose:
    qw, qx, qy, qz, x, y, z = numbers
    return _Pose(name, lens, (qw, qx, qy, qz), (x, y, z))


def _points(model: Path) -> Cloud:
    """Positions and colours in 0..1, or nothing where the model has no points.

    A `points3D.ply` beside them, as GS-IR leaves one, comes first.
    """
    points, colors = read_cloud(model / "points3D.ply")
    if points is not None:
        return points, colors
    if not any((model / f"points3D{suffix}").is_file() for suffix in (".bin", ".txt")):
        return None, None
    rows = np.array(_table(model, "points3D", _points_from_binary, _points_from_text))
    return (rows[:, :3], rows[:, 3:] / 255.0) if len(rows) else (None, None)


def _points_from_binary(data: bytes) -> Iterator[tuple[float, ...]]:
    (count,), at = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        _, x, y, z, red, green, blue, _, length = struct.unpack_from("<Q3d3BdQ", data, at)
        at += 51 + 8 * length
        if at > len(data):
            raise ValueError("it ends inside a point")
        yield x, y, z, red, green, blue


def _points_from_text(lines: list[str]) -> Iterator[tuple[float, ...]]:
    for line in filter(str.strip, lines):
        yield tuple(float(word) for word in line.split()[1:7])
