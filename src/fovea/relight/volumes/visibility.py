"""What places see of the sky: by rays against a surface, or through rasterised cubes.

Both answer with the coefficients of each place and with whether it lies inside the solid, where
what is seen has no meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from fovea.relight.surface.rays import Tracer
from fovea.relight.volumes.lobe import DEGREE, frames, half_vectors
from fovea.relight.volumes.projection import (
    OPAQUE,
    Layout,
    coefficients,
    face_cameras,
    open_sky,
    radial,
)
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import basis
from fovea.scene.rasterize import rasterize

Seen = tuple[Float32[np.ndarray, "N 16"], Bool[np.ndarray, " N"]]
"""The coefficients of places, and which of them lie inside."""
Look = Callable[[Float[np.ndarray, "N 3"]], Seen]

FROM_BEHIND = 0.25
"""A place is inside where more than this share of its rays meets the surface from behind."""
RAYS_AT_ONCE = 1 << 18
VIEWS_NEAR = 0.05
"""The near plane of the views that say what is free."""


@dataclass(frozen=True)
class Rays:
    """Rays from each place, the same spread for all, against a surface.

    Attributes:
        tracer: the surface.
        count: of the rays of a place.
        near: distance up to which a ray hits nothing.
        threshold: distance over which hiding fades, exp(-(distance / threshold)^2).
    """

    tracer: Tracer
    count: int
    near: float
    threshold: float = math.inf

    def __call__(self, places: Float[np.ndarray, "N 3"]) -> Seen:
        """Trace the rays of some places."""
        directions = spread_directions(self.count)
        weights = basis(torch.from_numpy(directions), DEGREE).numpy() * (4 * math.pi / self.count)
        found, is_inside = np.zeros((len(places), 16), np.float32), np.zeros(len(places), bool)
        step = max(1, RAYS_AT_ONCE // self.count)
        for first in range(0, len(places), step):
            some = slice(first, first + step)
            along = np.tile(directions.astype(np.float32), (len(places[some]), 1))
            starts = np.repeat(places[some], self.count, axis=0)
            hits = self.tracer.hit(starts, along, self.near)
            met = np.einsum("rk,rk->r", along, self._outwards[np.maximum(hits.face, 0)])
            is_back = (hits.found & (met > 0)).reshape(-1, self.count)
            distances = np.where(hits.found, hits.distance, 0).reshape(-1, self.count)
            is_open = open_sky(torch.from_numpy(distances), self.threshold, softly=True)
            found[some] = is_open.double().numpy() @ weights
            is_inside[some] = is_back.mean(axis=1) > FROM_BEHIND
        return found, is_inside

    @cached_property
    def _outwards(self) -> Float32[np.ndarray, "F 3"]:
        return self.tracer.mesh.face_normals().astype(np.float32)


@dataclass(frozen=True)
class Cubes:
    """Six rasterised pictures about each place.

    Each Gaussian is drawn on the face in which its centre lies. The published baking draws it on
    all: one that is near and far off the optical axis, just before the near plane, is blown up by
    the projection and hides half of the sky.

    Attributes:
        gaussians: the scene.
        res: texels along the edge of a face.
        near: z-depth up to which Gaussians are dropped.
        threshold: up to which things hide.
        softly: whether hiding fades towards the threshold or ends there.
        layout: how the pictures are integrated.
        within: Gaussians farther than this from a place along any axis are left out.
        views: where given, places that none of them sees lie inside.
        depths: what these views show.
    """

    gaussians: Gaussians
    res: int
    near: float
    threshold: float = math.inf
    softly: bool = True
    layout: Layout = "texels"
    within: float = math.inf
    views: Sequence[Camera] = ()
    depths: Sequence[Tensor] = ()

    def __call__(self, places: Float[np.ndarray, "N 3"]) -> Seen:
        """Draw the cubes of some places."""
        found = [self._coefficients(place) for place in torch.from_numpy(places)]
        is_inside = np.zeros(len(places), dtype=bool)
        if self.views:
            is_inside = hidden_from_all(places, self.views, self.depths)
        return np.stack(found) if found else np.zeros((0, 16), np.float32), is_inside

    def _coefficients(self, place: Tensor) -> Float32[np.ndarray, " 16"]:
        means = self.gaussians.means
        offsets = means - place.to(means)
        kept = self.gaussians
        if math.isfinite(self.within):
            is_near = (offsets.abs() <= self.within).all(dim=-1)
            kept, offsets = kept[is_near], offsets[is_near]
        depths, alphas, is_published = [], [], self.layout == "reference"
        for camera in face_cameras(place, self.res):
            in_camera = offsets @ camera.rotation.T.to(offsets)
            if is_published:
                some = kept[_may_reach(in_camera, kept, self.res, self.near)]
            else:
                some = kept[_is_before(in_camera)]
            nothing = some.means.new_zeros(len(some), 0)
            footprint = "reference" if is_published else "exact"
            drawn = rasterize(some, camera, features=nothing, near=self.near, footprint=footprint)
            depths.append(drawn.depth)
            alphas.append(drawn.alpha)
        distances = radial(torch.stack(depths), torch.stack(alphas)).double()
        is_open = open_sky(distances, self.threshold, softly=self.softly)
        return coefficients(is_open, self.layout).float().cpu().numpy()


def spread_directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions spread evenly over the sphere, each for the same solid angle.

    Source: Swinbank and Purser, "Fibonacci grids: A novel approach to global modelling" (2006).
    """
    number = np.arange(count)
    z = 1 - (2 * number + 1) / count
    turn = number * (math.pi * (3 - math.sqrt(5)))
    around = np.sqrt(1 - z * z)
    return np.stack([np.cos(turn) * around, np.sin(turn) * around, z], axis=-1)


def traced_visibility(
    tracer: Tracer,
    points: Float[np.ndarray, "N 3"],
    normals: Float[np.ndarray, "N 3"],
    *,
    rays: int,
    near: float,
    threshold: float = math.inf,
    softly: bool = True,
) -> Float[np.ndarray, " N"]:
    """What a volume approximates: the open share of the cosine-weighted sky, by rays from places.

    `near` is also how far above the surface the rays begin.
    """
    lobe = half_vectors(torch.tensor(1.0, dtype=torch.float64), rays)
    found = np.zeros(len(points))
    step = max(1, RAYS_AT_ONCE // rays)
    for first in range(0, len(points), step):
        some = slice(first, first + step)
        upright = torch.from_numpy(np.asarray(normals[some], dtype=np.float64))
        along = torch.einsum("sa,nab->nsb", lobe, frames(upright)).numpy().reshape(-1, 3)
        starts = np.repeat(points[some] + normals[some] * near, rays, axis=0)
        hits = tracer.hit(starts, along, near)
        distances = torch.from_numpy(np.where(hits.found, hits.distance, 0))
        is_open = open_sky(distances, threshold, softly=softly).numpy()
        found[some] = is_open.reshape(-1, rays).mean(axis=1)
    return found


def shown_depths(gaussians: Gaussians, views: Sequence[Camera]) -> list[Float[Tensor, "H W"]]:
    """How deep each view sees, infinitely where it sees through."""
    nothing = gaussians.means.new_zeros(len(gaussians), 0)
    drawn = [rasterize(gaussians, view, features=nothing, near=VIEWS_NEAR) for view in views]
    return [torch.where(each.alpha > OPAQUE, each.depth, math.inf) for each in drawn]


def hidden_from_all(
    places: Float[np.ndarray, "N 3"], views: Sequence[Camera], depths: Sequence[Tensor]
) -> Bool[np.ndarray, " N"]:
    """Which places no view sees free: inside the scene, or in a corner nobody looked into."""
    is_hidden = torch.ones(len(places), dtype=torch.bool)
    for view, shown in zip(views, depths, strict=True):
        at, depth = view.project(torch.from_numpy(np.asarray(places, dtype=np.float64)))
        column, row = at.floor().long().unbind(-1)
        is_in = (depth > 0) & (row >= 0) & (row < view.height)
        is_in &= (column >= 0) & (column < view.width)
        there = shown.cpu()[row.clamp(0, view.height - 1), column.clamp(0, view.width - 1)]
        is_hidden &= ~(is_in & (depth < there))
    return is_hidden.numpy()


def _is_before(offsets: Float[Tensor, "N 3"]) -> Bool[Tensor, " N"]:
    """Which centres lie in a view of 90 degrees, given in its camera."""
    x, y, z = offsets.unbind(-1)
    return torch.maximum(x.abs(), y.abs()) <= z


def _may_reach(
    offsets: Float[Tensor, "N 3"], gaussians: Gaussians, res: int, near: float
) -> Bool[Tensor, " N"]:
    """Which Gaussians could touch a face with a view of 90 degrees, given in its camera.

    The bound is loose: three standard deviations, stretched at most 2.1-fold by the projection,
    and four texels.
    """
    x, y, z = offsets.unbind(-1)
    reach = z * (1 + 8 / res) + 6.4 * gaussians.scales.amax(dim=-1)
    return (z > near) & (torch.maximum(x.abs(), y.abs()) <= reach)
