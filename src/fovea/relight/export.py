"""A scene with materials leaves the house, for the browser, for Blender and its like.

Three things are written: the Gaussians with what the page needs to relight them, a textured mesh as
glTF, and the light turned so that it fits the mesh once that has been imported. docs/export.md says
how each is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree

from fovea.errors import DataError
from fovea.relight.asset.atlas import texels, unwrap
from fovea.relight.asset.gltf import write_glb
from fovea.relight.asset.textures import bake_textures
from fovea.relight.bake import views_around
from fovea.relight.cameras import read_cameras
from fovea.relight.capture.gsir import read_scene
from fovea.relight.light import latlong
from fovea.relight.light.environment import Environment, Up
from fovea.relight.relighting import evenly, require_materials, require_seen, up_of
from fovea.relight.settings.export import ExportConfig
from fovea.relight.settings.lit import LitConfig
from fovea.relight.surface.mesh import Mesh, read_mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.surface.transfer import ambient, transfer
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply
from fovea.scene.radiance import write_radiance

MOST_VIEWS = 48
FARTHEST = 0.05
"""Of the mesh's diagonal: how far half of the opaque Gaussians may lie from a mesh of their own."""
OPAQUE = 0.3
Z_TO_Y = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
"""From z up to y up, as glTF's importers undo it."""
Z_FROM_MAP = ((0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""From the axes of a map to a z-up world: row 0 is +z, the centre column +x, to its right -y."""


def export(config: ExportConfig, context: Context) -> dict[str, float]:
    """Write the scene, the object and the light."""
    gaussians, mesh, cameras = _read(config)
    tracer = Tracer(mesh)
    up = up_of(LitConfig(up=config.up), cameras)
    views = cameras or views_around(gaussians, MOST_VIEWS)
    views = [views[number] for number in evenly(len(views), MOST_VIEWS)]
    stages = 4 + len(views)

    def watch(first: int, parts: int) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if context.should_stop():
                context.stop()
            context.progress(first + parts * done // total, stages, "parts")

        return report

    own = transfer(tracer, *_places(gaussians), rays=config.rays, watch=watch(0, 1))
    shaded = replace(gaussians, extras=gaussians.extras | {"transfer": torch.from_numpy(own)})
    write_ply(context.output("scene"), shaded)

    open_sky = ambient(
        transfer(tracer, mesh.vertices, mesh.normals, rays=config.rays, watch=watch(1, 1))
    )
    flat = unwrap(mesh, faces=config.faces, texture=config.texture)
    watch(2, 1)(1, 1)
    shown = texels(flat, config.texture)
    textures = bake_textures(gaussians, views, tracer, shown, open_sky, watch=watch(3, len(views)))
    write_glb(context.output("object"), flat, textures, turned=y_up(up))
    context.picture(0, "base-color", textures.base_color)
    context.picture(0, "occlusion-roughness-metallic", textures.occlusion_roughness_metallic)
    context.picture(0, "normal", textures.normal)
    if config.light is not None:
        turned = light_beside(Environment.read(config.light, up=up))
        write_radiance(context.output("light"), turned)
        write_radiance(context.output("light_exr"), turned)
    watch(stages - 1, 1)(1, 1)
    return {
        "object/faces": float(len(flat.faces)),
        "object/seen": textures.seen,
        "object/open": float(open_sky.mean()),
    }


def z_up(up: Up) -> torch.Tensor:
    """The rotation from a world to z up, the least there is; float64."""
    direction = {"z": (0.0, 0.0, 1.0), "y": (0.0, 1.0, 0.0)}[up] if isinstance(up, str) else up
    # A map with this up stands in the world as one of a z-up world stands in the turned one.
    turned = Environment(torch.ones(1, 2, 3), up=direction).native_from_world
    return torch.tensor(Z_FROM_MAP, dtype=torch.float64) @ turned


def y_up(up: Up) -> np.ndarray:
    """The rotation from a world to glTF's axes, y up."""
    return np.array(Z_TO_Y) @ z_up(up).numpy()


def light_beside(environment: Environment) -> torch.Tensor:
    """The light as a map that needs no turning in Blender, beside the object imported there.

    Blender turns glTF's y up into its z up, and reads maps with +x in the centre column and -y to
    its right.
    """
    height, width, _ = environment.radiance.shape
    native = latlong.directions(height, width, dtype=torch.float64)
    world = native @ torch.tensor(Z_FROM_MAP, dtype=torch.float64).T @ z_up(environment.up)
    return environment.radiance_at(world).to(environment.radiance.dtype).clamp(min=0)


def _read(config: ExportConfig) -> tuple[Gaussians, Mesh, list[Camera]]:
    gaussians = read_scene(config.scene).detach()
    require_materials(gaussians, config.scene, "relight.export")
    mesh = read_mesh(config.surface)
    require_near(gaussians, mesh, scene=config.scene, surface=config.surface)
    cameras: Sequence[Camera] = ()
    if config.cameras is not None:
        cameras = read_cameras(config.cameras)
        require_seen(gaussians, cameras, config.scene, config.cameras)
    return gaussians, mesh, list(cameras)


def require_near(gaussians: Gaussians, mesh: Mesh, *, scene: Path, surface: Path) -> None:
    """Refuse a mesh that does not run where the Gaussians are.

    Raises:
        DataError: half of the opaque Gaussians are far from it.
    """
    is_opaque = gaussians.opacities > OPAQUE
    is_opaque = is_opaque if is_opaque.any() else torch.ones_like(is_opaque)
    distances, _ = KDTree(mesh.vertices).query(gaussians.means[is_opaque].cpu().numpy())
    # A large Gaussian makes a surface as far from its centre as it is large.
    reach = gaussians.scales[is_opaque].max(dim=1).values.cpu().numpy()
    apart = float(np.median(np.maximum(distances - reach, 0)))
    size = float(np.linalg.norm(np.ptp(mesh.bounds, axis=0)))
    if apart > FARTHEST * size:
        low, high = (np.round(corner, 2).tolist() for corner in mesh.bounds)
        raise DataError(
            f"relight.export needs the surface of its own scene; half of the opaque Gaussians of"
            f" {scene} are more than {apart:.3g} from {surface}, whose box is {low} to {high}."
            " Bake this scene with relight.bake, and give that surface.ply."
        )


def _places(gaussians: Gaussians) -> tuple[np.ndarray, np.ndarray]:
    normals = torch.nn.functional.normalize(gaussians.extras["normal"], dim=-1)
    return gaussians.means.cpu().numpy(), normals.cpu().numpy()
