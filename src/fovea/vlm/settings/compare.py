"""What `vlm.compare` may be told."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class CompareConfig(Config):
    """Scores of models that answered the same questions are held against each other."""

    scores: tuple[Path, ...] = artifact("scores", "scores of vlm.evaluate, each with its tags")
    by: str = setting("data", "the tag that tells the sides apart", min_length=1)
    base: str = setting(
        "raw", "what that tag says of the models that gains are counted from", min_length=1
    )
    average: str = setting("seed", "the tag over which scores are averaged", min_length=1)
    draws: int = setting(10_000, "sets of questions that are drawn", ge=100)
    confidence: float = setting(0.95, "of the intervals", gt=0.5, lt=1)
    seed: int = setting(0, "of what is drawn", ge=0)
