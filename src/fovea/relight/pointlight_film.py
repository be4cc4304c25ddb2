"""Films under a point light that stands or moves among the photographs' cameras.

`shadow_map` leaves the light at the first camera of the way and moves the camera, `light_move` the
other way round. Shadows come from rays against the surface, or from a cube of depths around the
light, as the published demonstrations have it.

Source: the point-light demonstrations of Liang et al., "GS-IR" (2024). Theirs compare depths along
the axis of a cube's face with distances; in the corrected mode both are distances. Depths are means
over the Gaussians of a pixel in both modes, where one of theirs takes the strongest Gaussian's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.light import cubemap
from fovea.relight.relighting import THIN, LastBuffer, Studio, displayed
from fovea.relight.scores import backdrop
from fovea.relight.settings.film import FilmConfig
from fovea.relight.shading import points
from fovea.relight.volumes.projection import face_cameras, radial
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

if TYPE_CHECKING:
    from fovea.relight.gbuffer import GBuffer
    from fovea.relight.surface.rays import Tracer

Motion = Literal["shadow_map", "light_move"]
Points = Float[Tensor, "n 3"]

PUBLISHED_BIAS = {"shadow_map": 0.3, "light_move": 0.2}
"""World units by which a point may lie behind the depth of the cube and still be lit."""
PUBLISHED_SHADOWED = {"shadow_map": 0.3, "light_move": 0.2}
"""What is left of a shadowed colour."""
BIAS = 0.02
"""In the corrected mode: the same as a share of the distance to the light."""
LIFT = 0.005
"""How far above the surface rays start, as a share of its extent."""
SNAP = 0.1
"""How far the surface may lie from the Gaussians' depths to be taken for them; the same share."""
FARTHEST = 1e6
"""Stands for infinitely far, and can be blended."""
NEAR = {"corrected": 1e-3, "reference": 0.2}


class PointFilm:
    """A scene under a point light, frame by frame.

    Raises:
        DataError: the way has no cameras.
    """

    def __init__(
        self, studio: Studio, config: FilmConfig, views: Sequence[Camera], count: int
    ) -> None:
        point = config.point
        keys = _keys(config, views)
        way = key_path(keys, count)
        standing = [keys[0]] * count
        moves_light = point.motion == "light_move"
        self.cameras = standing if moves_light else way
        self.lights = [camera.position.float() for camera in (way if moves_light else standing)]
        self.motion: Motion = "light_move" if moves_light else "shadow_map"
        self.studio, self.point, self.buffers = studio, point, LastBuffer(studio)
        self.behind = backdrop("black" if config.background == "light" else config.background)
        self.method = _method(config, studio.tracer)
        self._cube: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def picture(self, number: int, camera: Camera) -> Float[Tensor, "h w 3"]:
        """Frame `number` from a camera."""
        buffer = self.buffers(camera)
        light = self.lights[number].to(buffer.points)
        linear = torch.zeros_like(buffer.albedo)
        # Where nothing is seen there is no point to shade.
        is_seen = buffer.alpha > THIN
        linear[is_seen] = self._shaded(buffer, camera, light, is_seen)
        return displayed(linear * buffer.alpha[..., None], buffer.alpha, self.behind)

    def _shaded(
        self, buffer: GBuffer, camera: Camera, light: Float[Tensor, " 3"], is_seen: Tensor
    ) -> Float[Tensor, "n 3"]:
        """The linear radiance of the pixels that see something."""
        at, normals = buffer.points[is_seen], buffer.normals[is_seen]
        shadow = self._shadow(camera, at, normals, light)
        shaded = points.shade_point(
            points.PointLight(light, self.point.intensity),
            points=at,
            normals=normals,
            view=buffer.view[is_seen],
            albedo=buffer.albedo[is_seen],
            roughness=buffer.roughness[is_seen],
            metallic=buffer.metallic[is_seen],
            shadow=None if shadow is None else shadow[:, None],
            shadow_strength=1 - self._left(),
            mode=self.studio.config.mode,
        )
        distance = (at - light).norm(dim=-1, keepdim=True)
        return shaded * distance ** (2 - self.point.falloff)

    def _left(self) -> float:
        """The share of the light that a shadow leaves."""
        if self.point.shadowed >= 0:
            return self.point.shadowed
        return PUBLISHED_SHADOWED[self.motion] if self.studio.config.mode == "reference" else 0.0

    def _shadow(
        self, camera: Camera, at: Points, normals: Points, light: Float[Tensor, " 3"]
    ) -> Bool[Tensor, " n"] | None:
        """Where the light is hidden."""
        if self.method == "off":
            return None
        if self.method == "cube":
            return self._cube_shadow(at, light)
        assert self.studio.tracer is not None, "rays are chosen where there is a surface"
        return traced_shadow(self.studio.tracer, camera, at, normals, light)

    def _cube_shadow(self, at: Points, light: Float[Tensor, " 3"]) -> Bool[Tensor, " n"]:
        mode = self.studio.config.mode
        if self._cube is None or not torch.equal(self._cube[0], light):
            depths = depth_cube(
                self.studio.gaussians, light, px=self.point.cube_px, motion=self.motion, mode=mode
            )
            self._cube = light, depths
        toward = at - light
        distance = toward.norm(dim=-1)
        nearest = cubemap.sample(self._cube[1][..., None], toward).squeeze(-1)
        bias = PUBLISHED_BIAS[self.motion] if mode == "reference" else BIAS * distance
        # Unlike points.in_shadow, a depth of 0 hides everything: the published films have it so.
        return distance - bias > nearest


def key_path(keys: Sequence[Camera], count: int) -> list[Camera]:
    """The published way through cameras: a cubic through positions, rotations slerped.

    Time is the number of the camera, so that each takes equally long; the last one is not reached.
    """
    if len(keys) == 1:
        return [keys[0]] * count
    times = np.arange(len(keys))
    wanted = np.arange(count) / count * (len(keys) - 1)
    places = np.stack([key.position.cpu().double().numpy() for key in keys])
    poses = np.stack([key.rotation.T.cpu().double().numpy() for key in keys])
    at = CubicSpline(times, places)(wanted)
    turned = Slerp(times, Rotation.from_matrix(poses))(wanted).as_matrix()
    first = keys[0]
    found: list[Camera] = []
    for rotation, place in zip(turned, at, strict=True):
        pose = np.eye(4)
        pose[:3, :3] = rotation.T
        pose[:3, 3] = -rotation.T @ place
        found.append(
            Camera(torch.from_numpy(pose), first.intrinsics, height=first.height, width=first.width)
        )
    return found


@torch.no_grad()
def depth_cube(
    gaussians: Gaussians, light: Float[Tensor, " 3"], *, px: int, motion: Motion, mode: points.Mode
) -> Float[Tensor, "6 {px} {px}"]:
    """How far the scene is from a point in every direction, on a cubemap in world axes.

    Corrected: distances, a million where nothing is. Reference: depths along the axis of the face;
    where nothing is, the largest of them for `shadow_map` and 0 for `light_move`.
    """
    none = gaussians.means.new_zeros((len(gaussians), 1))
    seen = [
        rasterize(gaussians, camera, features=none, near=NEAR[mode])
        for camera in face_cameras(light, px)
    ]
    depths = torch.stack([raster.depth for raster in seen])
    if mode == "corrected":
        distances = radial(depths, torch.stack([raster.alpha for raster in seen]))
        return torch.where(distances > 0, distances, FARTHEST)
    depths = depths.flip(-1)
    return torch.where(depths == 0, depths.max(), depths) if motion == "shadow_map" else depths


def traced_shadow(
    tracer: Tracer, camera: Camera, seen: Points, normals: Points, light: Float[Tensor, " 3"]
) -> Bool[Tensor, " n"]:
    """Whether the surface stands between what a camera's pixels see and the light.

    Where the camera's ray meets the surface near a pixel's point, the shadow is that of the place
    where it does: depths of shiny things lie behind their surface, which would shadow them.
    """
    low, high = tracer.mesh.bounds
    extent = float(np.linalg.norm(high - low))
    eye = camera.position.cpu().float().numpy()
    away = seen.cpu().numpy() - eye
    reach = np.linalg.norm(away, axis=1)
    along = away / np.maximum(reach, 1e-9)[:, None]
    hits = tracer.hit(np.broadcast_to(eye, along.shape), along)
    is_near = np.abs(np.where(hits.found, hits.distance, np.inf) - reach) < SNAP * extent
    at = eye + along * np.where(is_near, hits.distance, reach)[:, None]
    starts = at + LIFT * extent * normals.cpu().numpy()
    toward = light.cpu().numpy() - starts
    distance = np.linalg.norm(toward, axis=1)
    found = tracer.occluded(starts, toward / np.maximum(distance, 1e-9)[:, None], far=distance)
    return torch.from_numpy(found).to(light.device)


def _keys(config: FilmConfig, views: Sequence[Camera]) -> list[Camera]:
    point = config.point
    end = len(views) if point.end < 0 else point.end
    keys = list(views[point.start : end])
    if not keys:
        raise DataError(
            f"a point light takes its way through cameras, and point.start={point.start} to"
            f" point.end={point.end} leaves none of the {len(views)} there are. Choose numbers in"
            f" 0..{len(views)}."
        )
    return [*keys, keys[0]] if point.loop else keys


def _method(config: FilmConfig, tracer: Tracer | None) -> Literal["rays", "cube", "off"]:
    """How shadows are found.

    Raises:
        DataError: rays are wanted, and there is no surface.
    """
    wanted = config.point.shadows
    if wanted == "off" or not config.shadows:
        return "off"
    if wanted == "rays" and tracer is None:
        raise DataError(
            f"point.shadows=rays needs a surface to trace against; surface={config.surface},"
            f" mode={config.mode}. Give surface=surface.ply of relight.bake in mode=corrected, or"
            " point.shadows=cube."
        )
    if wanted == "cube" or tracer is None:
        return "cube"
    return "rays"
