"""How well a scene made of one photograph of a posed capture foretells the others.

The poses of a capture say where its photographs were taken, in units of their own; a scene of one
photograph is in metres, or in what a network takes for metres. One number is therefore given to
every method: units of the capture for a metre of the scene. It is found on every other one of the
views, as the number of the highest PSNR, and what is reported is of the views between them.

Beside the scene stands a wall, the photograph at one depth, which gets its number in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from fovea.errors import DataError
from fovea.metrics.metric import MeanMetric
from fovea.metrics.scores import image_scores, mean_of
from fovea.photo.drawing import Picture, constant_colors, draw
from fovea.photo.lift import lift
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph
from fovea.scene.covariance import mapped
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import resize, to_uint8
from fovea.scene.path import looked_at

SEARCH_PX = 200
"""Longer side of the pictures by which the scale is found."""
SEARCH_FACTOR, HALVINGS = 6.0, 5
"""The scale is sought within this factor of the first guess, both ways; steps are then halved."""
SCENE, WALL = "scene", "wall"
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Foretold:
    """One method's answer.

    Attributes:
        units_per_m: of the capture, for a metre of the scene.
        pictures: of the scored views.
        scores: of each of them.
    """

    units_per_m: float
    pictures: list[Picture]
    scores: list[dict[str, float]]

    @property
    def mean(self) -> dict[str, float]:
        """Over the views."""
        return mean_of(self.scores)


def nearest_views(source: Camera, others: Sequence[Camera], count: int) -> list[int]:
    """The numbers of the views that see most of what `source` sees, the nearest first.

    Nearness is the angle between the optical axes, and the way between the cameras as seen from
    the middle of all the cameras' places, a radian of one counting like a radian of the other.
    """
    places = torch.stack([camera.position for camera in [source, *others]]).double()
    away = (places - places.mean(dim=0)).norm(dim=1).median().clamp_min(1e-12)
    apart = (places[1:] - places[0]).norm(dim=1) / away
    axes = torch.stack([camera.rotation[2] for camera in [source, *others]]).double()
    turned = torch.arccos((axes[1:] @ axes[0]).clamp(-1, 1))
    order = torch.argsort(apart + turned, stable=True)
    return [int(number) for number in order[:count]]


def evaluate_views(
    source: Photograph,
    others: Sequence[Photograph],
    gaussians: Gaussians,
    lens: Camera,
    *,
    metrics: Mapping[str, MeanMetric],
    watch: Watch = lambda done, total: None,
) -> dict[str, Foretold]:
    """Score a scene of one photograph, and a wall, on others.

    Args:
        source: the photograph that the scene was made of.
        others: two at least, the nearest first; the first, third ... find the scale, the rest
            are scored.
        gaussians: the scene, in its photograph's camera.
        lens: the camera that the scene was made with, at the origin.
        metrics: by name.
        watch: told of the work; may raise to stop.

    Raises:
        DataError: there are fewer than two others.
    """
    if len(others) < 2:
        raise DataError(
            f"novel views are scored on other photographs than those that find the scale, two at "
            f"least, and got {len(others)}. Raise views, or take a capture of more photographs."
        )
    pixels = to_uint8(source.over(torch.ones(3)).numpy())
    camera = at_origin(source.camera)
    scene = on_true_rays(in_color_space(gaussians, "linear"), lens, camera)
    wall = lift(pixels, np.ones(pixels.shape[:2]), camera)
    depths = {SCENE: float(scene.means[:, 2].median()), WALL: 1.0}
    found: dict[str, Foretold] = {}
    total = 2 * (_tries() + 1)
    for number, (name, method) in enumerate({SCENE: scene, WALL: wall}.items()):
        begun = number * (_tries() + 1)
        middle = _distance([source.camera, *(other.camera for other in others)])
        units = best_scale(
            method,
            source.camera,
            others[::2],
            start=middle / depths[name],
            watch=lambda done, begun=begun: watch(begun + done, total),
        )
        targets = others[1::2]
        pictures = [foretold(method, source.camera, t.camera, units) for t in targets]
        scores = [
            image_scores(metrics, torch.from_numpy(picture).float() / 255, t.over(torch.ones(3)))
            for picture, t in zip(pictures, targets, strict=True)
        ]
        found[name] = Foretold(units, pictures, scores)
        watch(begun + _tries() + 1, total)
    return found


def at_origin(camera: Camera) -> Camera:
    """The same lens, its own axes the world's."""
    return replace(camera, world_to_camera=torch.eye(4, dtype=torch.float64))


def on_true_rays(gaussians: Gaussians, lens: Camera, camera: Camera) -> Gaussians:
    """The scene with each Gaussian on the ray of its pixel, the lens having been another.

    A scene is made with a guess of the focal length and the middle of the picture; a capture knows
    both. Depths stay.
    """
    made: Float64[Tensor, "3 3"] = lens.resized(height=camera.height, width=camera.width).intrinsics
    affine = torch.linalg.solve(camera.intrinsics.double(), made.double())
    means, quats, scales = (
        values.detach().float().cpu().numpy()
        for values in (gaussians.means, gaussians.quats, gaussians.scales)
    )
    shapes = mapped(means, quats, scales, np.concatenate([affine.numpy(), np.zeros((3, 1))], 1))
    moved = dict(zip(shapes._fields, shapes, strict=True))
    rows = {name: torch.from_numpy(v).to(gaussians.means) for name, v in moved.items()}
    return replace(gaussians, **rows)


def foretold(scene: Gaussians, source: Camera, target: Camera, units_per_m: float) -> Picture:
    """What a target sees of a scene that stands in the source's axes, filled where nothing is."""
    pose = target.world_to_camera.double() @ source.camera_to_world.double()
    pose[:3, 3] /= units_per_m
    drawn = draw(scene, replace(target, world_to_camera=pose), colors=constant_colors(scene))
    return drawn.filled().picture(scene.color_space)


def best_scale(
    scene: Gaussians,
    source: Camera,
    views: Sequence[Photograph],
    *,
    start: float,
    watch: Callable[[int], None] = lambda done: None,
) -> float:
    """The units for a metre at which the views are foretold best, by PSNR of small pictures."""
    small = [_small(view) for view in views]
    tried: dict[float, float] = {}

    def decibels(log_scale: float) -> float:
        if log_scale not in tried:
            tried[log_scale] = float(
                np.mean(
                    [
                        _psnr(foretold(scene, source, camera, math.exp(log_scale)), truth)
                        for camera, truth in small
                    ]
                )
            )
            watch(len(tried))
        return tried[log_scale]

    step = math.log(SEARCH_FACTOR) / 4
    best = max((math.log(start) + n * step for n in range(-4, 5)), key=decibels)
    for _ in range(HALVINGS):
        step /= 2
        best = max((best, best - step, best + step), key=decibels)
    return math.exp(best)


def _tries() -> int:
    return 9 + 2 * HALVINGS


def _distance(cameras: Sequence[Camera]) -> float:
    """A guess of how far what is seen lies: from the first camera to the middle of the axes."""
    middle = looked_at(cameras)
    return max(float(np.linalg.norm(cameras[0].position.numpy() - middle)), 1e-9)


def _small(view: Photograph) -> tuple[Camera, Picture]:
    height, width = view.camera.height, view.camera.width
    share = min(1.0, SEARCH_PX / max(height, width))
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    values = resize(view.over(torch.ones(3)).numpy(), height=tall, width=wide, filter="area")
    return view.camera.resized(height=tall, width=wide), to_uint8(values)


def _psnr(picture: Picture, truth: Picture) -> float:
    error = np.square(picture.astype(np.float64) - truth).mean() / 255**2
    return float(-10 * np.log10(max(error, 1e-12)))
