"""A camera moves before a scene made of one photograph: a film, its depth, and stills.

Colours are blended in linear light without blur, and the picture is then encoded as sRGB, as SHARP
draws. Frames are kept as pictures while the work goes on, so that a stopped film goes on where it
was; the films are made of them at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.errors import ArtifactError, DataError
from fovea.photo.drawing import Depth, Picture, constant_colors, draw
from fovea.photo.settings.film import FilmConfig
from fovea.photo.sharp_ply import UNKNOWN_FOCAL_PX, UNKNOWN_HEIGHT, UNKNOWN_WIDTH, read_camera
from fovea.photo.stereo import eyes, joined
from fovea.photo.trajectory import (
    DepthRange,
    film_cameras,
    film_size,
    photograph_camera,
    reference_size,
)
from fovea.photo.turbo import depth_colors
from fovea.runs.durable import write_text
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.files import read_gaussians
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.video import write_video
from fovea.training.device import torch_device

SUFFIXES = (".ply", ".spz", ".sog", ".splat", ".glb")
OUTPUTS = {"film": "video", "depth": "depth"}
"""Which output each sort of frames becomes."""


def film(config: FilmConfig, context: Context) -> dict[str, float]:
    """Film a scene, or each scene of a folder."""
    paths = _paths(config)
    problems: list[str] = []
    for number, (name, path) in enumerate(paths.items()):
        reel = _Reel(config, context, name if config.scenes else "", number, len(paths))
        if reel.is_done:
            continue
        try:
            shot = Shot.read(path, config, context.device)
        except (ArtifactError, DataError) as error:
            problems.append(str(error))
            if len(problems) == len(paths):
                raise
            continue
        reel.shoot(shot)
    context.partly(problems)
    return {"films": float(len(paths) - len(problems)), "failed": float(len(problems))}


class Shot:
    """A scene made ready to be drawn from many cameras.

    Args:
        gaussians: in the space in which their colours are to be blended.
        lens: the photograph's camera.
        config: how to draw.
    """

    def __init__(self, gaussians: Gaussians, lens: Camera, config: FilmConfig) -> None:
        self.config, self.lens = config, lens
        self.depths = DepthRange.of(gaussians.means)
        self.gaussians, self.colors = gaussians, constant_colors(gaussians)

    @classmethod
    def read(cls, path: Path, config: FilmConfig, device: str = "cpu") -> Shot:
        """The scene of a file.

        Raises:
            ArtifactError: it is damaged or of another format.
            DataError: nothing of it lies before the camera.
        """
        gaussians = read_gaussians(path)
        known = read_camera(path)
        space = config.blending
        if space == "auto":
            space = "linear" if known else gaussians.color_space
        gaussians = in_color_space(gaussians, space)
        lens = photograph_camera(
            focal_px=config.focal_px or _focal_px(known),
            height=known.height if known else UNKNOWN_HEIGHT,
            width=known.width if known else UNKNOWN_WIDTH,
            mode=config.mode,
        )
        return cls(gaussians.to(torch_device(device)), lens, config)

    def cameras(self) -> list[Camera]:
        """Where each frame is taken from, at the film's size."""
        config = self.config
        size = {"height": self.lens.height, "width": self.lens.width}
        height, width = (
            reference_size(**size)
            if config.mode == "reference"
            else film_size(**size, longest_px=config.longest_px)
        )
        if config.width or config.height:
            height, width = _asked_size(config, **size)
        return [
            camera.resized(height=height, width=width)
            for camera in film_cameras(config, self.lens, self.depths)
        ]

    def frame(self, camera: Camera) -> tuple[Picture, Depth]:
        """The picture of a camera, and its depth in m."""
        if self.config.stereo.layout == "none":
            return self._single(camera)
        pair = [self._single(eye) for eye in eyes(self.config.stereo, camera, self.depths)]
        (left, near_left), (right, near_right) = pair
        picture = joined(self.config.stereo, left, right)
        if picture.shape == left.shape:
            return picture, near_left
        beside = [near_left, near_right]
        is_crossed = self.config.stereo.layout == "crossed"
        return picture, np.concatenate(beside[::-1] if is_crossed else beside, axis=1)

    def _single(self, camera: Camera) -> tuple[Picture, Depth]:
        config = self.config
        drawn = draw(self.gaussians, camera, colors=self.colors, blur=config.blur)
        is_reference = config.mode == "reference"
        if config.holes == "fill" or (config.holes == "auto" and not is_reference):
            drawn = drawn.filled()
        return drawn.picture(self.gaussians.color_space, cut_off=is_reference), drawn.depth


class _Reel:
    """The frames of one scene on their way to its films.

    Args:
        config: of the stage.
        context: of the stage.
        name: of the scene in a folder of scenes; empty for a single one.
        number: of the scene.
        scenes: how many there are.
    """

    def __init__(
        self, config: FilmConfig, context: Context, name: str, number: int, scenes: int
    ) -> None:
        self.config, self.context, self.name = config, context, name
        self.number, self.scenes = number, scenes
        self.folder = context.folder / "frames" / (name or "film")

    @property
    def is_done(self) -> bool:
        """Whether its films are made."""
        return f"{self.name}/films" in self.context.items

    def shoot(self, shot: Shot) -> None:
        """Draw what is not drawn yet, and make the films."""
        cameras = shot.cameras()
        self.folder.mkdir(parents=True, exist_ok=True)
        total = len(cameras)
        for number, camera in enumerate(cameras):
            if self.context.should_stop():
                self.context.stop()
            key = f"{self.name}/{number:05d}"
            if key not in self.context.items:
                self._keep(number, *shot.frame(camera))
                self.context.items.add(key)
            done = self.number * total + number + 1
            self.context.progress(done, self.scenes * total, "frames")
        self._cut(total)
        self.context.items.add(f"{self.name}/films")
        shutil.rmtree(self.folder)

    def _keep(self, number: int, picture: Picture, depth: Depth) -> None:
        if number == 0 and self.number == 0:
            self.context.picture(0, "film", picture)
        _save(self._path(number), picture)
        if not self.config.depth:
            return
        noted = self.folder / "farthest_m"
        if number == 0:
            farthest = min(float(depth.max()), self.config.deepest_m)
            write_text(noted, repr(farthest if farthest > 0 else 1.0))
        _save(self._path(number, "depth"), depth_colors(depth, float(noted.read_text())))

    def _path(self, number: int, what: str = "film") -> Path:
        return self.folder / f"{what}-{number:05d}.png"

    def _cut(self, total: int) -> None:
        """Make films and stills of the frames."""
        config, context = self.config, self.context
        films = {"film": "", "depth": ".depth"} if config.depth else {"film": ""}
        for what, suffix in films.items():
            paths = [self._path(number, what) for number in range(total)]
            if self.name:
                target = context.output("films") / f"{self.name}{suffix}.{config.format}"
            else:
                target = context.output(OUTPUTS[what]).with_suffix(f".{config.format}")
            write_video(target, _pictures(paths), fps=config.fps)
        for number in still_numbers(config.stills, total):
            named = f"{self.name}_{number:04d}.png" if self.name else f"{number:04d}.png"
            folder = context.output("stills")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._path(number), folder / named)


def still_numbers(count: int, frames: int) -> list[int]:
    """Frames to keep, spread evenly; the last is not among them, as many paths end at the start."""
    return sorted({number * frames // count for number in range(count)})


def _paths(config: FilmConfig) -> dict[str, Path]:
    """The scenes to film, by name.

    Raises:
        DataError: none is given, or the folder holds none.
    """
    if config.scenes is None:
        if config.scene is None:
            raise DataError(
                "photo.film needs a scene to film, and none was given. Give scene=scene.ply, or a "
                "folder of scenes."
            )
        return {config.scene.stem: config.scene}
    found = sorted(p for p in config.scenes.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(
            f"{config.scenes} holds no scene ({', '.join(SUFFIXES)}). Give the folder `scenes` "
            "that photo.predict makes."
        )
    stems = [path.stem for path in found]
    return {p.stem if stems.count(p.stem) == 1 else p.name.replace(".", "_"): p for p in found}


def _asked_size(config: FilmConfig, *, height: int, width: int) -> tuple[int, int]:
    """The size asked for; a side that is not follows the photograph's shape."""
    wide = config.width or round(config.height * width / height)
    tall = config.height or round(config.width * height / width)
    return tall + tall % 2, wide + wide % 2


def _focal_px(camera: Camera | None) -> float:
    return float(camera.intrinsics[0, 0]) if camera else UNKNOWN_FOCAL_PX


def _save(path: Path, picture: Picture) -> None:
    """Write a frame whole or not at all; lightly packed, for it does not stay."""
    draft = path.with_suffix(".part")
    Image.fromarray(picture).save(draft, format="PNG", compress_level=1)
    draft.replace(path)


def _pictures(paths: Sequence[Path]) -> Iterator[Picture]:
    for path in paths:
        yield np.asarray(Image.open(path))
