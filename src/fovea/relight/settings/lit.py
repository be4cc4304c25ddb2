"""Which light falls on a scene with materials; evaluating and filming inherit this."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class LitConfig(Config):
    """Which light falls on a scene with materials, and how the scene is shaded."""

    light: Path | None = artifact(
        "light", "an environment map: a downloaded one, or that of relight.decompose", optional=True
    )
    lighting: Path | None = artifact(
        "lighting",
        "the fitted light as it was learnt, `lighting.npz`; it also says how to shade"
        " in mode=reference",
        optional=True,
    )
    surface: Path | None = artifact(
        "mesh", "the surface that casts shadows, `surface.ply` of relight.bake", optional=True
    )
    occlusion: Path | None = artifact(
        "occlusion",
        "its occlusion volume; only mode=reference with `lighting` asks it",
        optional=True,
    )
    up: Literal["auto", "z", "y"] = setting(
        "auto",
        "which way up is in the world that maps are laid around: z for TensoIR and Blender, y for"
        " GS-IR's unturned maps; auto sees it from the photographs",
    )
    yaw_deg: float = setting(0.0, "turn of the maps about up, in degrees")
    exposure: float = setting(0.0, "brightness of the maps, in stops", ge=-30, le=30)
    shadows: bool = setting(True, "whether the surface or the occlusion volume casts shadows")
    shading: Literal["split-sum", "monte-carlo"] = setting(
        "split-sum",
        "how glossy light is found: from the blurred map, or added up at every pixel, slower",
    )
    samples: int = setting(
        64, "rays from each vertex of the surface, or with monte-carlo from each pixel", ge=4
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference shades as the published system does, without shadows"
    )
