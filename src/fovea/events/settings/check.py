"""Settings of events.check."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class CheckConfig(Config):
    """A data set is looked through, and what is wrong with it is said."""

    data: Path = artifact("eventset", "the data set to look through")
    sensor: str = setting(
        "auto", "gen1 or gen4 for a data set that does not say its sensor; auto takes what it says"
    )
    unpack: int = setting(
        8,
        "histograms of each recording to unpack, evenly spread with the first and the last; 0"
        " unpacks all",
        ge=0,
    )
    pictures: int = setting(12, "moments to show with their boxes", ge=0, le=200)
    strict: bool = setting(
        False, "end with an error where the data set has one; the report is written all the same"
    )
