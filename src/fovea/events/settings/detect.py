"""What `events.detect` may be told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from fovea.config import Config, Path, artifact, setting

STDIN = "-"


class LookConfig(Config):
    """How the video looks."""

    fps: float = setting(20.0, "frames a second", gt=0, le=120)
    speed: float = setting(
        0.0, "seconds of the recording in a second of video; 0 slows down short recordings", ge=0
    )
    shown_ms: float = setting(
        0.0, "events of so long are in a frame; 0 takes 50, less in slow motion", ge=0
    )
    events: Literal["events", "polarity"] = setting(
        "events", "dark where something happened; or white brighter, black darker"
    )
    labels: Literal["full", "short", "class", "none"] = setting(
        "short", "words at a box: class, both scores and their product; or less"
    )
    factor: int = setting(
        0, "pixels of the video for one of the camera; 0 enlarges small cameras", ge=0, le=16
    )


class DetectConfig(Config):
    """A recording or a live stream gets boxes, and a video that shows them."""

    recording: Path | None = artifact(
        "events", "the recording; `-` stands for stream=-", optional=True
    )
    detector: Path = artifact("detector", "detector.pt, or a checkpoint of RVT or LEOD")
    stream: str = setting(
        "",
        "in place of a recording, where bytes of .raw or .dat come from: - for standard input, or"
        " the path of a pipe or of a file that grows",
        local_only=True,
    )
    stream_id: str = setting(
        "", "tells one stream from another; filled in by itself", advanced=True
    )
    follow_s: float = setting(
        0.0, "a file that grows is at its end when nothing came for so long; 0 reads to its end",
        ge=0,
    )  # fmt: skip
    sensor: str = setting(
        "auto", "gen1 or gen4 for a published checkpoint; our own detectors say it themselves"
    )
    height: int | None = setting(None, "of the camera in px, where the file does not say", ge=1)
    width: int | None = setting(None, "of the camera in px, where the file does not say", ge=1)
    mend_times: bool = setting(False, "raise times that fall, instead of refusing them")
    start_s: float = setting(0.0, "seconds of the recording that are left out at its start", ge=0)
    seconds: float = setting(0.0, "seconds that are looked at; 0 takes all", ge=0)
    fit: Literal["auto", "pad", "crop", "resize", "refuse"] = setting(
        "auto",
        "a camera of another size than the detector's: set into its frame, cut to it, or shrunk;"
        " auto sets a smaller one into the frame and shrinks a larger one",
    )
    period_ms: float = setting(
        0.0,
        "time from one window of 50 ms to the next; 0 as the detector was trained, 125 for gen1;"
        " 50 leaves no event out",
        ge=0,
    )
    confidence: float = setting(
        0.1, "objectness times class confidence from which a box is shown", gt=0, lt=1
    )
    video: bool = setting(True, "whether to make the video, or the boxes alone")
    look: LookConfig = setting(LookConfig(), "how the video looks")

    @model_validator(mode="before")
    @classmethod
    def _from_a_stream(cls, data: Any) -> Any:
        """`-` is no file; and no two streams are the same, so that no old result is taken."""
        if not isinstance(data, Mapping):
            return data
        given: dict[str, Any] = {str(name): value for name, value in data.items()}
        if str(given.get("recording")) == STDIN:
            given |= {"recording": None, "stream": STDIN}
        if given.get("stream") and not given.get("stream_id"):
            given["stream_id"] = str(time.time_ns())
        return given
