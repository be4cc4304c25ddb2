"""What `photo.evaluate` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class EvaluateConfig(Config):
    """A scene made of one photograph is held against others: a pair's, or a posed capture's."""

    scene: Path = artifact("gaussians", "the scene, made of the left photograph, or of `view`")
    data: Path | None = artifact(
        "folder",
        "a rectified pair with disparities: Middlebury's names, or *left*, *right*, *disp*; or"
        " a capture with poses: COLMAP, NeRF-synthetic, instant-ngp, TensoIR",
        optional=True,
    )
    view: str = setting(
        "", "posed capture: the photograph that the scene was made of, by its name; the first"
    )
    views: int = setting(
        8,
        "posed capture: how many others are looked at, the nearest; every other one finds the"
        " scale, the rest are scored",
        ge=2,
    )
    resolution: int = setting(
        0,
        "posed capture: divide the photographs' size by 1, 2, 4 or 8; a larger number is the width"
        " in px; 0 brings the longer side to 512 px or less",
        ge=-1,
    )
    images: str = setting("images", "posed capture: folder of the photographs, for COLMAP")
    left: Path | None = artifact("file", "the left photograph, in place of `data`", optional=True)
    right: Path | None = artifact("file", "the right photograph", optional=True)
    disparity: Path | None = artifact(
        "file", "disparities of the left one in px: .pfm, .npz, .npy, .png", optional=True
    )
    focal_px: float = setting(0.0, "of the pair; 0 takes calib.txt, or the scene's", ge=0)
    baseline_mm: float = setting(
        0.0, "distance of the two cameras; 0 takes calib.txt, or leaves the scale open", ge=0
    )
    offset_px: float = setting(
        0.0, "how far the right principal point lies right of the left; added to disparities"
    )
    align: Literal["least_squares", "median"] = setting(
        "least_squares",
        "how scale and shift of the inverse depth are found before scoring; medians are moved less"
        " by outliers",
    )
    lpips: Literal["none", "vgg", "alex"] = setting(
        "none", "also score perceptual distance by this network, where the package lpips is there"
    )
