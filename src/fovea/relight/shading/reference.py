"""One view as the reference shades it: drawn maps in, a picture out.

The published second stage, with its oddities: normals count where none of their components is 0,
attributes are not divided by alpha, points are taken along unit rays by z-depth, and roughness is
lifted off 0 in training only. The corrected way of shading a view is `fovea.relight.deferred`'s.

Source: Liang et al., "GS-IR" (CVPR 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fovea.relight.shading.pixels import Pixels
from fovea.relight.shading.split_sum import BlurredLight, remap_roughness, shade
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

CLEAR, SOLID = 0.004, 0.996
"""Coverage below and above which a pixel of an evaluated view counts as empty and as full."""

MATERIALS = ("normal", "albedo", "roughness", "metallic")


@dataclass(frozen=True)
class DrawnMaps:
    """What the rasteriser gives: attributes summed with their weights, over nothing.

    Attributes:
        normals: not of length 1.
        albedo: linear.
        roughness: as stored, 0..1 times alpha.
        metallic: 0..1 times alpha.
        alpha: the sum of the weights.
        depth: mean z-depth; 0 where nothing is.
    """

    normals: Float[Tensor, "h w 3"]
    albedo: Float[Tensor, "h w 3"]
    roughness: Float[Tensor, "h w 1"]
    metallic: Float[Tensor, "h w 1"]
    alpha: Float[Tensor, "h w"]
    depth: Float[Tensor, "h w"]


@dataclass(frozen=True)
class Surface(Pixels):
    """Pixels as they are shaded: points inside the box of the volumes, roughness lifted or not.

    Attributes:
        mask: where there is a surface.
    """

    mask: Bool[Tensor, "h w 1"]


@dataclass(frozen=True)
class Flags:
    """How the reference was told to shade; the same for training and everything after it.

    Attributes:
        tone: bend highlights.
        gamma: compare with photographs as sRGB; otherwise as if they were linear.
        metallic: use the metallic channel.
        indirect: use visibility and indirect light.
    """

    tone: bool = False
    gamma: bool = False
    metallic: bool = False
    indirect: bool = False


def draw(gaussians: Gaussians, camera: Camera) -> DrawnMaps:
    """Draw the materials of a scene; their gradients do not reach the geometry."""
    extras = [gaussians.extras[name] for name in MATERIALS]
    drawn = rasterize(
        gaussians,
        camera,
        features=extras[0].new_zeros((len(gaussians), 0)),
        passengers=torch.cat(extras, dim=1),
        footprint="reference",
    )
    normals, albedo, roughness, metallic = drawn.passengers.split([3, 3, 1, 1], dim=-1)
    return DrawnMaps(normals, albedo, roughness, metallic, drawn.alpha, drawn.depth)


def surface(
    maps: DrawnMaps,
    camera: Camera,
    *,
    is_training: bool,
    bound: float = 1.5,
    first_camera: Camera | None = None,
) -> Surface:
    """The pixels to shade. Gradients reach the materials, not the normals.

    Args:
        maps: of the view.
        camera: that they belong to.
        is_training: otherwise edges fade to a normal along +z, the background counts as rough,
            and roughness is shaded as it is stored.
        bound: half the side of the box around the origin that points are kept in.
        first_camera: whose rays are used for every view; the camera's own when left out. The
            reference takes those of the first training camera.
    """
    lens = camera if first_camera is None else first_camera
    in_camera = lens.directions().to(maps.normals) @ lens.rotation.T.to(maps.normals)
    rays = in_camera @ camera.rotation.to(maps.normals)
    points = camera.position.to(rays) + rays * maps.depth.detach().unsqueeze(-1)
    normals = maps.normals.detach()
    mask = (normals != 0).all(dim=-1, keepdim=True)
    roughness = maps.roughness
    if is_training:
        roughness = remap_roughness(roughness)
    else:
        alpha = maps.alpha.detach().unsqueeze(-1)
        roughness = roughness + 1 - alpha
        normals = _padded(normals, alpha)
    return Surface(
        points=points.clamp(-bound, bound),
        normals=functional.normalize(normals, dim=-1),
        view=-rays,
        albedo=maps.albedo,
        roughness=roughness,
        metallic=maps.metallic,
        mask=mask,
    )


def shade_view(
    pixels: Surface,
    light: BlurredLight,
    table: Float[Tensor, "size size 2"],
    flags: Flags,
    *,
    visibility: Float[Tensor, "h w 1"] | None = None,
    irradiance: Float[Tensor, "h w 1"] | None = None,
) -> Float[Tensor, "h w 3"]:
    """The picture, 0..1, black where there is no surface.

    Args:
        pixels: from `surface`.
        light: blurred, y up as the reference takes every world.
        table: of the BRDF.
        flags: how to shade.
        visibility: of the pixels' points, from the occlusion volume; with `flags.indirect` only.
        irradiance: of the same, from the irradiance volume; with `flags.indirect` only.
    """
    return shade(
        light,
        table,
        mask=pixels.mask,
        tone=flags.tone,
        gamma=flags.gamma,
        normals=pixels.normals,
        view=pixels.view,
        albedo=pixels.albedo,
        roughness=pixels.roughness,
        metallic=pixels.metallic if flags.metallic else None,
        visibility=visibility if flags.indirect else None,
        irradiance=irradiance if flags.indirect else None,
    )


def _padded(normals: Tensor, alpha: Tensor) -> Tensor:
    """Normals that fade to +z where a pixel is half empty."""
    alpha = torch.where(alpha < CLEAR, 0, torch.where(alpha > SOLID, 1, alpha))
    return normals * alpha + (1 - alpha) * normals.new_tensor([0.0, 0, 1])
