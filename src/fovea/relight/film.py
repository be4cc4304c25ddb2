"""A camera moves around a scene, and a video is made of what it sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from fovea.errors import DataError
from fovea.relight.cameras import film_path, read_cameras
from fovea.relight.scores import backdrop, render
from fovea.relight.stages import FilmConfig
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.files import read_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8
from fovea.scene.video import write_video
from fovea.training.device import torch_device

DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX = 640, 480
DEFAULT_FOV = math.radians(45)


def film(config: FilmConfig, context: Context) -> dict[str, float]:
    """Film the scene from a closed path."""
    gaussians = read_gaussians(config.scene).to(torch_device(context.device))
    if len(gaussians) == 0:
        raise DataError(f"{config.scene} holds no Gaussian; there is nothing to film.")
    views = read_cameras(config.cameras) if config.cameras else _around(gaussians)
    count = max(2, round(config.seconds * config.fps))
    cameras = [_sized(camera, config) for camera in film_path(views, count, config.path)]
    write_video(
        context.output("video"), _frames(gaussians, cameras, config, context), fps=config.fps
    )
    return {}


def _frames(
    gaussians: Gaussians, cameras: Sequence[Camera], config: FilmConfig, context: Context
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    behind = backdrop(config.background, gaussians.means.device)
    for number, camera in enumerate(cameras):
        if context.should_stop():
            context.stop()
        picture = to_uint8(render(gaussians, camera, behind))
        if number == 0:
            context.picture(0, "film", picture)
        yield picture
        context.progress(number + 1, len(cameras), "frames")


def _sized(camera: Camera, config: FilmConfig) -> Camera:
    """The camera at the film's size."""
    width = config.width or camera.width
    height = config.height or round(camera.height * width / camera.width)
    camera = camera.resized(height=camera.height * width // camera.width or 1, width=width)
    return _cropped(camera, height=height, width=width)


def _cropped(camera: Camera, *, height: int, width: int) -> Camera:
    """The same focal length on a grid of another size, about the same centre."""
    intrinsics = camera.intrinsics.clone()
    intrinsics[0, 2] += (width - camera.width) / 2
    intrinsics[1, 2] += (height - camera.height) / 2
    return Camera(camera.world_to_camera, intrinsics, height=height, width=width)


def _around(gaussians: Gaussians) -> list[Camera]:
    """Cameras for a scene of which nothing is known but itself: a circle, a little above."""
    means = gaussians.means.cpu().double()
    centre = means.median(dim=0).values
    reach = float((means - centre).norm(dim=-1).quantile(0.9))
    away = max(reach, 1e-3) / math.sin(DEFAULT_FOV / 2) * 1.1
    return [
        Camera.look_at(
            (centre + away * torch.tensor([math.cos(a), math.sin(a), 0.35])).tolist(),
            centre.tolist(),
            fov_x=DEFAULT_FOV,
            height=DEFAULT_HEIGHT_PX,
            width=DEFAULT_WIDTH_PX,
        )
        for a in (0.0, 2.1, 4.2)
    ]
