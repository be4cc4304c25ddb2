"""Settings of relight.evaluate."""

from __future__ import annotations

from typing import Literal

from fovea.config import Path, artifact, setting
from fovea.relight.settings.capture import CaptureConfig
from fovea.relight.settings.lit import LitConfig


class EvaluateConfig(CaptureConfig, LitConfig):
    """A scene is rendered from a capture's views and held against its photographs and truth."""

    scene: Path = artifact("gaussians", "the scene to judge")
    data: Path = artifact("capture", "the photographs to judge it by, and truth beside them")
    lights: Path | None = artifact(
        "folder", "maps `<light>.hdr` of the truth `rgba_<light>.png`; else the capture's own",
        optional=True,
    )  # fmt: skip
    fitted_light: str = setting(
        "", "name of the map that the photographs were taken under, where it is among the lights"
    )
    albedo_rescale: Literal["auto", "none", "one", "three"] = setting(
        "auto",
        "scale base colours to the truth before relighting: by one ratio, by one a channel; auto is"
        " three where there is truth, and none in mode=reference",
    )
    split: Literal["test", "train"] = setting("test", "which views")
    relit_views: int = setting(
        0, "relight at most this many views, evenly spread; 0 relights all", ge=0
    )
    lpips: Literal["none", "vgg", "alex"] = setting(
        "none", "network of LPIPS; it needs the package lpips and fetches weights"
    )
    background: Literal["black", "white"] = setting("black", "behind cut-out photographs, in both")
