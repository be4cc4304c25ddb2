"""What `photo.film` may be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as AnyPath
from typing import Any, Literal

from pydantic import model_validator

from fovea.config import Config, Path, artifact, setting

Motion = Literal[
    "rotate_forward", "rotate", "swipe", "shake", "dolly_zoom", "still"
]  # fmt: skip


class TrajectoryConfig(Config):
    """Where the camera goes; sizes are shares of the nearest depth, as SHARP's are."""

    trajectory: Motion = setting(
        "rotate_forward",
        "a circle seen from the side with a step forward, a circle, from left to right, left and"
        " right then up and down, nearing with a widening lens, or none",
    )
    lookat: Literal["point", "ahead"] = setting(
        "point", "look at one point all the time, or always straight ahead"
    )
    max_disparity: float = setting(
        0.08, "sideways motion: share of the picture's diagonal by which the nearest moves", ge=0
    )
    max_zoom: float = setting(
        0.15, "forward motion of rotate_forward: share of the nearest depth", ge=0
    )
    distance_m: float = setting(0.0, "where the camera starts, in m forward of the photograph's")
    dolly: float = setting(
        0.5,
        "dolly_zoom: how far the camera goes back, as a share of the subject's distance; negative"
        " goes forward",
        gt=-0.9,
        le=10,
    )
    subject_m: float = setting(
        0.0, "dolly_zoom: depth that keeps its size; 0 takes the scene's focus", ge=0
    )
    steps: int = setting(60, "frames of one repeat", ge=1, le=100_000)
    repeats: int = setting(1, "how often the motion is repeated", ge=1, le=1000)


class StereoConfig(Config):
    """Two eyes in place of one."""

    layout: Literal["none", "side_by_side", "crossed", "anaglyph"] = setting(
        "none",
        "left eye left; left eye right, for crossed eyes; or one picture for red and cyan glasses",
    )
    baseline_mm: float = setting(
        0.0, "distance of the eyes, 63 of a person's; 0 takes `baseline_share`", ge=0
    )
    baseline_share: float = setting(
        1 / 30, "distance of the eyes as a share of the nearest depth", gt=0, le=1
    )
    screen: Literal["focus", "near", "infinity"] = setting(
        "focus", "what lies in the plane of the screen; infinity has two parallel cameras"
    )
    screen_m: float = setting(0.0, "depth of the screen's plane; 0 takes `screen`", ge=0)


class FilmConfig(TrajectoryConfig):
    """A camera moves before a scene made of one photograph."""

    scene: Path | None = artifact(
        "gaussians", "the scene to film; a folder of scenes gives a film each", optional=True
    )
    scenes: Path | None = artifact("scenes", "a folder of scenes, in place of one", optional=True)
    mode: Literal["corrected", "reference"] = setting(
        "corrected",
        "reference repeats SHARP's films: principal point, sizes, black holes, 8 bits cut off",
    )
    format: Literal["mp4", "webm", "gif"] = setting("mp4", "of the films")
    fps: float = setting(30.0, "frames a second", gt=0, le=120)
    width: int = setting(0, "of the film in px; 0 follows the photograph", ge=0, le=8192)
    height: int = setting(0, "of the film in px; 0 follows the photograph", ge=0, le=8192)
    longest_px: int = setting(
        1280, "longer side of a film whose size is not given; mode=reference halves instead",
        ge=16, le=8192,
    )  # fmt: skip
    depth: bool = setting(True, "whether to make a film of the depth as well")
    deepest_m: float = setting(
        50.0, "depths are coloured up to the deepest of the first frame, and no further than this",
        gt=0,
    )  # fmt: skip
    stills: int = setting(
        0, "frames to keep as pictures, spread over the film; with 1, the first", ge=0, le=1000
    )
    holes: Literal["auto", "fill", "black"] = setting(
        "auto",
        "what nobody has seen is filled from around it, or black; auto is black as reference",
    )
    blur: float = setting(
        0.0, "added to the variances on the image in px²; 0.3 calms films smaller than the photo",
        ge=0, le=10,
    )  # fmt: skip
    blending: Literal["auto", "linear", "srgb"] = setting(
        "auto", "in which space colours mix; auto is linear for scenes made of a photograph"
    )
    focal_px: float = setting(
        0.0, "focal length of the photograph, where the scene's file does not say; 0 as it says",
        ge=0,
    )  # fmt: skip
    stereo: StereoConfig = setting(StereoConfig(), "two eyes in place of one")

    @model_validator(mode="before")
    @classmethod
    def _folder_of_scenes(cls, data: Any) -> Any:
        """A folder given as the scene is a folder of scenes."""
        if not isinstance(data, Mapping):
            return data
        given: dict[str, Any] = {str(name): value for name, value in data.items()}
        scene = given.get("scene")
        if scene is not None and not given.get("scenes") and AnyPath(str(scene)).is_dir():
            given |= {"scene": None, "scenes": scene}
        return given
