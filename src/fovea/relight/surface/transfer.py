"""How much of the light around reaches a place: its transfer, in harmonics, by rays.

Of a place with normal n that sees V(w) in 0 or 1 of each direction w

    T_lm = 1/pi * integral of V(w) max(0, n . w) Y_lm(w) dw

so that the diffuse radiance under light with coefficients L_lm is albedo * sum(L_lm T_lm), up to
the bands that are kept. T_00 / Y_00 is the share of an even sky that arrives: ambient occlusion.

Source: Sloan et al., "Precomputed radiance transfer ..." (2002), diffuse and unshadowed between
surfaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32
from scipy.spatial import KDTree

from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.scene.harmonics import C0, basis

DEGREE = 3
CHUNK_RAYS = 2**20
"""Rays traced at a time: some tens of megabytes."""

Watch = Callable[[int, int], None]


def transfer(
    tracer: Tracer,
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"],
    *,
    rays: int = 512,
    watch: Watch = lambda done, total: None,
) -> Float32[np.ndarray, "N 16"]:
    """The transfer of places on or near a mesh, of what the mesh leaves open to them.

    Directions are the same for all places, evenly spread over the sphere; about half of them are
    traced. Points below the surface are lifted out of it first.

    Args:
        tracer: of the mesh.
        points: in the world.
        normals: of length 1.
        rays: directions on the whole sphere.
        watch: told of the progress, in points; what it raises ends the work.
    """
    around = sphere(rays)
    harmonics = basis(torch.from_numpy(around), DEGREE).numpy() * np.float32(4 / rays)
    starts = lifted(tracer.mesh, points)
    result = np.zeros((len(points), harmonics.shape[1]), dtype=np.float32)
    step = max(1, CHUNK_RAYS // rays)
    for first in range(0, len(points), step):
        part = slice(first, first + step)
        arriving = np.maximum(normals[part] @ around.T, 0)
        place, direction = np.nonzero(arriving)
        hidden = tracer.occluded(starts[part][place], around[direction], near=0)
        arriving[place[hidden], direction[hidden]] = 0
        result[part] = arriving @ harmonics
        watch(min(first + step, len(points)), len(points))
    return result


def ambient(transferred: Float32[np.ndarray, "N 16"]) -> Float32[np.ndarray, " N"]:
    """The share of an even sky's light that arrives, in 0..1."""
    return np.clip(transferred[:, 0] / C0, 0, 1)


def sphere(count: int) -> Float32[np.ndarray, "{count} 3"]:
    """Directions spread evenly over the sphere, on a spiral of equal areas.

    Source: Swinbank and Purser, "Fibonacci grids" (2006).
    """
    number = np.arange(count) + 0.5
    z = 1 - 2 * number / count
    turn = number * (math.pi * (3 - math.sqrt(5)))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1).astype(np.float32)


def lifted(mesh: Mesh, points: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """The points, those below the mesh's nearest place moved out along its normal.

    All end at least half an edge above the surface, so that rays do not begin under a triangle.
    """
    least = 0.5 * mean_edge(mesh)
    _, nearest = KDTree(mesh.vertices).query(points)
    normals = mesh.normals[nearest]
    height = ((points - mesh.vertices[nearest]) * normals).sum(axis=1)
    return (points + np.maximum(least - height, 0)[:, None] * normals).astype(np.float32)


def mean_edge(mesh: Mesh) -> float:
    """The mean length of the triangles' edges."""
    corners = mesh.vertices[mesh.faces]
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean())
