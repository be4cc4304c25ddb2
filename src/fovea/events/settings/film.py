"""What `events.film` may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from fovea.config import Config, Path, artifact, setting


class FilmConfig(Config):
    """Recordings of a data set become videos: events, true boxes, and those that are found."""

    data: Path = artifact("eventset", "the data set")
    detector: Path | None = artifact(
        "detector", "whose boxes are shown; without one the true boxes alone", optional=True
    )
    compare: Path | None = artifact(
        "detector", "a second one, shown to the right of the first", optional=True
    )
    names: tuple[str, ...] = setting(
        ("teacher", "student"), "what the two are called when both are shown"
    )
    sensor: str = setting(
        "auto", "gen1 or gen4 where the data set does not say it; auto asks the data set"
    )
    split: Literal["val", "test", "train"] = setting("test", "whose recordings are shown")
    pick: tuple[str, ...] = setting(
        (), "recordings by name or number, from 0; the first `count` where none is named"
    )
    count: int = setting(1, "recordings that are shown where none is picked", ge=1)
    mode: Literal["corrected", "reference"] = setting(
        "corrected",
        "true clock; or as the original's films: its clock, labelled frames repeated, every second"
        " frame kept, 15 frames a second, twice the sensor's size",
    )
    confidence: float = setting(
        0.1, "objectness times class confidence from which a box is shown", ge=0, lt=1
    )
    least_sure: float = setting(
        0.0, "detections that are less sure are drawn red, like those of no plausible size", ge=0,
        le=1,
    )  # fmt: skip
    truth: bool = setting(True, "whether true boxes are shown, in black")
    reverse: bool = setting(False, "read recordings backwards, labels moved accordingly")
    seconds: float = setting(0.0, "length of the recording that is shown; 0 all of it", ge=0)
    fps: float = setting(
        0.0, "frames a second; 0 shows every histogram at its time: 8 for gen1, 20 for gen4", ge=0,
        le=120,
    )  # fmt: skip
    events: Literal["events", "polarity"] = setting(
        "events", "dark where something happened; or white brighter, black darker"
    )
    labels: Literal["full", "short", "class", "none"] = setting(
        "full", "words at a box: class, both scores and their product; or less"
    )
    clock: Literal["true", "published"] = setting(
        "true", "time of the recording, or 50 ms a histogram as the original counts"
    )
    factor: int = setting(
        0, "pixels of the video for one of the histogram; 0 enlarges small ones", ge=0, le=16
    )

    @model_validator(mode="after")
    def _second_needs_first(self) -> FilmConfig:
        if self.compare is not None and self.detector is None:
            raise ValueError("compare= shows a second detector; give the first as detector=")
        if self.compare is not None and len(self.names) != 2:
            raise ValueError("names= are two, of detector= and of compare=")
        return self
