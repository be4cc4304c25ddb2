"""How a photograph is read: its colours, its size, and the focal length it was taken with."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from fovea.config import Config, setting


class PhotographConfig(Config):
    """How a photograph is read."""

    mode: Literal["corrected", "reference"] = setting(
        "corrected",
        "corrected applies colour profiles, all orientations and alpha; reference reads as SHARP's"
        " own program does, faults included",
    )
    focal_mm: float | None = setting(
        None, "focal length in mm on 35 mm film, in place of what EXIF says", gt=0
    )
    focal_px: float | None = setting(
        None, "focal length in pixels of the upright photograph, in place of what EXIF says", gt=0
    )
    fov_deg: float | None = setting(
        None, "horizontal field of view in degrees, in place of what EXIF says", gt=0, lt=180
    )
    background: str = setting(
        "white", "colour behind what is transparent: a name of CSS, or #rrggbb"
    )
    most_pixels: int = setting(
        200_000_000, "a picture of more pixels is refused before it is decoded", ge=1, advanced=True
    )

    @field_validator("background")
    @classmethod
    def _is_a_color(cls, value: str) -> str:
        from PIL import ImageColor

        ImageColor.getrgb(value)
        return value

    @model_validator(mode="after")
    def _one_focal_length(self) -> PhotographConfig:
        given = {
            name: value
            for name in ("focal_mm", "focal_px", "fov_deg")
            if (value := getattr(self, name)) is not None
        }
        if len(given) > 1:
            said = " and ".join(f"{name}={value:g}" for name, value in given.items())
            raise ValueError(f"{said} say the focal length more than once; give one of them")
        return self
