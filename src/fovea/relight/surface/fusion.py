"""A surface from a Gaussian scene: the depth of all its views, fused.

Each view says of each point of a grid how far before or behind the nearest surface it lies, along
the optical axis and truncated; the mean over the views is 0 on the surface. Pixels that see through
say that all before them is free. Triangles come from marching cubes.

Source: Curless and Levoy, "A volumetric method for building complex models from range images"
(1996). Theirs weighs views by angle; here that made the normals worse (docs/LOG.md). What is new is
that a view's surface stands before the mean depth of its Gaussians, the more the deeper these are
spread: the reflections on a shiny thing are Gaussians behind its surface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from jaxtyping import Bool, Float32
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.surface.mesh import Mesh, vertex_normals
from fovea.relight.surface.smoothing import among_neighbours, smoothed
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster.workers import share
from fovea.scene.rasterize import EMPTY, rasterize

Watch = Callable[[int, int], None]
"""Called with the views done and their number; what it raises ends the work."""

NEAR = 0.05
"""World units before a camera in which nothing is drawn."""
OPAQUE = 0.3
"""Opacity from which a Gaussian counts where the scene's box is sought."""
SEEN_THROUGH = 0.5
"""Alpha up to which a pixel shows what is behind the scene."""
CUT_OUT = 0.02
"""Share of such pixels in all views from which the scene is an object before nothing."""
SPREAD = 0.75
"""How many standard deviations of its Gaussians' depth a surface stands before their mean."""
NORMAL_PASSES = 2
"""Of sharing normals among neighbours: it takes the grain of the voxels out of them."""
SMOOTHING_VOXELS = 0.4
SMALLEST_PART = 0.01
"""Parts with less than this share of the triangles of the largest float and are dropped."""
BYTES_A_VOXEL = 42
"""Three sums, the field, its smoothed copy, marching cubes and the smoothing of triangles; measured
at a resolution of 192, 34 at 288."""


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie: the world position of the first, the edge of one, and how many."""

    origin: Float32[np.ndarray, " 3"]
    voxel: float
    size: tuple[int, int, int]

    @classmethod
    def around(
        cls, low: Float32[np.ndarray, " 3"], high: Float32[np.ndarray, " 3"], resolution: int
    ) -> Grid:
        """A grid of cubes over a box, `resolution` of them along its longest edge."""
        voxel = float((high - low).max()) / resolution
        x, y, z = (int(count) for count in np.ceil((high - low) / voxel) + 1)
        return cls(low.astype(np.float32), voxel, (x, y, z))


@dataclass(frozen=True)
class Field:
    """The sums of all views on a grid; see `kernels.integrate`."""

    distance: Float32[np.ndarray, "X Y Z"]
    weight: Float32[np.ndarray, "X Y Z"]
    support: Float32[np.ndarray, "X Y Z"]


def fuse(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    *,
    resolution: int = 192,
    truncation: float = 8.0,
    watch: Watch = lambda done, total: None,
) -> Mesh:
    """The surface that the cameras see of a scene, with its outward normals.

    Of an object before nothing the surface is closed: what no view saw counts as its inside. Of a
    scene that fills its views only what was seen has triangles.

    Args:
        gaussians: the scene.
        cameras: the views to fuse; more of them, more evenly spread, see more.
        resolution: voxels along the longest edge of the scene's box.
        truncation: voxels before and behind a surface to which a view's word about it reaches.
        watch: told of the progress.

    Raises:
        DataError: there is nothing to see, the grid would not fit into memory, or the views agree
            on no surface.
    """
    low, high = box(gaussians, cameras)
    grid = Grid.around(low, high, resolution)
    check_memory(grid, resolution)
    field, is_cut_out = _integrate(gaussians, cameras, grid, truncation, watch)
    mesh = _surface(field, grid, is_closed=is_cut_out)
    if len(mesh.faces) == 0:
        raise DataError(
            f"the {len(cameras)} views of a scene of {len(gaussians)} Gaussians agree on no"
            f" surface in the box {np.round(low, 3).tolist()} to {np.round(high, 3).tolist()}. Fit"
            " the scene for longer."
        )
    return mesh


def box(
    gaussians: Gaussians, cameras: Sequence[Camera]
) -> tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, " 3"]]:
    """The lowest and highest corner of what the cameras look at.

    It holds the opaque Gaussians which at least half of the cameras see, but for the few farthest.

    Raises:
        DataError: hardly any Gaussian is opaque and seen.
    """
    means = gaussians.means.detach()
    seen = torch.zeros(len(gaussians), device=means.device)
    for camera in cameras:
        at, depth = camera.to(means.device).project(means)
        inside = (at > 0).all(-1) & (at[:, 0] < camera.width) & (at[:, 1] < camera.height)
        seen += (inside & (depth > 0)).to(seen)
    is_opaque = gaussians.opacities > OPAQUE
    kept = means[is_opaque & (seen >= len(cameras) / 2)].cpu().double().numpy()
    if len(cameras) == 0 or len(kept) < 10:
        raise DataError(
            f"a surface needs Gaussians that cameras see; of {len(gaussians)} Gaussians"
            f" {int(is_opaque.sum())} are opaque, and half of {len(cameras)} cameras see"
            f" {len(kept)} of these. Do the cameras belong to this scene?"
        )
    low, high = np.quantile(kept, [0.002, 0.998], axis=0)
    margin = 0.05 * float((high - low).max())
    return (low - margin).astype(np.float32), (high + margin).astype(np.float32)


def check_memory(grid: Grid, resolution: int) -> None:
    """Refuse a grid that the machine has no room for.

    Raises:
        DataError: with the estimate.
    """
    needed, free = int(np.prod(grid.size)) * BYTES_A_VOXEL, psutil.virtual_memory().available
    if needed > free:
        x, y, z = grid.size
        raise DataError(
            f"a grid of {x} x {y} x {z} voxels (resolution={resolution}) needs about"
            f" {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free. Lower the resolution."
        )


def _integrate(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    grid: Grid,
    truncation: float,
    watch: Watch,
) -> tuple[Field, bool]:
    """The sums over all views, and whether the scene is an object before nothing."""
    from fovea.relight.surface.kernels import integrate

    field = Field(*(np.zeros(grid.size, dtype=np.float32) for _ in range(3)))
    empty, pixels = 0, 0
    for number, camera in enumerate(cameras):
        depth, trust, is_empty = depth_map(gaussians, camera)
        lens = camera.intrinsics.cpu().numpy().astype(np.float32)
        share(
            integrate,
            depth,
            trust,
            is_empty,
            np.ascontiguousarray(camera.world_to_camera[:3].cpu().numpy().astype(np.float32)),
            np.array([lens[0, 0], lens[1, 1]]),
            np.array([lens[0, 2], lens[1, 2]]),
            grid.origin,
            np.float32(grid.voxel),
            np.float32(truncation * grid.voxel),
            np.float32(NEAR),
            field.distance,
            field.weight,
            field.support,
        )
        empty, pixels = empty + int(is_empty.sum()), pixels + is_empty.size
        watch(number + 1, len(cameras))
    return field, empty > CUT_OUT * pixels


def depth_map(
    gaussians: Gaussians, camera: Camera
) -> tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """The depth of the surface in a view, how far it is trusted, and where a pixel sees through."""
    _, depths = camera.to(gaussians.means).project(gaussians.means)
    # Squares are summed of small numbers: variances come from single precision.
    middle = float(depths.median())
    offsets = (depths - middle)[:, None]
    with torch.no_grad():
        drawn = rasterize(
            gaussians, camera, features=torch.cat([offsets, offsets**2], dim=1), near=NEAR
        )
    first, second = (drawn.features / drawn.alpha.clamp(min=EMPTY)[..., None]).unbind(-1)
    spread = (second - first**2).clamp(min=0).sqrt()
    is_empty = drawn.alpha <= SEEN_THROUGH
    depth = torch.where(is_empty, 0.0, first + middle - SPREAD * spread)
    return _array(depth), _array((~is_empty).float()), _array(is_empty)


def _array(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.cpu().numpy())


def _surface(field: Field, grid: Grid, *, is_closed: bool) -> Mesh:
    from skimage.measure import marching_cubes

    inside = np.float32(-1)
    mean = np.divide(
        field.distance, field.weight, out=np.full(grid.size, inside), where=field.weight > 0
    )
    if is_closed:
        _open_rim(mean)
    mean = ndimage.gaussian_filter(mean, SMOOTHING_VOXELS)
    if not mean.min() < 0 < mean.max():
        return Mesh.from_triangles(np.zeros((0, 3)), np.zeros((0, 3)))
    # A cube is told by its last corner; it counts where all eight have seen a surface.
    whole = None if is_closed else ndimage.minimum_filter(field.support > 0, size=2)
    places, faces, _, _ = marching_cubes(mean, 0.0, mask=whole)
    places, faces = _large_parts(places, faces.astype(np.int32))
    vertices = (smoothed(places, faces) * grid.voxel + grid.origin).astype(np.float32)
    normals = vertex_normals(vertices, faces)
    for _ in range(NORMAL_PASSES):
        mixed = among_neighbours(faces, normals, normals)
        normals = mixed / np.linalg.norm(mixed, axis=1, keepdims=True).clip(1e-12)
    return Mesh(vertices, faces, normals)


def _open_rim(mean: Float32[np.ndarray, "X Y Z"]) -> None:
    """Say that the rim of the grid is free, so that what reaches it is closed there."""
    for axis in range(3):
        np.moveaxis(mean, axis, 0)[[0, -1]] = 1


def _large_parts(places: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is left without small pieces that hang together with nothing large."""
    if len(faces) == 0:
        return places[:0], faces
    count = len(places)
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    _, part = connected_components(graph, directed=False)
    sizes = np.bincount(part[faces[:, 0]], minlength=part.max() + 1)
    kept = faces[sizes[part[faces[:, 0]]] >= SMALLEST_PART * sizes.max()]
    used, renamed = np.unique(kept, return_inverse=True)
    return places[used], renamed.reshape(-1, 3).astype(np.int32)
