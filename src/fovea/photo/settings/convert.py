"""Settings of `photo.convert`: a scene in another format, smaller, in other axes."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class ConvertConfig(Config):
    """A scene becomes a file of another format, of other axes, or of fewer Gaussians."""

    scene: Path = artifact("gaussians", "the scene: .ply, .spz, .sog, .splat or .glb")
    format: Literal["ply", "compressed", "spz", "sog", "splat", "glb"] = setting(
        "sog", "of the file; compressed is PlayCanvas' .compressed.ply, glb is glTF"
    )
    axes: Literal["auto", "opencv", "opengl", "gltf", "blender", "ros", "unity", "unreal"] = (
        setting("auto", "of the file; auto leaves a scene as it is, and glTF gets y up")
    )
    from_axes: Literal["opencv", "opengl", "gltf", "blender", "ros", "unity", "unreal"] = setting(
        "opencv", "of the scene as it comes; those of photo.predict and relight are opencv"
    )
    colors: Literal["srgb", "keep"] = setting(
        "srgb",
        "srgb for viewers, which blend what they find; keep leaves linear ones where the"
        " format can say so: ply, glb",
    )
    budget: int = setting(0, "at most so many Gaussians; 0 keeps all", ge=0)
    megabytes: float = setting(0.0, "at most so large a file, in MB of 10^6; 0 takes any", ge=0)
    opacity_min: float = setting(
        0.0, "Gaussians that are more transparent than this are left out", ge=0, lt=1
    )
    prune: bool = setting(
        False, "whether Gaussians go that add nothing to any view near the photograph's"
    )
    strategy: Literal["both", "contribution", "merge", "opacity"] = setting(
        "both",
        "what a budget costs: the weakest go and neighbours are joined, or only one of these;"
        " opacity asks no view",
        advanced=True,
    )
    aside: float = setting(
        0.1,
        "how far to the sides the views stand that count, as a part of the distance",
        ge=0,
        le=1,
    )
    view_px: int = setting(
        768, "longer side of the views that judge", ge=16, le=8192, advanced=True
    )
    check: bool = setting(True, "whether the file is read back and its pictures compared")
