"""Settings of relight.bake."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class SurfaceConfig(Config):
    """How the depth of all views is fused to a surface."""

    resolution: int = setting(
        224, "voxels along the longest edge of the scene", ge=8, le=2048, tunable=(64, 384)
    )
    truncation: float = setting(
        8.0, "voxels up to which a view's word about a surface reaches", gt=0
    )


class BakeConfig(Config):
    """Places near a scene's surface learn which part of the sky they see."""

    scene: Path = artifact("gaussians", "the scene to bake")
    cameras: Path | None = artifact(
        "cameras",
        "where it was photographed from; without, views around it are made",
        optional=True,
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference bakes as the published system does, to compare with it"
    )
    by: Literal["rays", "cubes"] = setting(
        "rays",
        "what a node looks with: rays against the surface, or rasterised cubes of the Gaussians,"
        " slower, and all there is in reference mode",
    )
    resolution: int = setting(
        0, "nodes along the longest side; 0 is 128, in reference mode 160", ge=0, tunable=(32, 192)
    )
    bound: float = setting(
        0.0,
        "half the side of a cube about the origin, in world units; 0 is the box of what the cameras"
        " see, in reference mode 1.5",
        ge=0,
    )
    threshold: float = setting(
        0.0,
        "distance up to which things hide the sky, fading as exp(-(d / threshold)^2); 0 is any"
        " distance. In reference mode it ends at once, and 0 is 0.4",
        ge=0,
    )
    rays: int = setting(256, "rays from a node", ge=16, le=65_536, tunable=(64, 1024), log=True)
    cube_res: int = setting(
        0, "texels along the edge of a cube's face; 0 is 32, in reference mode 256", ge=0, le=1024
    )
    near: float = setting(
        0.0,
        "distance up to which nothing hides, in world units; 0 is 0.001, in reference mode 0.2",
        ge=0,
        advanced=True,
    )
    valid: float = setting(
        1.5,
        "in reference mode Gaussians farther than this from a node along any axis are left out",
        gt=0,
        advanced=True,
    )
    surface: SurfaceConfig = setting(SurfaceConfig(), "the surface")
    checkpoint_s: float = setting(
        20.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )
