"""A scene with materials under one light after another: what films and scores share.

The shading itself is `deferred`'s. Here it is decided which maps there are, how they stand in the
world, what casts shadows, and how linear light becomes a picture. Pictures are sRGB in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.light import latlong
from fovea.relight.light.environment import Environment, Up
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.lighting import Lighting
from fovea.relight.settings.lit import LitConfig
from fovea.relight.shading import table
from fovea.relight.shading.split_sum import BlurredLight, shade_linear
from fovea.relight.shading.tonemap import display
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.path import upward

if TYPE_CHECKING:
    from fovea.relight.deferred import Relighter
    from fovea.relight.gbuffer import GBuffer
    from fovea.relight.surface.rays import Tracer
    from fovea.relight.volumes.occlusion import OcclusionVolume

MATERIALS = ("normal", "albedo", "roughness", "metallic")
LEVEL = 0.9
"""Cosine between the photographs' up and an axis from which on that axis is meant."""
LEAST_SEEN = 0.01
"""Share of the Gaussians that some camera must see, if the two belong together."""
MAP_HEIGHT = 128
"""Rows of the map that a learnt cubemap becomes."""
THIN = 1e-4
"""Coverage below which a pixel's own colour is not made out."""


def missing_materials(gaussians: Gaussians) -> list[str]:
    """The attributes without which a scene cannot be put under another light."""
    return [name for name in MATERIALS if name not in gaussians.extras]


def require_materials(gaussians: Gaussians, scene: Path, wanted_by: str) -> None:
    """Refuse a scene that has no materials.

    Raises:
        DataError: with the stage that makes them.
    """
    missing = missing_materials(gaussians)
    if missing:
        raise DataError(
            f"{wanted_by} needs a scene with materials, and {scene} has no {', '.join(missing)}."
            " Make one with relight.decompose, and give its scene.ply."
        )


def require_seen(gaussians: Gaussians, cameras: Sequence[Camera], scene: Path, given: Path) -> None:
    """Refuse cameras that look past the scene.

    Raises:
        DataError: hardly a Gaussian stands before any of them.
    """
    means = gaussians.means.detach().cpu().double()
    best = 0.0
    for camera in cameras:
        pixels, depth = camera.to(torch.float64).project(means)
        inside = (pixels >= 0) & (pixels < pixels.new_tensor([camera.width, camera.height]))
        best = max(best, float((inside.all(dim=-1) & (depth > 0)).double().mean()))
        if best >= LEAST_SEEN:
            return
    raise DataError(
        f"the cameras of {given} must see the scene, and none of the {len(cameras)} has more than"
        f" {best:.1%} of the Gaussians of {scene} in view. They belong to another scene: give the"
        " ones it was fitted from."
    )


def up_of(config: LitConfig, cameras: Sequence[Camera]) -> Up:
    """Which way is up in the world, for the maps: as asked for, or as the cameras were held."""
    if config.up != "auto":
        return config.up
    if config.mode == "reference":
        return "y"
    return up_seen(cameras)


def up_seen(cameras: Sequence[Camera]) -> Up:
    """Which way the cameras were held: an axis where it is nearly one, z where there are none."""
    if not cameras:
        return "z"
    up = upward(cameras)
    if up[2] > LEVEL:
        return "z"
    return "y" if up[1] > LEVEL else (float(up[0]), float(up[1]), float(up[2]))


def maps_in(folder: Path) -> dict[str, Path]:
    """The environment maps of a folder by their names without ending.

    Raises:
        DataError: there are none.
    """
    found = {
        path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".hdr", ".exr")
    }
    if not found:
        names = sorted(path.name for path in folder.iterdir())[:6]
        raise DataError(
            f"lights are .hdr or .exr maps, and {folder} holds {', '.join(names) or 'nothing'}."
            " Give a folder of environment maps; pictures of 8 bits hold no light."
        )
    return found


class Studio:
    """A scene with materials, and what casts shadows in it.

    Args:
        gaussians: with materials.
        config: the lights' setting and the way of shading.
        cameras: from which it was photographed; they tell up.
    """

    def __init__(
        self, gaussians: Gaussians, config: LitConfig, cameras: Sequence[Camera] = ()
    ) -> None:
        self.gaussians = gaussians
        self.config = config
        self.up: Up = up_of(config, cameras)
        self.tracer = _tracer(config)
        self.lighting = Lighting.read(config.lighting) if config.lighting else None

    def environment(self, path: Path) -> Environment:
        """A map as it stands in this world, turned and dimmed as asked for."""
        config = self.config
        return Environment.read(
            path, up=self.up, yaw_deg=config.yaw_deg, exposure=config.exposure
        ).to(self.gaussians.means.device)

    @torch.no_grad()
    def buffer(self, camera: Camera) -> GBuffer:
        """What a camera sees of geometry and materials."""
        from fovea.relight.gbuffer import gbuffer

        is_reference = self.config.mode == "reference"
        footprint = "reference" if is_reference else "exact"
        return gbuffer(self.gaussians, camera, tracer=self.tracer, footprint=footprint)

    def under(self, environment: Environment) -> Relighter:
        """The scene's shading under a light; made once for all cameras."""
        from fovea.relight.deferred import Relighter

        is_reference = self.config.mode == "reference"
        return Relighter(
            unturned(environment) if is_reference else environment,
            tracer=self.tracer,
            samples=self.config.samples,
            mode=self.config.mode,
            shading=self.config.shading,
        )

    def fitted_environment(self) -> Environment | None:
        """The light that the scene was fitted under, where it was given."""
        if self.config.light is not None:
            light = Environment.read(self.config.light, up=self.up)
        elif self.lighting is not None:
            # A cubemap in world axes is a map that needs no turning.
            radiance = latlong.from_cubemap(self.lighting.cubemap, MAP_HEIGHT)
            light = Environment(radiance, up="y")
        else:
            return None
        return light.to(self.gaussians.means.device)

    def fitted(self) -> Relighter | FittedLight | None:
        """The shading under that light."""
        if self.config.mode == "reference" and self.lighting:
            return FittedLight(self.lighting, self._occlusion())
        light = self.fitted_environment()
        return light and self.under(light)

    def picture(
        self,
        shading: Relighter | FittedLight,
        buffer: GBuffer,
        behind: Float[Tensor, " 3"] | Float[Tensor, "h w 3"],
    ) -> Float[Tensor, "h w 3"]:
        """A shaded view before a background."""
        linear = shading.shade(buffer)
        flags = self.lighting.flags if self.lighting and self.config.mode == "reference" else {}
        # The published pictures under the fitted light end at the mask, not by coverage.
        is_cut = isinstance(shading, FittedLight)
        alpha = (buffer.alpha > 0).to(linear) if is_cut else buffer.alpha
        return displayed(
            linear,
            alpha,
            behind,
            tone=bool(flags.get("tone", False)),
            gamma=bool(flags.get("gamma", True)),
        )

    def _occlusion(self) -> OcclusionVolume | None:
        path = self.config.occlusion
        if path is None or not self.config.shadows:
            return None
        from fovea.relight.volumes.occlusion import OcclusionVolume

        volume = OcclusionVolume.read(path)
        volume.require_scene(self.gaussians, where=path)
        return volume.to(self.gaussians.means.device)


class FittedLight:
    """The learnt light of the reference mode, with what hides it and what comes from nearby.

    Args:
        lighting: of relight.decompose mode=reference.
        occlusion: baked; None where nothing hides the light.
    """

    def __init__(self, lighting: Lighting, occlusion: OcclusionVolume | None) -> None:
        self.lighting = lighting
        self.occlusion = occlusion if lighting.flags.get("indirect") else None
        prefilter = Prefilter(lighting.cubemap.shape[1], "reference")
        self.blurred = BlurredLight(*prefilter(lighting.cubemap))

    @torch.no_grad()
    def shade(self, buffer: GBuffer) -> Float[Tensor, "h w 3"]:
        """The view's linear radiance; black where nothing is."""
        visible, nearby = None, None
        if self.occlusion is not None:
            visible = self.occlusion.visibility(buffer.points, buffer.normals)[..., None]
        if visible is not None and self.lighting.nearby is not None:
            nearby = self.lighting.nearby.irradiance(buffer.points, buffer.normals)
        shaded = shade_linear(
            self.blurred,
            table.table(),
            normals=buffer.normals,
            view=buffer.view,
            albedo=buffer.albedo,
            roughness=buffer.roughness,
            metallic=buffer.metallic if self.lighting.flags.get("metallic") else None,
            visibility=visible,
            irradiance=nearby,
        )
        return torch.where(buffer.alpha[..., None] > 0, shaded.color, 0)


class LastBuffer:
    """What a camera sees of a scene; kept while the camera stands."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._seen: tuple[Camera, GBuffer] | None = None

    def __call__(self, camera: Camera) -> GBuffer:
        """The maps of a view."""
        if self._seen is None or self._seen[0] is not camera:
            self._seen = camera, self.studio.buffer(camera)
        return self._seen[1]


def displayed(
    linear: Float[Tensor, "h w 3"],
    alpha: Float[Tensor, "h w"],
    behind: Float[Tensor, " 3"] | Float[Tensor, "h w 3"],
    *,
    tone: bool = False,
    gamma: bool = True,
) -> Float[Tensor, "h w 3"]:
    """Linear light, multiplied by coverage, as a picture before a background.

    Colour is made display-ready where the thing is, and then laid over the background by coverage,
    as photographs with alpha are.

    Args:
        linear: what the shading gives.
        alpha: coverage.
        behind: sRGB, one colour or a picture.
        tone: bend highlights; otherwise they are cut off.
        gamma: encode as sRGB; a reference fit without it has display values already.
    """
    cover = alpha[..., None]
    own = display(linear / cover.clamp_min(THIN), tone=tone, gamma=gamma)
    return torch.lerp(behind.to(own).expand_as(own), own, cover).clamp(0, 1)


def sky(environment: Environment, camera: Camera) -> Float[Tensor, "h w 3"]:
    """The environment as a camera sees it, a picture."""
    directions = camera.directions().to(environment.radiance)
    return linear_to_srgb(environment.radiance_at(directions).clamp(0, 1))


def unturned(light: Environment) -> Environment:
    """The same light as a map whose own axes are the world's: all that the reference can read."""
    if light.up == "y" and light.yaw_deg == 0:
        return light
    height, width, _ = light.radiance.shape
    directions = latlong.directions(height, width).to(light.radiance)
    return Environment(light.radiance_at(directions), up="y")


def _tracer(config: LitConfig) -> Tracer | None:
    """Rays against the surface, where shadows are asked for and a surface is given."""
    if config.surface is None or not config.shadows or config.mode == "reference":
        return None
    from fovea.relight.surface.mesh import read_mesh
    from fovea.relight.surface.rays import Tracer

    return Tracer(read_mesh(config.surface))


def evenly(count: int, most: int) -> list[int]:
    """At most so many numbers from 0 to count - 1, evenly spread; 0 takes all."""
    if most == 0 or most >= count:
        return list(range(count))
    return sorted(set(np.linspace(0, count - 1, most).round().astype(int).tolist()))
