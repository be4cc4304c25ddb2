"""What `events.evaluate` may be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from fovea.config import Config, Path, artifact, setting

Word = Annotated[str, BeforeValidator(str)]
"""A number counts as it is written."""


class TTAConfig(Config):
    """Several looks at each recording, merged."""

    enable: bool = setting(
        False, "also look at it mirrored and backwards: four views, merged box by box"
    )
    iou: float = setting(0.45, "overlap above which the less sure of two boxes goes", gt=0, lt=1)


class EvaluateConfig(Config):
    """A detector is held against the boxes of a data set."""

    data: Path = artifact("eventset", "the data set")
    detector: Path = artifact("detector", "detector.pt, or a checkpoint of RVT or LEOD")
    sensor: str = setting(
        "auto", "gen1 or gen4 where the data set does not say it; auto asks the data set"
    )
    split: Literal["val", "test", "train"] = setting(
        "val", "recordings to score; test is for the last number, when all choices are made"
    )
    ratio: float = setting(1.0, "part of the split's recordings, evenly spread", gt=0, le=1)
    batch: int = setting(8, "recordings side by side", ge=1)
    length: int = setting(
        21, "histograms at once; the first is that many before a recording's first label", ge=1
    )
    confidence: float = setting(
        0.001, "objectness times class confidence from which a box counts", ge=0, lt=1
    )
    reverse: bool = setting(False, "read recordings backwards, labels moved accordingly")
    tta: TTAConfig = setting(TTAConfig(), "several looks at each recording, merged")
    pictures: int = setting(8, "moments shown on the page", ge=0, le=100)
    tags: dict[str, Word] = setting(
        {}, "words to tell these scores from others in a table, model=student seed=1"
    )

    @model_validator(mode="after")
    def _four_views_are_both_ways(self) -> EvaluateConfig:
        if self.reverse and self.tta.enable:
            raise ValueError("tta.enable looks both ways already; leave reverse out")
        return self
