"""Small solids as triangle meshes: turned on a lathe, swept along a curve, carved from a distance.

World is z up. A mesh carries a base colour at each vertex (linear RGB); roughness and metallic are
those of the whole object. Notation: `phi` is the angle around z from +x, `r` the distance to z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates
from skimage.measure import marching_cubes


@dataclass(frozen=True)
class Solid:
    """A mesh [V, 3], [F, 3] of one material, with linear colours [V, 3]."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray
    roughness: float
    metallic: float = 0.0

    def moved(self, x: float, y: float, z: float, *, turned_deg: float = 0.0) -> Solid:
        """The same solid turned about z, then shifted."""
        angle = np.deg2rad(turned_deg)
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        return replace(self, vertices=self.vertices @ turn.T + [x, y, z])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3]: the mean of the faces around a vertex, weighted by their area."""
    corners = vertices[faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def outward(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh with its faces turned to the outside: its volume is positive."""
    a, b, c = (vertices[faces[:, corner]] - vertices.mean(axis=0) for corner in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return vertices, faces if volume > 0 else faces[:, ::-1]


def smooth_profile(points: list[tuple[float, float]], count: int) -> np.ndarray:
    """A curve [count, 2] through the points, without overshoot, evenly spaced along its length."""
    knots = np.asarray(points, float)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    return PchipInterpolator(along, knots)(np.linspace(0, along[-1], count))


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Two triangles for each cell of a grid that closes in its columns."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a = row * columns + column
    b = row * columns + (column + 1) % columns
    quads = np.stack([a, b, b + columns, a + columns], axis=-1).reshape(-1, 4)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def turned(profile: np.ndarray, segments: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Turn a profile [P, 2] of (r, z), given from the bottom outwards and up, about the z axis."""
    phi = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    r, z = profile[:, :1], profile[:, 1:]
    vertices = np.stack(
        [r * np.cos(phi), r * np.sin(phi), np.broadcast_to(z, (len(r), segments))], -1
    )
    return outward(vertices.reshape(-1, 3), _grid_faces(len(profile), segments))


def swept(
    curve: np.ndarray, radii: np.ndarray, segments: int = 48
) -> tuple[np.ndarray, np.ndarray]:
    """Sweep a circle of the given radii along a curve [P, 3] that stays in a plane through z."""
    tangents = np.gradient(curve, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(curve[-1] - curve[0], curve[len(curve) // 2] - curve[0])
    if np.linalg.norm(side) < 1e-9:
        side = np.array([0.0, 1.0, 0.0])
    side = np.broadcast_to(side / np.linalg.norm(side), curve.shape)
    up = np.cross(tangents, side)
    psi = np.linspace(0, 2 * np.pi, segments, endpoint=False)[:, None]
    ring = radii[:, None, None] * (np.cos(psi) * side[:, None] + np.sin(psi) * up[:, None])
    vertices = (curve[:, None] + ring).reshape(-1, 3)
    return outward(vertices, _grid_faces(len(curve), segments))


def carved(
    distance: Callable[[np.ndarray], np.ndarray], half_extent: float, cells: int = 112
) -> tuple[np.ndarray, np.ndarray]:
    """The zero surface of a distance field over points [..., 3] within a cube about the origin."""
    axis = np.linspace(-half_extent, half_extent, cells)
    field = distance(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1))
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=(axis[1] - axis[0],) * 3)
    return outward(vertices - half_extent, faces)


def ellipsoid(points: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """An approximate distance to an ellipsoid, exact at its surface."""
    local = (points - np.asarray(centre)) / np.asarray(radii)
    length = np.linalg.norm(local, axis=-1)
    slope = np.linalg.norm(local / np.asarray(radii), axis=-1)
    return length * (length - 1) / np.maximum(slope, 1e-9)


def joined(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """The smooth union of two distance fields; `blend` is the width of the seam."""
    overlap = np.clip(0.5 + 0.5 * (b - a) / blend, 0, 1)
    return b * (1 - overlap) + a * overlap - blend * overlap * (1 - overlap)


def noise(
    points: np.ndarray, scale: float | tuple, *, seed: int = 0, octaves: int = 3
) -> np.ndarray:
    """Smooth noise in about -1..1 at points [V, 3]; `scale` is the size of its largest bumps."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (32, 32, 32))
    total, weight = np.zeros(len(points)), 0.0
    for octave in range(octaves):
        where = points / np.asarray(scale, float) * 2**octave + 7.3 * octave
        total += 0.5**octave * map_coordinates(lattice, where.T, order=1, mode="grid-wrap")
        weight += 0.5**octave
    return total / weight


def mix(a: np.ndarray | tuple, b: np.ndarray | tuple, amount: np.ndarray) -> np.ndarray:
    """Colours [V, 3] between `a` and `b`; amount 0 gives `a`."""
    amount = np.clip(amount, 0, 1)[:, None]
    return (1 - amount) * np.asarray(a, float) + amount * np.asarray(b, float)


def step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
