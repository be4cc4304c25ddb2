"""A textured object as one .glb file, glTF 2.0: y up, metal and roughness, textures inside.

trimesh writes the container; tangents, which it does not know, and occlusion are added on its way.

Source: Khronos, glTF 2.0 specification, 3.7.2 (meshes) and 3.9 (materials).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from fovea.relight.asset.atlas import Unwrapped
from fovea.relight.asset.textures import Textures

FLOAT, VERTICES = 5126, 34962
"""glTF's words for float32 and for a buffer of vertex attributes."""


def write_glb(
    path: Path,
    flat: Unwrapped,
    textures: Textures,
    *,
    turned: Float[np.ndarray, "3 3"],
    name: str = "object",
) -> None:
    """Write an object.

    Args:
        path: ends in .glb.
        flat: its mesh, in the world.
        textures: laid out as the mesh's texture coordinates say.
        turned: the rotation from the world to y up.
        name: of the mesh and the material.
    """
    import trimesh
    from trimesh.exchange.gltf import export_glb
    from trimesh.visual import TextureVisuals

    mesh = trimesh.Trimesh(
        vertices=flat.vertices @ turned.T,
        faces=flat.faces,
        vertex_normals=_unit(flat.normals @ turned.T),
        visual=TextureVisuals(
            # trimesh counts v from below and turns it on its way out.
            uv=np.stack([flat.uvs[:, 0], 1 - flat.uvs[:, 1]], axis=1),
            material=_material(textures, name),
        ),
        process=False,
        validate=False,
    )
    tangents = np.concatenate(
        [_unit(flat.tangents[:, :3] @ turned.T), flat.tangents[:, 3:]], axis=1
    ).astype("<f4")

    def complete(buffers: dict[str, bytes], tree: dict[str, Any]) -> None:
        buffers["tangents"] = tangents.tobytes()
        accessors: dict[str, Any] = tree["accessors"]
        accessors["tangents"] = {
            "bufferView": len(buffers) - 1,
            "componentType": FLOAT,
            "count": len(tangents),
            "type": "VEC4",
        }
        (primitive,) = tree["meshes"][0]["primitives"]
        primitive["attributes"]["TANGENT"] = len(accessors) - 1
        (material,) = tree["materials"]
        # One picture serves both: occlusion is its red.
        packed = material["pbrMetallicRoughness"]["metallicRoughnessTexture"]
        material["occlusionTexture"] = dict(packed)
        tree["asset"]["generator"] = "fovea"

    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name=name, node_name=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_glb(scene, include_normals=True, buffer_postprocessor=complete))


def _material(textures: Textures, name: str) -> Any:
    from trimesh.visual.material import PBRMaterial

    return PBRMaterial(
        name=name,
        baseColorTexture=Image.fromarray(textures.base_color),
        metallicRoughnessTexture=Image.fromarray(textures.occlusion_roughness_metallic),
        normalTexture=Image.fromarray(textures.normal),
        metallicFactor=1.0,
        roughnessFactor=1.0,
        doubleSided=True,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
