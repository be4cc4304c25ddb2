"""What `events.compare` may be told."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class CompareConfig(Config):
    """Scores of several detectors become one table and its curves."""

    scores: tuple[Path, ...] = artifact("scores", "scores of events.evaluate, each with its tags")
    metric: str = setting("AP", "the score that is drawn and compared", min_length=1)
    average: str = setting(
        "seed", "the tag over which rows are averaged, with their spread", min_length=1
    )
    x: str = setting("ratio", "the tag along which curves are drawn, where it is a number")
    base: dict[str, str] = setting(
        {"model": "teacher"}, "tags of the rows from which gains are counted"
    )
    goal: dict[str, str] = setting(
        {"model": "full"}, "tags of the rows that show what all labels would give"
    )
