"""How dense the scenes are that are predicted."""

from __future__ import annotations

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
