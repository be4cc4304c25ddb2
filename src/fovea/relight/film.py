"""A camera moves around a scene, or a light does, and a video is made of what is seen.

Without a light the scene has the colours it was photographed in. With one or several it is shaded
anew in every frame; a point light (`pointlight_film`) stands among the photographs' cameras.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.cameras import film_path, read_cameras
from fovea.relight.capture.gsir import read_scene
from fovea.relight.pointlight_film import PointFilm
from fovea.relight.relighting import (
    FittedLight,
    LastBuffer,
    Studio,
    maps_in,
    require_materials,
    require_seen,
    sky,
)
from fovea.relight.scores import backdrop, render
from fovea.relight.settings.film import FilmConfig
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8, write_image
from fovea.scene.video import write_video
from fovea.training.device import torch_device

if TYPE_CHECKING:
    from fovea.relight.deferred import Relighter
    from fovea.relight.light.environment import Environment

DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX = 640, 480
DEFAULT_FOV = math.radians(45)
Picture = Float[Tensor, "h w 3"]


def film(config: FilmConfig, context: Context) -> dict[str, float]:
    """Film the scene from a closed path."""
    gaussians = read_scene(config.scene).to(torch_device(context.device))
    if len(gaussians) == 0:
        raise DataError(f"{config.scene} holds no Gaussian; there is nothing to film.")
    views = read_cameras(config.cameras) if config.cameras else _around(gaussians)
    if config.cameras:
        require_seen(gaussians, views, config.scene, config.cameras)
    count = max(2, config.frames or round(config.seconds * config.fps))
    shots, cameras = _shots(config, gaussians, views, count)
    stills = _stills(config, count)
    is_one = config.arrange == "beside"
    films = {"": _Beside(list(shots.values()))} if is_one else dict(shots)
    done = 0
    for number, (name, shot) in enumerate(films.items()):
        path = context.output("video")
        if number:
            folder = context.output("films")
            folder.mkdir(exist_ok=True)
            path = folder / f"{name}.mp4"
        frames = _frames(shot, cameras, context, done=done, total=count * len(films))
        write_video(path, _kept(frames, stills, name, context), fps=config.fps)
        done += count
    return {}


class _Radiance:
    """The scene in the light it was photographed in."""

    def __init__(self, gaussians: Gaussians, behind: Tensor) -> None:
        self.gaussians, self.behind = gaussians, behind

    def picture(self, number: int, camera: Camera) -> Picture:
        """Frame `number` from a camera."""
        return render(self.gaussians, camera, self.behind)


@dataclass
class _Lit:
    """The scene under an environment, which may turn."""

    buffers: LastBuffer
    environment: Environment
    degrees: float
    """By which the light turns from a frame to the next."""
    behind: Tensor | None
    """A colour; None shows the environment."""
    shading: Relighter | FittedLight | None = None
    """What shades every frame, unless the light turns; made for the first one."""

    @torch.no_grad()
    def picture(self, number: int, camera: Camera) -> Picture:
        """Frame `number` from a camera."""
        light = self.environment.rotated(number * self.degrees)
        shading = self.shading
        if shading is None or self.degrees:
            shading = self.shading = self.buffers.studio.under(light)
        buffer = self.buffers(camera)
        behind = sky(light, camera) if self.behind is None else self.behind
        return self.buffers.studio.picture(shading, buffer, behind)


class _Beside:
    """Several shots of one frame, side by side."""

    def __init__(self, shots: Sequence[Shot]) -> None:
        self.shots = shots

    def picture(self, number: int, camera: Camera) -> Picture:
        """Frame `number` from a camera, as each shot has it."""
        return torch.cat([shot.picture(number, camera) for shot in self.shots], dim=1)


Shot = _Radiance | _Lit | _Beside | PointFilm


def _shots(
    config: FilmConfig, gaussians: Gaussians, views: Sequence[Camera], count: int
) -> tuple[Mapping[str, Shot], list[Camera]]:
    """What is filmed, by the name of its light, and where the camera stands in each frame."""
    sized = partial(_sized, config=config)
    lights = _lights(config)
    has_point = config.point.motion != "none"
    if not lights and not has_point and not config.lighting:
        if config.background == "light":
            raise DataError(
                "background=light shows the environment, and no light is given. Give light=MAP.hdr,"
                " or background=black."
            )
        behind = backdrop(config.background, gaussians.means.device)
        return {"": _Radiance(gaussians, behind)}, _cameras(config, views, count)
    require_materials(gaussians, config.scene, "relight.film under a light")
    studio = Studio(gaussians, config, views)
    if has_point:
        shot = PointFilm(studio, config, views, count)
        return {"point": shot}, [sized(camera) for camera in shot.cameras]
    buffers = LastBuffer(studio)
    behind = None if config.background == "light" else backdrop(config.background)
    step = 360 * config.turn / count
    shots = {
        name: _Lit(buffers, studio.environment(path), step, behind) for name, path in lights.items()
    }
    if not shots:
        fitted = studio.fitted_environment()
        assert fitted is not None, "without maps there is a learnt light"
        shots = {"fitted": _Lit(buffers, fitted, step, behind, studio.fitted())}
    return shots, _cameras(config, views, count)


def _lights(config: FilmConfig) -> dict[str, Path]:
    """The maps to film under, the single one first.

    Raises:
        DataError: one that is picked is not there.
    """
    maps = {config.light.stem: config.light} if config.light else {}
    if config.lights is None:
        return maps
    found = maps_in(config.lights)
    if absent := [name for name in config.pick if name not in found]:
        raise DataError(
            f"pick={','.join(absent)} names no map of {config.lights}. It holds {', '.join(found)}."
        )
    return maps | {name: found[name] for name in config.pick or found}


def _cameras(config: FilmConfig, views: Sequence[Camera], count: int) -> list[Camera]:
    """Where the camera stands in each frame."""
    if config.path != "still":
        return [_sized(camera, config) for camera in film_path(views, count, config.path)]
    if config.view >= len(views):
        raise DataError(
            f"view={config.view} is a photograph's number, and there are {len(views)}, from 0 to"
            f" {len(views) - 1}. Choose one of these."
        )
    return [_sized(views[config.view], config)] * count


def _stills(config: FilmConfig, count: int) -> set[int]:
    """The numbers of the frames to keep."""
    if beyond := [number for number in config.stills if not -count <= number < count]:
        raise DataError(
            f"stills={','.join(map(str, beyond))} asks for frames beyond the film's {count}. Count"
            f" from 0 to {count - 1}."
        )
    return {number % count for number in config.stills}


def _frames(
    shot: Shot, cameras: Sequence[Camera], context: Context, *, done: int, total: int
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for number, camera in enumerate(cameras):
        if context.should_stop():
            context.stop()
        picture = to_uint8(shot.picture(number, camera))
        if number == done == 0:
            context.picture(0, "film", picture)
        yield picture
        context.progress(done + number + 1, total, "frames")


def _kept(
    frames: Iterator[UInt8[np.ndarray, "h w 3"]], stills: set[int], name: str, context: Context
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames as they come; those asked for are also written as pictures."""
    for number, frame in enumerate(frames):
        if number in stills:
            named = f"{name}_{number:04d}.png" if name else f"{number:04d}.png"
            write_image(context.output("stills") / named, frame.astype(np.float32) / 255)
        yield frame


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
