"""Settings of relight.poses."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class PosesConfig(Config):
    """Photographs without poses, or a video, become a capture with poses."""

    photographs: Path = artifact("photographs", "a folder of photographs, or a video")
    pattern: str = setting(
        "**/*", "which files of the folder are photographs; ** stands for any folders", min_length=1
    )
    frames: int = setting(
        80, "photographs taken from a video: the sharpest of as many equal parts", ge=3
    )
    lens: Literal[
        "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"
    ] = setting("SIMPLE_RADIAL", "COLMAP's camera model; OPENCV_FISHEYE for action cameras")
    camera: Literal["auto", "one", "each"] = setting(
        "auto",
        "whose focal length is the same: photographs of one size and EXIF camera, all, or none",
    )
    matching: Literal["auto", "exhaustive", "sequential"] = setting(
        "auto",
        "each photograph with each, or with those that follow it; auto is sequential for videos and"
        " for more than 150 photographs",
    )
    overlap: int = setting(10, "how many that follow, where matching is sequential", ge=1)
    longest_px: int = setting(
        1600, "features are looked for in photographs shrunk to this longer side", ge=64
    )
    features: int = setting(4096, "features of a photograph, at most", ge=64)
    least: float = setting(
        0.5, "share of the photographs that must get a pose, or else it is an error", ge=0, le=1
    )
    upright: bool = setting(
        True, "turn the scene so that z is up, with its middle at 0 and the cameras 4 units away"
    )
