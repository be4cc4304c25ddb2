"""How dense the scenes are that are predicted."""

from __future__ import annotations

from pydantic import model_validator

from fovea.config import Config, setting


class InferenceConfig(Config):
    """How dense the scenes are that are predicted."""

    input_size: tuple[int, int] = setting(
        (1536, 1536), "width and height that are asked for; see docs/service.md for the rule"
    )
    dynamic_input_size: bool = setting(
        False, "choose the size by how much there is to see in the photograph"
    )
    min_input_size: int = setting(512, "smallest size that is chosen so", ge=64, le=1536)
    max_input_size: int = setting(1536, "largest size that is chosen so", ge=64, le=1536)

    @model_validator(mode="after")
    def _sizes_fit(self) -> InferenceConfig:
        if min(self.input_size) < 1:
            width, height = self.input_size
            raise ValueError(f"input_size {width} x {height} is no size; both sides have 1 or more")
        if self.min_input_size > self.max_input_size:
            raise ValueError(
                f"min_input_size {self.min_input_size} is more than max_input_size"
                f" {self.max_input_size}; turn them round"
            )
        return self
