"""`cameras.json`: where a scene was photographed from, and the way a film of it takes.

`cameras` lists the views, test views first, each with `name` and `split`; `path` the key poses of a
film. A pose is as `fovea.scene.path` writes it. `centre` is what the cameras look at, `up` the
direction that is up in their pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from fovea.errors import ArtifactError
from fovea.scene.camera import Camera
from fovea.scene.capture import Capture, Photograph
from fovea.scene.path import (
    camera_from_record,
    interpolate,
    looked_at,
    orbit,
    pose_record,
    upward,
)

SURROUND_DEG = 200.0
"""Cameras that see a scene from more of a circle than this are taken to go around it."""
KEY_POSES = 60
RIDE_KEYS = 8


def film_path(
    cameras: Sequence[Camera], count: int, kind: Literal["auto", "orbit", "cameras"] = "auto"
) -> list[Camera]:
    """The way of a film, `count` cameras long; it ends where it begins.

    Around what the cameras look at where they surround it, else there and back through a few of
    them, in the order in which they were taken.
    """
    if kind == "auto":
        kind = "orbit" if surrounds(cameras) else "cameras"
    if kind == "orbit":
        return orbit(cameras, count)
    keys = list(cameras[:: max(1, len(cameras) // RIDE_KEYS)])
    return interpolate([*keys, *keys[-2:0:-1]], count, closed=True)


def surrounds(cameras: Sequence[Camera]) -> bool:
    """Whether the cameras stand around what they look at rather than before it."""
    up, centre = upward(cameras), looked_at(cameras)
    across = np.stack([camera.position.cpu().numpy() for camera in cameras]) - centre
    first = np.cross(up, np.eye(3)[int(np.abs(up).argmin())])
    first /= np.linalg.norm(first)
    angles = np.sort(np.degrees(np.arctan2(across @ np.cross(up, first), across @ first)))
    gaps = np.diff(np.append(angles, angles[0] + 360))
    return bool(360 - gaps.max() > SURROUND_DEG)


def write_cameras(
    path: Path, capture: Capture, train: Sequence[Photograph], test: Sequence[Photograph]
) -> None:
    """Write the cameras of the photographs as they were fitted, and a film's way."""
    views = [*capture.split("test"), *capture.split("train")]
    records = [
        pose_record(photograph.camera) | {"name": view.name, "split": view.split}
        for photograph, view in zip([*test, *train], views, strict=True)
    ]
    cameras = [photograph.camera for photograph in train]
    document = {
        "schema": 1,
        "cameras": records,
        "centre": looked_at(cameras).tolist(),
        "up": upward(cameras).tolist(),
        "path": [pose_record(camera) for camera in film_path(cameras, KEY_POSES)],
    }
    path.write_text(json.dumps(document) + "\n")


def read_cameras(path: Path) -> list[Camera]:
    """Read the training cameras of a `cameras.json`.

    Raises:
        ArtifactError: it is not one.
    """
    try:
        views = json.loads(path.read_text())["cameras"]
        return [camera_from_record(view) for view in views if view.get("split") != "test"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{path} is not a cameras.json of relight.fit ({type(error).__name__}: {error}). Leave"
            " `cameras` out for a circle around the scene."
        ) from error
