"""Settings of `photo.predict`: photographs become scenes."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.settings.photograph import PhotographConfig


class PredictConfig(Config):
    """One photograph, or each in a folder, becomes metric 3D Gaussians."""

    photo: Path = artifact("photo", "the photograph, or a folder of them")
    recursive: bool = setting(False, "whether photographs in folders inside the folder count too")
    depth: Literal["none", "png", "npy", "exr"] = setting(
        "none", "whether maps of the metric depth are kept, and in which format"
    )
    normals: bool = setting(False, "whether a picture of the surface's normals is kept as well")
    aside: float = setting(
        0.05,
        "how far to the side the view on the contact sheet stands, as a part of the distance",
        ge=-0.5,
        le=0.5,
        advanced=True,
    )
    photograph: PhotographConfig = setting(PhotographConfig(), "how photographs are read")
    engine: EngineConfig = setting(EngineConfig(), "which network predicts, and how")
