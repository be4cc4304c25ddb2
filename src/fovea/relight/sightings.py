"""What the photographs show of a surface: for each pixel the place that it looks at.

A sighting is a pixel whose ray meets the surface. `N` sightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.gbuffer import facing
from fovea.relight.surface.rays import Tracer
from fovea.scene.capture import Photograph
from fovea.scene.color import srgb_to_linear

WHOLE = 0.99
"""Alpha from which a pixel shows the thing and nothing behind it."""
MOST = 4_000_000
LEAST_COSINE = 0.05
LEAST_WEIGHT = 5e-3
"""A vertex seen less than this takes its neighbours' colour."""
NEAR = 0.02


@dataclass(frozen=True)
class Sightings:
    """Pixels that show a surface.

    Attributes:
        points: in the world.
        normals: of the surface, towards the eye.
        view: of length 1, to the eye.
        corners: the vertices of the triangle that is seen.
        weights: barycentric.
        colors: of the pixels, sRGB.
    """

    points: Float[Tensor, "N 3"]
    normals: Float[Tensor, "N 3"]
    view: Float[Tensor, "N 3"]
    corners: Int[Tensor, "N 3"]
    weights: Float[Tensor, "N 3"]
    colors: Float[Tensor, "N 3"]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, some: Tensor) -> Sightings:
        """Some of them, by number."""
        return Sightings(*(getattr(self, part.name)[some] for part in fields(self)))


def look(
    photographs: Sequence[Photograph], tracer: Tracer, *, random: torch.Generator
) -> Sightings:
    """The sightings of all photographs, four million of them at most.

    Raises:
        DataError: no pixel shows the surface.
    """
    each = [_of(photograph, tracer) for photograph in photographs]
    total = sum(map(len, each))
    if total == 0:
        raise DataError(
            f"the surface of {len(tracer.mesh.faces)} triangles must be seen by the photographs,"
            f" and none of {len(each)} shows it. They belong to another scene: give the capture"
            " that it was fitted to."
        )
    if total > MOST:
        share = MOST / total
        each = [
            seen[torch.rand(len(seen), generator=random).lt(share).nonzero().squeeze(1)]
            for seen in each
        ]
    return Sightings(
        *(torch.cat([getattr(seen, part.name) for seen in each]) for part in fields(Sightings))
    )


def _of(photograph: Photograph, tracer: Tracer) -> Sightings:
    camera, mesh = photograph.camera, tracer.mesh
    rays = camera.directions().float().reshape(-1, 3)
    eye = camera.position.float()
    hits = tracer.hit(eye.expand_as(rays).numpy(), rays.numpy(), near=NEAR)
    pixels = photograph.pixels.reshape(-1, photograph.pixels.shape[-1]).float() / 255
    shown = torch.from_numpy(hits.found)
    if photograph.is_cut_out:
        shown &= pixels[:, 3] >= WHOLE
    normals = torch.from_numpy(hits.interpolate(mesh, mesh.normals))[shown]
    second = torch.from_numpy(hits.barycentric)[shown]
    view = -rays[shown]
    return Sightings(
        points=eye - view * torch.from_numpy(hits.distance)[shown].unsqueeze(-1),
        normals=facing(normals, view),
        view=view,
        corners=torch.from_numpy(mesh.faces[hits.face[shown.numpy()]]).long(),
        weights=torch.cat([1 - second.sum(dim=1, keepdim=True), second], dim=1),
        colors=pixels[shown, :3],
    )


def vertex_colors(seen: Sightings, tracer: Tracer) -> Float[np.ndarray, "V 3"]:
    """The mean radiance of each vertex as photographed, linear; frontal views count most.

    Vertices that nobody sees take the mean of their neighbours.
    """
    mesh, count = tracer.mesh, len(tracer.mesh.vertices)
    cosine = (seen.normals * seen.view).sum(dim=1).clamp_min(LEAST_COSINE)
    weights = (seen.weights * cosine.square().unsqueeze(1)).reshape(-1)
    corners = seen.corners.reshape(-1)
    radiance = srgb_to_linear(seen.colors).repeat_interleave(3, dim=0)
    sums = torch.zeros(count, 3).index_add_(0, corners, radiance * weights.unsqueeze(1))
    total = torch.zeros(count).index_add_(0, corners, weights)
    colors = (sums / total.clamp_min(1e-9).unsqueeze(1)).numpy()
    return _spread(colors, total.numpy() > LEAST_WEIGHT, mesh.faces)


def _spread(colors: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    from scipy.sparse import csr_array

    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(ends))
    joined = csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(len(colors), len(colors)))
    joined = joined + joined.T
    colors = np.where(known[:, None], colors, 0).astype(np.float32)
    while not known.all():
        reached = joined @ known.astype(np.float64)
        new = ~known & (reached > 0)
        if not new.any():
            break
        colors[new] = ((joined @ (colors * known[:, None])) / np.maximum(reached, 1)[:, None])[new]
        known = known | new
    return colors
