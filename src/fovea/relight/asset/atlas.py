"""A surface laid flat: fewer triangles, a place in a texture for each, and tangents.

Texture coordinates are glTF's: (0, 0) is the upper left corner of the picture. `V` is the number of
vertices, `F` of triangles, `T` of texels that show some triangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32
from scipy.spatial import KDTree

from fovea.errors import DataError
from fovea.relight.surface.mesh import Mesh, vertex_normals
from fovea.relight.surface.rays import Tracer

PADDING_TEXELS = 4
"""Between two pieces of the surface, so that neither bleeds into the other."""
NEIGHBOURS = 8


@dataclass(frozen=True)
class Unwrapped:
    """A mesh with texture coordinates. A vertex on a seam stands in it once for each side.

    Attributes:
        vertices: positions in the world.
        faces: indices of vertices.
        normals: of length 1.
        uvs: in 0..1.
        tangents: the direction in which u grows, of length 1 and at right angles to the normal, and
            the sign of the bitangent, sign * cross(normal, tangent).
    """

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    normals: Float32[np.ndarray, "V 3"]
    uvs: Float32[np.ndarray, "V 2"]
    tangents: Float32[np.ndarray, "V 4"]


class Texels(NamedTuple):
    """The places on a surface that the texels of a square texture show.

    Attributes:
        covered: which texels show any.
        positions: in the world; these and the rest row by row.
        normals: of length 1.
        frames: columns are the interpolated tangent, bitangent and normal, as renderers make them.
    """

    covered: Bool[np.ndarray, "S S"]
    positions: Float32[np.ndarray, "T 3"]
    normals: Float32[np.ndarray, "T 3"]
    frames: Float32[np.ndarray, "T 3 3"]


def unwrap(mesh: Mesh, *, faces: int, texture: int) -> Unwrapped:
    """A mesh of at most so many triangles, cut into pieces that lie flat in a square texture.

    Args:
        mesh: the surface in full.
        faces: triangles to keep.
        texture: edge of the texture, in texels.

    Raises:
        DataError: no triangle is left.
    """
    import xatlas

    vertices, triangles = _decimated(mesh, faces)
    smooth = _normals_of(mesh, vertices, vertex_normals(vertices, triangles))
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices, triangles.astype(np.uint32), smooth)
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.create_image = texture, PADDING_TEXELS, False
    atlas.generate(xatlas.ChartOptions(), packing)
    origin, indices, uvs = atlas[0]
    laid = indices.astype(np.int32)
    normals = np.ascontiguousarray(smooth[origin])
    places = np.ascontiguousarray(vertices[origin])
    tangents = _tangents(places, laid, normals, uvs)
    return Unwrapped(places, laid, normals, uvs.astype(np.float32), tangents)


def texels(flat: Unwrapped, size: int) -> Texels:
    """What each texel of a texture of `size` x `size` shows, by rays onto the flat mesh."""
    corners = np.concatenate([flat.uvs * size, np.zeros((len(flat.uvs), 1))], axis=1)
    table = Tracer(Mesh.from_triangles(corners, flat.faces))
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    above = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    down = np.broadcast_to(np.array([0, 0, -1], dtype=np.float32), above.shape)
    hits = table.hit(above, down, near=0)
    found = hits.found
    corner = flat.faces[hits.face[found]]
    second, third = hits.barycentric[found].T
    weights = np.stack([1 - second - third, second, third], axis=1)

    def mixed(values: np.ndarray) -> np.ndarray:
        return np.einsum("tk,tkc->tc", weights, values[corner])

    tangent, normal = mixed(flat.tangents[:, :3]), mixed(flat.normals)
    sign = flat.tangents[corner[:, 0], 3:]
    frames = np.stack([tangent, sign * np.cross(normal, tangent), normal], axis=2)
    return Texels(
        found.reshape(size, size),
        mixed(flat.vertices).astype(np.float32),
        _unit(normal).astype(np.float32),
        frames.astype(np.float32),
    )


def nearby(
    mesh: Mesh,
    values: Float32[np.ndarray, "W C"],
    points: Float32[np.ndarray, "P 3"],
    normals: Float32[np.ndarray, "P 3"],
) -> Float32[np.ndarray, "P C"]:
    """Values at a mesh's vertices, carried to points beside it.

    The mean over a few nearest vertices, of which only those count whose normals face the point's
    way: of a thin wall, those of its own side.
    """
    distance, at = KDTree(mesh.vertices).query(points, k=min(NEIGHBOURS, len(mesh.vertices)))
    facing = np.einsum("pc,pkc->pk", normals, mesh.normals[at])
    smallest = 1e-6 + 0.1 * distance.mean()
    weight = (np.maximum(facing, 0) ** 2 + 1e-6) / (distance + smallest) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("pk,pkc->pc", weight, values[at]).astype(np.float32)


def _decimated(mesh: Mesh, faces: int) -> tuple[np.ndarray, np.ndarray]:
    import fast_simplification

    vertices, triangles = mesh.vertices, mesh.faces
    if len(triangles) > faces:
        found: Any = fast_simplification.simplify(vertices, triangles, target_count=faces)
        vertices, triangles = found
    corners = vertices[triangles]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    triangles = triangles[areas > 0]
    if len(triangles) == 0:
        raise DataError(
            f"a surface of {len(mesh.faces)} triangles has none left when it is brought to"
            f" {faces}. Ask for more faces."
        )
    used, renamed = np.unique(triangles, return_inverse=True)
    return vertices[used].astype(np.float32), renamed.reshape(-1, 3).astype(np.int32)


def _normals_of(mesh: Mesh, vertices: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The full surface's normals at the vertices of the smaller one."""
    return _unit(nearby(mesh, mesh.normals, vertices, own))


def _tangents(
    vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, uvs: np.ndarray
) -> Float32[np.ndarray, "V 4"]:
    """Tangents at the vertices as all programs make them, that a normal map means one thing.

    Source: Mikkelsen, "Simulation of wrinkled surfaces revisited" (2008): a triangle's tangent is
    laid into each corner's plane and weighted by the corner's angle.
    """
    corners, flat = vertices[faces], uvs[faces].astype(np.float64)
    edge, flat_edge = corners[:, 1:] - corners[:, :1], flat[:, 1:] - flat[:, :1]
    area = flat_edge[:, 0, 0] * flat_edge[:, 1, 1] - flat_edge[:, 0, 1] * flat_edge[:, 1, 0]
    # v grows downwards in a picture: glTF's bitangent points where v falls.
    sign = np.where(area < 0, 1.0, -1.0)
    along = edge[:, 0] * flat_edge[:, 1, 1:] - edge[:, 1] * flat_edge[:, 0, 1:]
    along = along * np.where(area < 0, -1.0, 1.0)[:, None]
    total, signs = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    for corner in range(3):
        at = faces[:, corner]
        forth = _unit(corners[:, (corner + 1) % 3] - corners[:, corner])
        back = _unit(corners[:, (corner + 2) % 3] - corners[:, corner])
        angle = np.arccos(np.clip((forth * back).sum(axis=1), -1, 1))
        in_plane = _unit(along - (along * normals[at]).sum(axis=1, keepdims=True) * normals[at])
        np.add.at(total, at, in_plane * angle[:, None])
        signs[at] = sign
    total = _unit(total)
    lost = np.linalg.norm(total, axis=1) < 0.5
    total[lost] = _unit(np.cross(normals[lost], normals[lost][:, [1, 2, 0]] + 0.1))
    return np.concatenate([total, signs[:, None]], axis=1).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
