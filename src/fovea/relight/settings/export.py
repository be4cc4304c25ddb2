"""Settings of relight.export."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class ExportConfig(Config):
    """A scene with materials is written for other programs."""

    scene: Path = artifact("gaussians", "the scene, with materials")
    surface: Path = artifact("mesh", "its surface, `surface.ply` of relight.bake")
    light: Path | None = artifact("light", "its light, or any other to go with it", optional=True)
    cameras: Path | None = artifact(
        "cameras",
        "where it was photographed from; without, views around it are made",
        optional=True,
    )
    faces: int = setting(20_000, "most triangles of the object", ge=4, le=2_000_000)
    texture: int = setting(1024, "edge of its textures, in texels", ge=16, le=8192)
    rays: int = setting(512, "directions in which a place looks for what hides the sky", ge=16)
    up: Literal["auto", "z", "y"] = setting(
        "auto", "which way is up in the scene's world; auto sees it from the photographs"
    )
