"""Triangle meshes: what they hold and how they are kept in files.

Triangles are counter-clockwise seen from outside, so that the cross product of two edges points
away from the solid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from fovea.errors import ArtifactError, DataError
from fovea.scene.ply_elements import read_elements

OWN_COLUMNS = ("x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "alpha")
"""Of a PLY's vertices; the others are extras."""


@dataclass(frozen=True)
class Mesh:
    """Triangles that share vertices.

    Attributes:
        vertices: positions in the world.
        faces: three indices of vertices each.
        normals: of length 1, at the vertices, away from the solid.
        colors: sRGB in 0..1, at the vertices, or None. A file holds 8 bits of each.
        extras: further values by name, such as `albedo`; V rows each.

    Raises:
        DataError: the arrays do not agree in shape, a face names a vertex that there is not, or a
            position is not finite.
    """

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    normals: Float32[np.ndarray, "V 3"]
    colors: Float32[np.ndarray, "V 3"] | None = None
    extras: dict[str, Float32[np.ndarray, "V _"]] = field(default_factory=dict[str, np.ndarray])

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_triangles(cls, vertices: Any, faces: Any) -> Mesh:
        """A mesh whose normals are those of its faces, averaged by area at each vertex."""
        points = np.ascontiguousarray(vertices, dtype=np.float32)
        triangles = np.ascontiguousarray(faces, dtype=np.int32)
        _check_faces(triangles, len(points))
        return cls(points, triangles, vertex_normals(points, triangles))

    def face_normals(self) -> Float32[np.ndarray, "F 3"]:
        """Unit normals of the triangles; 0 where one has no area."""
        return _unit(_crossed(self.vertices, self.faces))

    def areas(self) -> Float32[np.ndarray, " F"]:
        """Of the triangles, in square world units."""
        return np.linalg.norm(_crossed(self.vertices, self.faces), axis=1) / 2

    @cached_property
    def edge(self) -> float:
        """The median length of the triangles' first edges, in world units: how fine the mesh is."""
        first, second, _ = self.faces.T
        lengths = np.linalg.norm(self.vertices[first] - self.vertices[second], axis=1)
        return float(np.median(lengths))

    @property
    def bounds(self) -> Float32[np.ndarray, "2 3"]:
        """The lowest and the highest corner of the box around it."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])


def vertex_normals(
    vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]
) -> Float32[np.ndarray, "V 3"]:
    """Unit normals at the vertices: the means of their triangles' by area; 0 at a loose vertex."""
    crossed = _crossed(vertices, faces).astype(np.float64)
    summed = [
        np.bincount(faces.ravel(), np.repeat(crossed[:, axis], 3), minlength=len(vertices))
        for axis in range(3)
    ]
    return _unit(np.stack(summed, axis=1).astype(np.float64)).astype(np.float32)


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write a binary PLY that mesh viewers open, with normals, colours and extras by vertex.

    Extras of several columns become properties `albedo_0 albedo_1 albedo_2`.
    """
    import trimesh
    from trimesh.exchange.ply import export_ply

    colors = None
    if mesh.colors is not None:
        colors = np.floor(np.clip(mesh.colors, 0, 1) * 255 + 0.5).astype(np.uint8)
    made = trimesh.Trimesh(
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_normals=mesh.normals,
        vertex_colors=colors,
        vertex_attributes=_columns(mesh.extras),
        process=False,
        validate=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_ply(made, vertex_normal=True, include_attributes=True))


def read_mesh(path: str | Path) -> Mesh:
    """Read a mesh from a PLY, glTF or OBJ file; its parts become one.

    Normals are those of the file; where it has none they are found from the triangles.

    Raises:
        ArtifactError: it is missing, is no mesh, or has no faces.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No mesh {path}: there is no such file. Check the name.")
    loaded = _loaded(path)
    # trimesh leaves normals in the file, and columns that it does not know.
    rows = read_elements(path)["vertex"] if path.suffix.lower() == ".ply" else None
    faces = np.asarray(getattr(loaded, "faces", ()), dtype=np.int32).reshape(-1, 3)
    if len(faces) == 0:
        count = len(getattr(loaded, "vertices", ()) if rows is None else rows)
        raise ArtifactError(
            f"{path} has {count} vertices and no faces: it is a cloud of points, not a surface."
            " relight.bake makes a surface.ply from a scene and its cameras."
        )
    if faces.min() < 0 or faces.max() >= len(loaded.vertices):
        raise ArtifactError(
            f"{path} has {len(loaded.vertices)} vertices, and its faces name the one of number "
            f"{faces.max() if faces.min() >= 0 else faces.min()}: it is damaged. Make it again."
        )
    normals = loaded.vertex_normals
    if rows is not None and {"nx", "ny", "nz"} <= set(rows.dtype.names or ()):
        normals = np.stack([rows[name] for name in ("nx", "ny", "nz")], axis=1)
    has_colors = loaded.visual.kind == "vertex"
    colors = np.asarray(loaded.visual.vertex_colors)[:, :3] if has_colors else None
    names = [] if rows is None else [n for n in rows.dtype.names or () if n not in OWN_COLUMNS]
    return Mesh(
        np.ascontiguousarray(loaded.vertices, dtype=np.float32),
        faces,
        _unit(np.asarray(normals, dtype=np.float32)),
        None if colors is None else colors.astype(np.float32) / 255,
        {} if rows is None else _grouped({name: rows[name] for name in names}),
    )


def _loaded(path: Path) -> Any:
    import trimesh

    try:
        loaded: Any = trimesh.load_mesh(path, process=False, maintain_order=True)
        return loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) is not a mesh that can be read"
            f" ({type(error).__name__}: {error}). Give a .ply, .glb or .obj with triangles."
        ) from error


def _columns(extras: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        name if rows.shape[1] == 1 else f"{name}_{number}": np.ascontiguousarray(column)
        for name, rows in extras.items()
        for number, column in enumerate(rows.T)
    }


def _grouped(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns `albedo_0 albedo_1 ...` of a file, by the attribute they are parts of."""
    groups: dict[str, list[np.ndarray]] = {}
    for name, column in columns.items():
        stem, _, number = name.rpartition("_")
        is_part = bool(stem) and number.isdecimal() and f"{stem}_0" in columns
        rows = np.asarray(column, dtype=np.float32)
        groups.setdefault(stem if is_part else name, []).append(rows.reshape(len(rows), -1))
    return {name: np.concatenate(parts, axis=1) for name, parts in groups.items()}


def _crossed(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _check(mesh: Mesh) -> None:
    count = len(mesh.vertices)
    for name, rows, columns in (
        ("vertices", mesh.vertices, 3),
        ("normals", mesh.normals, 3),
        ("faces", mesh.faces, 3),
        ("colors", mesh.colors, 3),
    ):
        if rows is None:
            continue
        wanted = (len(mesh.faces) if name == "faces" else count, columns)
        if rows.shape != wanted:
            raise DataError(f"a mesh needs {name} of shape {list(wanted)}; got {list(rows.shape)}.")
    for name, rows in mesh.extras.items():
        if rows.ndim != 2 or len(rows) != count:
            raise DataError(
                f"a mesh needs the extra {name!r} of shape [{count}, C]; got {list(rows.shape)}."
            )
    _check_faces(mesh.faces, count)
    if not np.isfinite(mesh.vertices).all():
        bad = int((~np.isfinite(mesh.vertices)).any(axis=1).sum())
        raise DataError(
            f"{bad} of a mesh's {count} vertices are not finite. Remove them in an editor."
        )


def _check_faces(faces: np.ndarray, count: int) -> None:
    if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < count:
        raise DataError(
            f"a mesh's faces name vertices 0 to {count - 1}; found {int(faces.min())} to"
            f" {int(faces.max())}. Export it again."
        )
