"""A COLMAP capture written: photographs made straight, and the model that goes with them.

Other programs read it as they read `colmap image_undistorter`'s: PINHOLE cameras, `images/`,
`sparse/0/` with `cameras.bin`, `images.bin` and `points3D.bin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pycolmap
import torch
from jaxtyping import Float

from fovea.relight.capture.shots import Shot
from fovea.scene.camera import Camera
from fovea.scene.capture.lens import intrinsics_of
from fovea.scene.capture.photographs import decode
from fovea.scene.distortion import undistort, undistorted_camera
from fovea.scene.image import write_image
from fovea.scene.path import looked_at, upward

DISTANCE = 4.0
"""Of the cameras from the middle of an upright scene, as in NeRF-synthetic captures."""


def cameras_of(model: pycolmap.Reconstruction) -> dict[str, Camera]:
    """The cameras of a model's photographs by their names, in the order of these."""
    images = sorted((model.image(n) for n in model.reg_image_ids()), key=lambda i: i.name)
    return {image.name: _camera(model, image) for image in images}


def turn_upright(model: pycolmap.Reconstruction) -> None:
    """Turn, move and scale a model: z is up, what the cameras look at is 0, and they are 4 away."""
    cameras = list(cameras_of(model).values())
    up, middle = upward(cameras), looked_at(cameras)
    distances = [float(np.linalg.norm(c.position.numpy() - middle)) for c in cameras]
    scale = DISTANCE / max(float(np.median(distances)), 1e-12)
    rotation = _rotation_to_z(up)
    turn = pycolmap.Sim3d(scale, pycolmap.Rotation3d(rotation), -scale * rotation @ middle)
    model.transform(turn)


def write_layout(
    folder: Path,
    model: pycolmap.Reconstruction,
    shots: Mapping[str, Shot],
    watch: Callable[[int, int], None],
) -> None:
    """Write the photographs of a model, straight, and the model; it is changed on the way.

    Args:
        folder: where to.
        model: whose photographs have the names of the shots.
        shots: by name.
        watch: told how many of how many photographs are written; it may raise to stop.
    """
    cameras = cameras_of(model)
    _make_pinholes(model, cameras)
    numbers = {model.image(n).name: n for n in model.reg_image_ids()}
    sums = {key: np.zeros(4) for key in model.point3D_ids()}
    for done, (name, camera) in enumerate(cameras.items()):
        shot, image = shots[name], model.image(numbers[name])
        straight, _ = undistort(decode(shot.path, shot.mask), camera)
        is_jpeg = shot.path.suffix.lower() in (".jpg", ".jpeg") and straight.shape[-1] == 3
        image.name = f"{name}{'.jpg' if is_jpeg else '.png'}"
        write_image(folder / "images" / image.name, straight)
        _add_colors(sums, image, straight)
        watch(done + 1, len(cameras))
    for key, total in sums.items():
        if total[3]:
            model.point3D(key).color = np.rint(255 * total[:3] / total[3]).astype(np.uint8)
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True, exist_ok=True)
    model.write_binary(sparse)


def _camera(model: pycolmap.Reconstruction, image: pycolmap.Image) -> Camera:
    lens = model.camera(image.camera_id)
    intrinsics, distortion = intrinsics_of(lens.model_name, [float(p) for p in lens.params])
    world_to_camera = np.eye(4)
    world_to_camera[:3] = image.cam_from_world().matrix()
    return Camera(
        torch.from_numpy(world_to_camera),
        torch.tensor(intrinsics, dtype=torch.float64),
        height=lens.height,
        width=lens.width,
        distortion=distortion,
        name=image.name,
    )


def _make_pinholes(model: pycolmap.Reconstruction, cameras: Mapping[str, Camera]) -> None:
    """Give every camera the pinhole of its straight photographs, and move what was seen there."""
    pinholes: dict[int, Camera] = {}
    for number in model.reg_image_ids():
        image = model.image(number)
        bent = cameras[image.name]
        pinhole = pinholes.setdefault(image.camera_id, undistorted_camera(bent))
        if bent.distortion is None:
            continue
        for point in image.points2D:
            if point.has_point3D():
                plane = (point.xy - _centre(bent)) / _focals(bent)
                straight = bent.distortion.undistort(plane[None])[0]
                point.xy = straight * _focals(pinhole) + _centre(pinhole)
    for key, pinhole in pinholes.items():
        camera = model.camera(key)
        camera.model = pycolmap.CameraModelId.PINHOLE
        camera.params = [*_focals(pinhole).tolist(), *_centre(pinhole).tolist()]


def _add_colors(
    sums: dict[int, Float[np.ndarray, " 4"]],
    image: pycolmap.Image,
    pixels: Float[np.ndarray, "h w c"],
) -> None:
    """Add to each point the colour of the photograph where it is seen, and 1."""
    height, width = pixels.shape[:2]
    for point in image.points2D:
        column, row = np.floor(point.xy).astype(int)
        if point.has_point3D() and 0 <= column < width and 0 <= row < height:
            sums[point.point3D_id] += (*pixels[row, column, :3], 1.0)


def _rotation_to_z(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that takes a unit direction to +z."""
    axis, cosine = np.cross(up, [0.0, 0.0, 1.0]), float(up[2])
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def _focals(camera: Camera) -> Float[np.ndarray, " 2"]:
    return camera.intrinsics.diagonal()[:2].numpy()


def _centre(camera: Camera) -> Float[np.ndarray, " 2"]:
    return camera.intrinsics[:2, 2].numpy()
