"""Settings of relight.film."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.relight.settings.lit import LitConfig


class PointConfig(Config):
    """A point light among the photographs' cameras, in place of an environment."""

    motion: Literal["none", "shadow_map", "light_move"] = setting(
        "none",
        "shadow_map: the light stands at the first camera and the camera moves on; light_move: the"
        " camera stands there and the light moves on",
    )
    start: int = setting(0, "number of the first training camera of the way", ge=0)
    end: int = setting(-1, "number of the camera before which the way ends; -1 takes all", ge=-1)
    loop: bool = setting(False, "return to the first camera")
    intensity: float = setting(100.0, "radiant intensity in each channel", gt=0)
    falloff: float = setting(2.0, "power of the distance by which the light fades", ge=0)
    shadows: Literal["auto", "rays", "cube", "off"] = setting(
        "auto",
        "rays against the surface, or depths around the light; auto takes rays where there is a"
        " surface, and depths in mode=reference",
    )
    cube_px: int = setting(
        512, "width of a face of the depths around the light; 2048 was published", ge=8, le=4096
    )
    shadowed: float = setting(
        -1.0,
        "what is left of the light in a shadow; -1 is nothing, and in mode=reference 0.3 of a"
        " standing and 0.2 of a moving light",
        ge=-1,
        le=1,
    )


class FilmConfig(LitConfig):
    """A camera moves around a scene, or a light does."""

    scene: Path = artifact("gaussians", "the scene to film")
    cameras: Path | None = artifact(
        "cameras", "where its photographs were taken from, `cameras.json`", optional=True
    )
    lights: Path | None = artifact(
        "folder", "a folder of environment maps, to film the scene under each", optional=True
    )
    pick: tuple[str, ...] = setting(
        (), "names of the maps in `lights`, without ending, in order; all where none is named"
    )
    arrange: Literal["beside", "each"] = setting(
        "beside", "several lights side by side in one film, or a film for each"
    )
    path: Literal["auto", "orbit", "cameras", "still"] = setting(
        "auto",
        "a circle around the scene, a ride along the photographs, or a camera that stands; auto"
        " looks at the photographs",
    )
    view: int = setting(0, "number of the photograph from which a still camera looks", ge=0)
    turn: float = setting(0.0, "turns of the light about up during the film")
    seconds: float = setting(6.0, "length of the film in s", gt=0, le=600)
    frames: int = setting(0, "length in frames; 0 takes `seconds`", ge=0, le=100_000)
    fps: int = setting(30, "frames a second", ge=1, le=120)
    width: int = setting(0, "of the film in px; 0 takes that of the photographs", ge=0, le=8192)
    height: int = setting(0, "of the film in px; 0 keeps the photographs' shape", ge=0, le=8192)
    background: Literal["black", "white", "light"] = setting(
        "black", "behind the scene; light shows the environment"
    )
    stills: tuple[int, ...] = setting(
        (), "frames to keep as pictures, counted from 0; negative ones from the end"
    )
    point: PointConfig = setting(PointConfig(), "a point light in place of an environment")
