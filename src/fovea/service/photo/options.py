"""What a caller may say about a prediction, and the recipe that is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Format = Literal["ply", "compressed", "splat", "spz", "sog", "glb"]
Video = Literal["none", "rotate_forward", "rotate", "swipe", "shake", "dolly_zoom", "still"]


class PredictOptions(BaseModel):
    """The options of a prediction: parts of the form beside the photograph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    focal_mm: Annotated[float | None, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        None, description="focal length in mm on 35 mm film, in place of what EXIF says"
    )
    focal_px: Annotated[float | None, Field(gt=0, le=1e7, allow_inf_nan=False)] = Field(
        None, description="focal length in pixels of the upright photograph"
    )
    format: Format = Field("ply", description="of the scene's file")
    max_gaussians: int = Field(0, ge=0, le=10**9, description="at most so many; 0 keeps all")
    opacity_min: float = Field(
        0.0, ge=0, lt=1, description="what is more transparent than this is left out"
    )
    coordinate: Literal["opencv", "opengl"] = Field("opencv", description="axes of the file")
    color_space: Literal["srgb", "linear"] = Field(
        "srgb", description="of the colours in the file; linear goes with ply and glb"
    )
    size: int | None = Field(
        None, ge=1, le=100_000, description="how dense the scene is: (size / 2)^2 x 2 Gaussians"
    )
    video: Video = Field("none", description="also a film, and how its camera moves")
    webhook_url: str | None = Field(
        None, max_length=2000, description="an address that is told when it ends"
    )

    @model_validator(mode="after")
    def _do_not_contradict(self) -> PredictOptions:
        if self.focal_mm is not None and self.focal_px is not None:
            raise ValueError("focal_mm and focal_px say the focal length twice; give one of them")
        if self.color_space == "linear" and self.format not in ("ply", "glb"):
            raise ValueError(
                f"color_space linear cannot be said in a file of {self.format}; take ply or glb"
            )
        return self
