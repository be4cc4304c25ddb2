"""Settings of events.convert."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class CropConfig(Config):
    """A part of the sensor; it becomes a sensor of its own."""

    left: int = setting(0, "first column that is kept", ge=0)
    top: int = setting(0, "first row that is kept", ge=0)
    width: int = setting(0, "columns that are kept; 0 is all to the right", ge=0)
    height: int = setting(0, "rows that are kept; 0 is all below", ge=0)


class ConvertConfig(Config):
    """A recording of any format becomes one of another."""

    recording: Path = artifact("events", "what an event camera recorded")
    format: Literal["raw", "dat", "h5", "csv"] = setting(
        "raw", "what is written: raw is EVT 3.0; h5 has columns events/t, x, y, p"
    )
    start_us: int | None = setting(None, "first time that is kept, as the recording counts")
    stop_us: int | None = setting(None, "time from which on nothing is kept")
    crop: CropConfig = setting(CropConfig(), "the part of the sensor that is kept")
    from_zero: bool = setting(False, "let times count from the first event that is kept")
    mend_times: bool = setting(
        False, "raise times that fall to the latest before them, instead of refusing them"
    )
    height: int | None = setting(
        None, "of the sensor in px, where the recording does not say", ge=1, le=1 << 14
    )
    width: int | None = setting(
        None, "of the sensor in px, where the recording does not say", ge=1, le=1 << 14
    )
    chunk: int = setting(
        1_000_000, "events held at a time", ge=1, in_fingerprint=False, advanced=True
    )
