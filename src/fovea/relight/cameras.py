"""`cameras.json`: where a scene was photographed from, and the way a film of it takes.

`cameras` lists the views, test views first; `path` the key poses of a film. A pose is `position`,
and `rotation` camera to world, row by row, with our axes (x right, y down, z forward). `centre` is
what the cameras look at, `up` the direction that is up in their pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from fovea.errors import ArtifactError
from fovea.relight.capture import Capture, Photograph
from fovea.relight.start import looked_at
from fovea.scene.camera import Camera

SURROUND_DEG = 200.0
"""Cameras that see a scene from more of a circle than this are taken to go around it."""
KEY_POSES = 60


@dataclass(frozen=True)
class Viewpoints:
    """The cameras of a scene, as far as a film or a viewer needs them."""

    cameras: tuple[Camera, ...]
    centre: np.ndarray
    up: np.ndarray

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> Viewpoints:
        """Find out what cameras look at and which way is up."""
        up = -np.stack([camera.rotation[1].numpy() for camera in cameras]).mean(axis=0)
        return cls(tuple(cameras), looked_at(cameras), _snapped(up / np.linalg.norm(up)))

    @property
    def is_surround(self) -> bool:
        """Whether the cameras stand around the scene rather than before it."""
        across = np.stack([camera.position.numpy() for camera in self.cameras]) - self.centre
        first, second = _plane(self.up)
        angles = np.sort(np.degrees(np.arctan2(across @ second, across @ first)))
        gaps = np.diff(np.append(angles, angles[0] + 360))
        return bool(360 - gaps.max() > SURROUND_DEG)

    def orbit(self, count: int) -> list[Camera]:
        """A circle around the centre, at the cameras' middle distance and height."""
        across = np.stack([camera.position.numpy() for camera in self.cameras]) - self.centre
        heights = across @ self.up
        distances = np.linalg.norm(across - heights[:, None] * self.up, axis=1)
        height, distance = float(np.median(heights)), float(np.median(distances))
        first, second = _plane(self.up)
        model = self.cameras[0]
        poses = []
        for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
            out = np.cos(angle) * first + np.sin(angle) * second
            position = self.centre + height * self.up + distance * out
            looking = Camera.look_at(
                position.tolist(),
                self.centre.tolist(),
                fov_x=model.fov_x,
                height=model.height,
                width=model.width,
                up=self.up.tolist(),
            )
            poses.append(looking)
        return poses

    def ride(self, count: int) -> list[Camera]:
        """A closed ride through a few of the cameras, in the order in which they were taken."""
        from fovea.scene.path import interpolate

        step = max(1, len(self.cameras) // 8)
        keys = list(self.cameras[::step])
        return interpolate([*keys, *keys[-2:0:-1], keys[0]], count)

    def path(self, count: int, kind: Literal["auto", "orbit", "cameras"] = "auto") -> list[Camera]:
        """The way of a film, `count` cameras long."""
        if kind == "auto":
            kind = "orbit" if self.is_surround else "cameras"
        return self.orbit(count) if kind == "orbit" else self.ride(count)


def _snapped(up: np.ndarray) -> np.ndarray:
    """The nearest axis where `up` is within 20 degrees of one: most worlds are built upright."""
    axis = int(np.abs(up).argmax())
    if abs(up[axis]) < np.cos(np.radians(20)):
        return up
    snapped = np.zeros(3)
    snapped[axis] = np.sign(up[axis])
    return snapped


def _plane(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two directions at right angles to `up` and to each other."""
    start = np.eye(3)[int(np.abs(up).argmin())]
    first = np.cross(up, start)
    first /= np.linalg.norm(first)
    return first, np.cross(up, first)


def write_cameras(
    path: Path, capture: Capture, train: Sequence[Photograph], test: Sequence[Photograph]
) -> None:
    """Write the cameras of the photographs as they were fitted, and a film's way."""
    named = [
        (photograph.camera, view.name, split)
        for split, photographs in (("test", test), ("train", train))
        for photograph, view in zip(photographs, capture.split(split), strict=True)
    ]
    points = Viewpoints.of([photograph.camera for photograph in train])
    document = {
        "schema": 1,
        "cameras": [_record(camera) | {"name": n, "split": s} for camera, n, s in named],
        "centre": points.centre.tolist(),
        "up": points.up.tolist(),
        "path": [_record(camera) for camera in points.path(KEY_POSES)],
    }
    path.write_text(json.dumps(document) + "\n")


def read_cameras(path: Path) -> Viewpoints:
    """Read the training cameras of a `cameras.json`.

    Raises:
        ArtifactError: it is not one.
    """
    try:
        document = json.loads(path.read_text())
        cameras = [
            _camera(record) for record in document["cameras"] if record.get("split") != "test"
        ]
        return Viewpoints(tuple(cameras), np.array(document["centre"]), np.array(document["up"]))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} is not a cameras.json of relight.fit ({type(error).__name__}: {error}). Leave"
            " `cameras` out for a circle around the scene."
        ) from error


def _record(camera: Camera) -> dict[str, Any]:
    pose, (fx, fy, cx, cy) = camera.camera_to_world, _pinhole(camera)
    return {
        "width": camera.width,
        "height": camera.height,
        "position": pose[:3, 3].tolist(),
        "rotation": pose[:3, :3].tolist(),
        "fx": fx,
        "fy": fy,
        "cx": cx,
        "cy": cy,
    }


def _pinhole(camera: Camera) -> tuple[float, float, float, float]:
    matrix = camera.intrinsics
    return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])


def _camera(record: dict[str, Any]) -> Camera:
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.tensor(record["rotation"], dtype=torch.float64)
    pose[:3, 3] = torch.tensor(record["position"], dtype=torch.float64)
    return Camera(
        torch.linalg.inv(pose),
        [
            [record["fx"], 0.0, record["cx"]],
            [0.0, record["fy"], record["cy"]],
            [0.0, 0.0, 1.0],
        ],  # pyright: ignore[reportArgumentType]
        height=record["height"],
        width=record["width"],
    )
