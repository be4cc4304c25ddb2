"""The ways a camera can take: around a point, through given views, along them.

All of them are lists of cameras of one size, ready to be rendered one after the other. World
directions that the cameras share are found from the cameras themselves: what they look at, and
which way is up in their pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from fovea.errors import ArtifactError, DataError
from fovea.scene.camera import Camera

Vector = Float[np.ndarray, "3"]


def orbit(
    cameras: Sequence[Camera],
    count: int,
    *,
    centre: Sequence[float] | Vector | None = None,
    up: Sequence[float] | Vector | None = None,
    radius: float | None = None,
    elevation_deg: float | None = None,
) -> list[Camera]:
    """A full circle around a point; the last camera stands one step before the first.

    It starts nearest the first camera and keeps that camera's size and focal length.

    Args:
        cameras: views of the scene; what is not given below is found from them.
        count: how many cameras.
        centre: what to look at and go around.
        up: the axis of the circle.
        radius: distance from the centre; the median of the cameras' otherwise.
        elevation_deg: above the plane through the centre; the median of the cameras' otherwise.

    Raises:
        DataError: there are no cameras.
    """
    middle = looked_at(cameras) if centre is None else np.asarray(centre, dtype=np.float64)
    axis = upward(cameras) if up is None else _unit(np.asarray(up, dtype=np.float64))
    offsets = _positions(cameras) - middle
    distances = np.linalg.norm(offsets, axis=1)
    distance = float(np.median(distances)) if radius is None else radius
    elevations = np.arcsin(np.clip(offsets @ axis / np.maximum(distances, 1e-12), -1, 1))
    elevation = np.median(elevations) if elevation_deg is None else np.radians(elevation_deg)
    first, second = _plane(axis, offsets[0])
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    around = np.cos(turns) * first + np.sin(turns) * second
    positions = middle + distance * (np.cos(elevation) * around + np.sin(elevation) * axis)
    return [_looking(cameras[0], position, middle, axis) for position in positions]


def ellipse(cameras: Sequence[Camera], count: int) -> list[Camera]:
    """A closed ellipse through the middle of where the cameras stand, looking where they look.

    Its axes are the two directions in which the positions vary most at right angles to up, each
    half as long as positions spread evenly on an ellipse with this variance have it.

    Source: the paths of Barron et al., "Mip-NeRF 360" (2022), which take percentiles of the
    positions along the world's axes; we take their principal axes.
    """
    axis, middle = upward(cameras), looked_at(cameras)
    positions = _positions(cameras)
    centre = positions.mean(axis=0)
    flat = (positions - centre) - np.outer((positions - centre) @ axis, axis)
    _, spread, directions = np.linalg.svd(flat, full_matrices=True)
    halves = np.sqrt(2 / len(positions)) * np.append(spread, [0.0, 0.0])[:2]
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    places = centre + halves[0] * np.cos(turns) * directions[0]
    places = places + halves[1] * np.sin(turns) * directions[1]
    return [_looking(cameras[0], place, middle, axis) for place in places]


def interpolate(keys: Sequence[Camera], count: int, *, closed: bool = False) -> list[Camera]:
    """A smooth ride through key views: cubic positions, spherically interpolated rotations.

    Time between two keys is their distance in space, so that the ride has an even pace; keys at one
    place take a small share. Focal lengths and centres go linearly.

    Args:
        keys: all brought to the size of the first.
        count: how many cameras, the first and last keys among them.
        closed: return to the first key; the last camera then stands one step before it.

    Raises:
        DataError: there are no keys.
    """
    if not keys:
        raise DataError("A camera path needs key views, and there are none. Give at least one.")
    model = keys[0]
    keys = [key.resized(height=model.height, width=model.width) for key in keys]
    if len(keys) == 1:
        return [model] * count
    if closed:
        keys = [*keys, keys[0]]
    positions = _positions(keys)
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    steps = np.maximum(steps, max(0.05 * steps.mean(), 1e-9))
    times = np.append(0.0, np.cumsum(steps))
    wanted = np.linspace(0, times[-1], count, endpoint=not closed)
    is_loop = closed and len(keys) > 2
    places = CubicSpline(times, positions, bc_type="periodic" if is_loop else "not-a-knot")(wanted)
    turned = Rotation.from_matrix(_rotations(keys))
    rotations = Slerp(times, turned)(wanted).as_matrix()
    matrices = np.stack([key.intrinsics.cpu().double().numpy() for key in keys]).reshape(-1, 9)
    intrinsics = np.stack([np.interp(wanted, times, values) for values in matrices.T], axis=-1)
    return [
        replace(
            model,
            world_to_camera=_world_to_camera(rotation, place),
            intrinsics=torch.from_numpy(matrix.reshape(3, 3).copy()),
            name="",
        )
        for rotation, place, matrix in zip(rotations, places, intrinsics, strict=True)
    ]


def looked_at(cameras: Sequence[Camera]) -> Vector:
    """The point nearest to all optical axes, or one step ahead where these are parallel.

    Raises:
        DataError: there are no cameras.
    """
    _check_any(cameras)
    positions, forward = _positions(cameras), _rotations(cameras)[:, 2]
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    normal = across.mean(axis=0)
    if np.linalg.eigvalsh(normal)[0] < 1e-6:
        return positions.mean(axis=0) + _unit(forward.mean(axis=0))
    return np.linalg.solve(normal, (across @ positions[:, :, None]).mean(axis=0)[:, 0])


def upward(cameras: Sequence[Camera]) -> Vector:
    """The direction that is up in the pictures.

    Cameras are mostly held level, so their right axes lie in the horizontal plane: up is at right
    angles to these. Where they tell nothing, in front of a wall, it is the mean of the pictures'
    own.

    Raises:
        DataError: there are no cameras.
    """
    _check_any(cameras)
    rotations = _rotations(cameras)
    mean = -rotations[:, 1].mean(axis=0)
    right = rotations[:, 0]
    spread, directions = np.linalg.eigh(right.T @ right / len(right))
    is_clear = spread[1] > 0.02 and spread[0] < 0.1 * spread[1]
    found = directions[:, 0] if is_clear else mean
    return _unit(found if found @ mean >= 0 else -found)


def save_path(path: str | Path, cameras: Sequence[Camera]) -> None:
    """Write a path as JSON for a viewer, or to be read again.

    A pose is `position` and `rotation`, camera to world, row by row, with our axes: x right, y
    down, z forward.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema": 1, "path": [pose_record(camera) for camera in cameras]}
    path.write_text(json.dumps(document) + "\n")


def load_path(path: str | Path) -> list[Camera]:
    """Read the `path` of a JSON file, written by `save_path` or a `cameras.json`.

    Raises:
        ArtifactError: it is missing or holds no path.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No camera path {path}: there is no such file. Check the name.")
    try:
        return [camera_from_record(record) for record in json.loads(path.read_text())["path"]]
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise ArtifactError(
            f"{path} holds no camera path ({type(error).__name__}: {error}). "
            "Write it with save_path, or let a fit make a cameras.json."
        ) from None


def pose_record(camera: Camera) -> dict[str, Any]:
    """A camera as it stands in the JSON of a path."""
    matrix = camera.intrinsics.tolist()
    return {
        "width": camera.width,
        "height": camera.height,
        "position": camera.position.tolist(),
        "rotation": camera.rotation.T.tolist(),
        "fx": matrix[0][0],
        "fy": matrix[1][1],
        "cx": matrix[0][2],
        "cy": matrix[1][2],
    }


def camera_from_record(record: dict[str, Any]) -> Camera:
    """The camera that `pose_record` wrote."""
    rotation = np.array(record["rotation"], dtype=np.float64).T
    matrix = [[record["fx"], 0, record["cx"]], [0, record["fy"], record["cy"]], [0, 0, 1]]
    pose = _world_to_camera(rotation, np.array(record["position"], dtype=np.float64))
    intrinsics = torch.tensor(matrix, dtype=torch.float64)
    return Camera(pose, intrinsics, height=record["height"], width=record["width"])


def _looking(model: Camera, position: Vector, target: Vector, up: Vector) -> Camera:
    pose = Camera.look_at(
        position.tolist(), target.tolist(), up=up.tolist(), fov_x=1.0, height=1, width=1
    ).world_to_camera
    return replace(model, world_to_camera=pose, distortion=None, name="")


def _world_to_camera(rotation: np.ndarray, position: Vector) -> torch.Tensor:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ position
    return torch.from_numpy(pose)


def _check_any(cameras: Sequence[Camera]) -> None:
    if not cameras:
        raise DataError("A camera path is found from cameras, and there are none. Give some.")


def _positions(cameras: Sequence[Camera]) -> Float[np.ndarray, "cameras 3"]:
    return np.stack([camera.position.cpu().double().numpy() for camera in cameras])


def _rotations(cameras: Sequence[Camera]) -> Float[np.ndarray, "cameras 3 3"]:
    """World to camera; rows are right, down, forward."""
    return np.stack([camera.rotation.cpu().double().numpy() for camera in cameras])


def _plane(axis: Vector, toward: Vector) -> tuple[Vector, Vector]:
    """Two directions at right angles to the axis and each other, the first as near as can be."""
    flat = toward - toward @ axis * axis
    if np.linalg.norm(flat) < 1e-6 * max(1.0, float(np.linalg.norm(toward))):
        flat = np.cross(axis, np.eye(3)[int(np.abs(axis).argmin())])
    first = _unit(flat)
    return first, np.cross(axis, first)


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
