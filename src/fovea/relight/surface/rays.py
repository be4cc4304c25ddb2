"""Rays against a mesh: what they hit first, and whether anything is in their way.

Embree does the work, through embreex, in single precision. It holds Python's lock while it does,
so that threads gain nothing. About 8 million rays a second on one core.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from fovea.errors import BackendError, DataError
from fovea.relight.surface.mesh import Mesh

FAR = np.float32(1e30)
"""Farther than anything, and finite, as Embree wants it."""


class Hits(NamedTuple):
    """What rays meet first.

    Attributes:
        distance: along the ray, in lengths of its direction; inf where it meets nothing.
        face: the triangle's number; -1 where there is none.
        barycentric: weights of the triangle's second and third vertex.
    """

    distance: Float32[np.ndarray, " R"]
    face: Int32[np.ndarray, " R"]
    barycentric: Float32[np.ndarray, "R 2"]

    @property
    def found(self) -> Bool[np.ndarray, " R"]:
        """Where there is a triangle."""
        return self.face >= 0

    def interpolate(
        self, mesh: Mesh, values: Float[np.ndarray, "V C"]
    ) -> Float32[np.ndarray, "R C"]:
        """Values at the vertices, at the places that were hit; 0 where nothing was."""
        corners = mesh.faces[np.where(self.found, self.face, 0)]
        second, third = self.barycentric[:, :1], self.barycentric[:, 1:]
        weights = np.concatenate([1 - second - third, second, third], axis=1)
        mixed = np.einsum("rk,rkc->rc", weights, values[corners])
        return np.where(self.found[:, None], mixed, 0).astype(np.float32)


class Tracer:
    """A mesh, ready to be hit.

    Raises:
        DataError: it has no faces.
        BackendError: embreex is not installed.
    """

    def __init__(self, mesh: Mesh) -> None:
        if len(mesh.faces) == 0:
            raise DataError(
                f"rays need a surface; the mesh has {len(mesh.vertices)} vertices and no faces."
                " Bake the scene again, with another resolution."
            )
        self.mesh = mesh
        self._scene: Any = _embree(mesh)

    def hit(
        self,
        origins: Float[np.ndarray, "R 3"],
        directions: Float[np.ndarray, "R 3"],
        near: float | Float[np.ndarray, " R"] = 1e-3,
        far: float | Float[np.ndarray, " R"] = np.inf,
    ) -> Hits:
        """The first triangle of each ray whose distance lies between `near` and `far`."""
        starts, along, reach = _advanced(origins, directions, near, far)
        found = self._scene.run(starts, along, reach, query="INTERSECT", output=1)
        face = np.asarray(found["primID"], dtype=np.int32)
        distance = np.where(face >= 0, found["tfar"] + np.float32(near), np.float32(np.inf))
        return Hits(
            distance.astype(np.float32),
            face,
            np.stack([found["u"], found["v"]], axis=1).astype(np.float32),
        )

    def occluded(
        self,
        origins: Float[np.ndarray, "R 3"],
        directions: Float[np.ndarray, "R 3"],
        near: float | Float[np.ndarray, " R"] = 1e-3,
        far: float | Float[np.ndarray, " R"] = np.inf,
    ) -> Bool[np.ndarray, " R"]:
        """Whether any triangle lies on the ray between `near` and `far`; faster than `hit`."""
        starts, along, reach = _advanced(origins, directions, near, far)
        return np.asarray(self._scene.run(starts, along, reach, query="OCCLUDED")) >= 0


def _advanced(
    origins: np.ndarray, directions: np.ndarray, near: Any, far: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rays with their starts moved to `near`; embreex takes no other beginning than 0."""
    starts = np.asarray(origins, dtype=np.float32)
    along = np.ascontiguousarray(directions, dtype=np.float32)
    if starts.shape != along.shape or starts.ndim != 2 or starts.shape[1] != 3:
        raise DataError(
            f"rays need origins and directions of one shape [R, 3]; got {list(starts.shape)} and"
            f" {list(along.shape)}."
        )
    first = np.asarray(near, dtype=np.float32)
    starts = starts + along * (first[:, None] if first.ndim else first)
    # A new array: embreex writes the distances into it.
    reach = np.minimum(np.asarray(far, dtype=np.float32), FAR) - first
    reach = np.broadcast_to(np.maximum(reach, 0), (len(starts),)).astype(np.float32)
    return np.ascontiguousarray(starts), along, reach


def _embree(mesh: Mesh) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise BackendError(
            f"rays against a mesh need embreex, and it cannot be imported ({error})."
            ' Run: pip install "fovea-vision[relight]"'
        ) from error
    scene = EmbreeScene()
    TriangleMesh(
        scene,
        np.ascontiguousarray(mesh.vertices, dtype=np.float32),
        np.ascontiguousarray(mesh.faces, dtype=np.int32),
    )
    return scene
