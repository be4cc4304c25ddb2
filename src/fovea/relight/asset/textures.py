"""Textures of a surface: what the Gaussians in front of it are made of.

Materials are taken from the views in which a texel is seen, as they are rendered from there, so
that the texture shows what a rendering of the Gaussians shows. What no view sees takes the
materials of the Gaussians nearest to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32
from scipy import ndimage
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from fovea.relight.asset.atlas import Texels, nearby
from fovea.relight.surface.rays import Tracer
from fovea.relight.surface.transfer import lifted
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8
from fovea.scene.rasterize import EMPTY, rasterize

LEAST_RENDERED_PX = 512
"""Views whose longer side is smaller are rendered at a multiple of their size."""
LEAST_FACING = 0.1
"""Cosine below which a view looks too flatly along a surface to tell its material."""
LEAST_WEIGHT = 1e-3
OPAQUE = 0.3
NEAREST = 4

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Textures:
    """Pictures of 8 bits and one size, as glTF wants them.

    Attributes:
        base_color: sRGB.
        occlusion_roughness_metallic: linear; red, green and blue.
        normal: in the tangent frame, n * 0.5 + 0.5; green is up in the picture.
        seen: which part of the texels some view showed.
    """

    base_color: np.ndarray
    occlusion_roughness_metallic: np.ndarray
    normal: np.ndarray
    seen: float


def bake_textures(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    tracer: Tracer,
    texels: Texels,
    occlusion: Float32[np.ndarray, " V"],
    *,
    watch: Watch = lambda done, total: None,
) -> Textures:
    """The textures of an unwrapped surface.

    Args:
        gaussians: with albedo, roughness and metallic.
        cameras: from which the scene was photographed.
        tracer: of the surface in full.
        texels: of the unwrapped one.
        occlusion: ambient occlusion at the full surface's vertices.
        watch: told of the progress in views; what it raises ends the work.
    """
    mesh = tracer.mesh
    carried = np.concatenate([mesh.normals, occlusion[:, None]], axis=1)
    at_texels = nearby(mesh, carried, texels.positions, texels.normals)
    normals, shade = _unit(at_texels[:, :3]), at_texels[:, 3:]
    materials, is_seen = _materials(gaussians, cameras, tracer, texels.positions, normals, watch)
    in_frame = np.linalg.solve(texels.frames.astype(np.float64), normals[..., None])[..., 0]

    def picture(values: np.ndarray) -> np.ndarray:
        return to_uint8(filled(values.astype(np.float32), texels.covered))

    return Textures(
        picture(linear_to_srgb(materials[:, :3])),
        picture(np.concatenate([shade, materials[:, 3:]], axis=1)),
        picture(_unit(in_frame) * 0.5 + 0.5),
        float(is_seen.mean()),
    )


def filled(
    values: Float32[np.ndarray, "T C"], covered: Bool[np.ndarray, "S S"]
) -> Float32[np.ndarray, "S S C"]:
    """A picture of the covered texels' values; the others take that of the nearest covered one.

    So filtering and smaller versions of the picture never mix in a background.
    """
    image = np.zeros((*covered.shape, values.shape[1]), dtype=np.float32)
    image[covered] = values
    nearest: Any = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    rows, columns = nearest
    return image[rows, columns]


def _materials(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    tracer: Tracer,
    positions: np.ndarray,
    normals: np.ndarray,
    watch: Watch,
) -> tuple[np.ndarray, np.ndarray]:
    """Base colour, roughness and metallic of places on the surface, and which of them were seen."""
    columns = [gaussians.extras[name] for name in ("albedo", "roughness", "metallic")]
    values = torch.cat(columns, dim=1).detach()
    total, weight = np.zeros((len(positions), 5), np.float32), np.zeros(len(positions), np.float32)
    starts = lifted(tracer.mesh, positions)
    for number, camera in enumerate(cameras):
        _add_view(gaussians, values, camera, tracer, (starts, positions, normals), (total, weight))
        watch(number + 1, len(cameras))
    is_seen = weight > LEAST_WEIGHT
    total[is_seen] /= weight[is_seen, None]
    total[~is_seen] = _of_nearest(gaussians, values, positions[~is_seen])
    return np.clip(total, 0, 1), is_seen


def _add_view(
    gaussians: Gaussians,
    values: Tensor,
    camera: Camera,
    tracer: Tracer,
    places: tuple[np.ndarray, np.ndarray, np.ndarray],
    sums: tuple[np.ndarray, np.ndarray],
) -> None:
    """Add what a view shows of the places it sees, the more the more squarely it sees them."""
    starts, positions, normals = places
    total, weight = sums
    eye = camera.position.cpu().numpy().astype(np.float32)
    away = eye - starts
    distance = np.linalg.norm(away, axis=1)
    facing = (away * normals).sum(axis=1) / distance
    pixels, depth = camera.to(torch.float32).project(torch.from_numpy(positions))
    grid = pixels / torch.tensor([camera.width, camera.height]) * 2 - 1
    within = (grid.abs() < 1).all(dim=-1).numpy() & (depth > 0).numpy()
    ids = np.flatnonzero((facing > LEAST_FACING) & within)
    toward = away[ids] / distance[ids, None]
    ids = ids[~tracer.occluded(starts[ids], toward, near=0, far=distance[ids])]
    shown = _looked_up(_rendered(gaussians, values, camera), grid[torch.from_numpy(ids)])
    counts = facing[ids] ** 2 * shown[:, -1]
    total[ids] += counts[:, None] * shown[:, :-1] / np.maximum(shown[:, -1:], EMPTY)
    weight[ids] += counts


def _rendered(gaussians: Gaussians, values: Tensor, camera: Camera) -> Tensor:
    """The materials as a view shows them, [H, W, 6]: multiplied by alpha, and alpha."""
    scale = max(1, round(LEAST_RENDERED_PX / max(camera.height, camera.width)))
    large = camera.resized(height=camera.height * scale, width=camera.width * scale)
    with torch.no_grad():
        drawn = rasterize(gaussians, large, features=values)
    return torch.cat([drawn.features, drawn.alpha[..., None]], dim=-1)


def _looked_up(image: Tensor, grid: Tensor) -> np.ndarray:
    planes = image.permute(2, 0, 1)[None].cpu()
    found = functional.grid_sample(planes, grid[None, None].float(), align_corners=False)
    return found[0, :, 0].T.numpy()


def _of_nearest(gaussians: Gaussians, values: Tensor, positions: np.ndarray) -> np.ndarray:
    """The mean materials of a few opaque Gaussians beside each place."""
    opacities = gaussians.opacities.detach()
    opaque = opacities >= torch.minimum(opacities.new_tensor(OPAQUE), opacities.median())
    means, rows = (part[opaque].cpu().numpy() for part in (gaussians.means.detach(), values))
    count = min(NEAREST, len(means))
    _, found = KDTree(means).query(positions, k=count)
    at = np.reshape(found, (len(positions), count))
    weights = opacities[opaque].cpu().numpy()[at]
    return np.einsum("pk,pkc->pc", weights, rows[at]) / weights.sum(axis=1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
