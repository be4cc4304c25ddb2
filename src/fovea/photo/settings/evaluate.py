"""What `photo.evaluate` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class EvaluateConfig(Config):
    """A scene made of the left picture of a pair is held against the right one."""

    scene: Path = artifact("gaussians", "the scene, made of the left photograph")
    data: Path | None = artifact(
        "folder",
        "a rectified pair with disparities: Middlebury's names, or *left*, *right*, *disp*",
        optional=True,
    )
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
