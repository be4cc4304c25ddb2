"""`service.finish`: a scene goes through plugins; one that breaks is left out."""

from __future__ import annotations

from fovea.errors import DataError
from fovea.photo.sharp_ply import read_camera, write_sharp_ply
from fovea.runs.stage import Context
from fovea.scene.files import read_gaussians, write_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.service.plugins.apply import through
from fovea.service.plugins.stages import FinishConfig


def finish(config: FinishConfig, context: Context) -> dict[str, float]:
    """Write the scene as the plugins leave it."""
    scene, lens = read_gaussians(config.scene), read_camera(config.scene)
    scene = through("postprocess", config.plugins, scene, context, check=_checked)
    path = context.output("scene")
    if lens and not scene.degree and not scene.extras:
        focal_px = float(lens.intrinsics[0, 0])
        write_sharp_ply(path, scene, focal_px=focal_px, height=lens.height, width=lens.width)
    else:
        write_gaussians(path, scene)
    return {"gaussians": float(len(scene))}


def _checked(scene: object) -> Gaussians:
    """What a plugin gave, if it is a scene.

    Raises:
        DataError: it is none, or is empty.
    """
    if not isinstance(scene, Gaussians):
        raise DataError(f"it gave {type(scene).__name__} in place of Gaussians")
    if not len(scene):
        raise DataError("it left no Gaussians")
    return scene
