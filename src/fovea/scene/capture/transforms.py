"""Captures whose poses stand in `transforms*.json`, as many programs write them.

NeRF-synthetic, TensoIR, instant-ngp and nerfstudio: they are one family. A file holds `frames` with
`file_path` and a camera-to-world `transform_matrix` in Blender's axes, and the lens as
`camera_angle_x` or as `fl_x fl_y cx cy k1 k2 p1 p2 w h`, for all frames or in each. Two files,
`transforms_train.json` and `transforms_test.json`, are a split; one is all. TensoIR folders without
them hold a `metadata.json` beside each photograph.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fovea.errors import ArtifactError, DataError
from fovea.scene.camera import Camera
from fovea.scene.capture.cloud import read_cloud
from fovea.scene.capture.lens import distortion_of
from fovea.scene.capture.photographs import SHAPE_TOLERANCE, photograph_size
from fovea.scene.capture.truth import truth_beside
from fovea.scene.capture.views import (
    Capture,
    Split,
    View,
    hold_out_every,
)
from fovea.scene.distortion import Distortion

Document = dict[str, Any]
LEAST_VOLUME = 1e-9
"""Determinant under which a camera's axes lie in a plane."""
ENDINGS = ("", ".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".webp", ".tif", ".exr")


def read_split(folder: Path, *, hold_out: int) -> Capture:
    """Read `transforms_train.json` and, where it is there, `transforms_test.json`.

    Without a test file every `hold_out`-th view is for testing; with it and `hold_out` 0 its views
    join the training views.
    """
    train, absent = _views(folder / "transforms_train.json", "train")
    test_file = folder / "transforms_test.json"
    points, colors = read_cloud(folder / "points3d.ply")
    if not test_file.is_file():
        return Capture(folder, hold_out_every(train, hold_out), points, colors, absent)
    test, more = _views(test_file, "test" if hold_out else "train")
    return Capture(folder, (*train, *test), points, colors, absent + more)


def read_single(path: Path, *, hold_out: int) -> Capture:
    """Read one `transforms.json`; its views are ordered by the photographs' paths.

    nerfstudio's `train_filenames` and `test_filenames` are a split, its `ply_file_path` a start.
    """
    views, absent = _views(path, "train")
    views = sorted(views, key=lambda view: view.image.as_posix())
    document = _read_json(path)
    cloud = path.parent / str(document.get("ply_file_path") or "points3d.ply")
    points, colors = read_cloud(cloud)
    split = hold_out_every(views, hold_out)
    held_out = {Path(name).name for name in document.get("test_filenames") or ()}
    if held_out:
        is_test = {view.name for view in views if hold_out and view.image.name in held_out}
        split = tuple(
            replace(view, split="test" if view.name in is_test else "train") for view in views
        )
    return Capture(path.parent, split, points, colors, absent)


def read_tensoir(folder: Path, *, hold_out: int) -> Capture:
    """Read a TensoIR scene from the `metadata.json` of its folders, `train_000` and so on."""
    views: list[View] = []
    absent: list[str] = []
    for path in sorted(folder.glob("*_[0-9]*/metadata.json")):
        about = _read_json(path)
        frame_name = path.parent.name
        image = path.parent / "rgba.png"
        if not image.is_file():
            absent.append(frame_name)
            continue
        matrix = about.get("cam_transform_mat", "")
        numbers = [float(word) for word in str(matrix).split(",") if word.strip()]
        if len(numbers) != 16 or not about.get("cam_angle_x"):
            raise DataError(
                f"{path} needs cam_angle_x and 16 numbers in cam_transform_mat; it holds"
                f" {about.get('cam_angle_x')} and {len(numbers)}."
            )
        rows = [numbers[row : row + 4] for row in range(0, 16, 4)]
        split: Split = "test" if frame_name.startswith("test") and hold_out else "train"
        lens = {"camera_angle_x": about["cam_angle_x"]}
        camera = _camera(lens, rows, name=frame_name, image=image, where=str(path))
        views.append(View(frame_name, camera, image, split, truth=truth_beside(image)))
    if all(view.split == "train" for view in views):
        views = list(hold_out_every(views, hold_out))
    points, colors = read_cloud(folder / "points3d.ply")
    return Capture(folder, tuple(views), points, colors, tuple(absent))


def _views(path: Path, split: Split) -> tuple[tuple[View, ...], tuple[str, ...]]:
    document = _read_json(path)
    frames = document.get("frames")
    if not isinstance(frames, list):
        raise DataError(
            f"{path} needs a list 'frames'; it holds {', '.join(document) or 'nothing'}."
        )
    views, absent = [], []
    for number, frame in enumerate(frames):
        where = f"frame {number} of {path}"
        if not isinstance(frame, dict) or not {"file_path", "transform_matrix"} <= frame.keys():
            raise DataError(
                f"{where} needs file_path and transform_matrix; it holds {frame!r:.80}."
            )
        image = _photograph(path.parent, str(frame["file_path"]))
        if image is None:
            absent.append(str(frame["file_path"]))
            continue
        name = image.parent.name if image.stem == "rgba" else image.stem
        camera = _camera(
            {**document, **frame}, frame["transform_matrix"], name=name, image=image, where=where
        )
        mask = path.parent / frame["mask_path"] if frame.get("mask_path") else None
        views.append(View(name, camera, image, split, mask, truth_beside(image)))
    if "w" not in document and not any("w" in frame for frame in frames):
        _refuse_another_size(views, in_px=bool(document.get("fl_x")), path=path)
    return tuple(views), tuple(absent)


def _refuse_another_size(views: list[View], *, in_px: bool, path: Path) -> None:
    """Photographs that share a lens and name no size must have one shape; in px, one size."""
    for view in views:
        ours, first = view.camera, views[0].camera
        differs = abs(ours.width * first.height / (ours.height * first.width) - 1)
        if differs <= SHAPE_TOLERANCE and not (in_px and ours.width != first.width):
            continue
        what = (
            f"another size, while {path.name} gives the lens in px and no size. Add w and h to it"
            if differs <= SHAPE_TOLERANCE
            else "another shape. Is it turned or cropped? Put the photograph there that the poses"
            " were made from"
        )
        raise DataError(
            f"{view.image} has {ours.width}x{ours.height} px, and {views[0].image} has"
            f" {first.width}x{first.height} (width x height), {what}."
        )


def _photograph(folder: Path, file_path: str) -> Path | None:
    stem = folder / file_path.replace("\\", "/")
    for ending in ENDINGS:
        path = stem.with_name(stem.name + ending)
        if path.is_file():
            return path
    return None


def _camera(lens: Document, matrix: object, *, name: str, image: Path, where: str) -> Camera:
    """The camera of a frame; lengths in px are of the size `w`, `h`, or else of the photograph."""
    height, width = photograph_size(image, upright=False)
    width, height = int(lens.get("w", width)), int(lens.get("h", height))
    if lens.get("fl_x"):
        fx = float(lens["fl_x"])
        fy = float(lens.get("fl_y", fx))
    elif lens.get("camera_angle_x"):
        fx = width / (2 * math.tan(float(lens["camera_angle_x"]) / 2))
        angle_y = lens.get("camera_angle_y")
        fy = height / (2 * math.tan(float(angle_y) / 2)) if angle_y else fx
    else:
        raise DataError(f"{where} has no focal length: add camera_angle_x (radians) or fl_x (px).")
    distortion = _distortion(lens, where=where)
    cx, cy = float(lens.get("cx", width / 2)), float(lens.get("cy", height / 2))
    return Camera.from_opengl(
        _pose(matrix, where=where),
        intrinsics=[[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
        height=height,
        width=width,
        distortion=distortion,
        name=name,
    )


def _distortion(lens: Document, *, where: str) -> Distortion | None:
    """The bending of a lens by nerfstudio's `camera_model`, OpenCV's where none is named."""
    name = str(lens.get("camera_model", "OPENCV")).upper()
    if lens.get("is_fisheye") or name == "OPENCV_FISHEYE":
        keys, model = ("k1", "k2", "k3", "k4"), "fisheye"
    elif name in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL"):
        # nerfstudio writes a k4 of 0 beside them; its k4 is not OpenCV's.
        keys, model = ("k1", "k2", "p1", "p2", *(("k3",) if lens.get("k3") else ())), "opencv"
    elif name == "FULL_OPENCV":
        keys, model = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), "opencv"
    else:
        raise DataError(
            f"{where} has the camera model {name}, which is no pinhole; OPENCV, OPENCV_FISHEYE and"
            " PINHOLE are read. Make the photographs straight first, with the program that wrote"
            " the file."
        )
    return distortion_of(model, tuple(float(lens.get(key) or 0.0) for key in keys))


def _pose(matrix: object, *, where: str) -> list[list[float]]:
    """A camera-to-world matrix of 4 rows; 3 are taken too."""
    rows = matrix if isinstance(matrix, list) else []
    if len(rows) not in (3, 4) or any(not isinstance(row, list) or len(row) != 4 for row in rows):
        raise DataError(
            f"{where} needs a transform_matrix of 4 rows of 4 numbers; it is {matrix!r:.80}."
        )
    top = np.array(rows[:3], dtype=np.float64)
    if not np.isfinite(top).all() or abs(np.linalg.det(top[:, :3])) < LEAST_VOLUME:
        raise DataError(
            f"{where} needs a transform_matrix that is finite and turns without flattening; its"
            f" first three rows are {top.tolist()}. Leave that frame out, or find its pose again."
        )
    return [*top.tolist(), [0.0, 0.0, 0.0, 1.0]]


def _read_json(path: Path) -> Document:
    try:
        document = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}. Copy or export it again.") from error
    if not isinstance(document, dict):
        raise ArtifactError(
            f"{path} holds {type(document).__name__}, and a pose file is an object."
        )
    return document
