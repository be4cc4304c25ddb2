"""Settings of events.preprocess."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class CameraConfig(Config):
    """What the camera is like, where it is none of the published data sets or differs from one."""

    height: int = setting(
        0, "of the sensor in px; 0 is the named sensor's or the recordings'", ge=0, le=16_384
    )
    width: int = setting(
        0, "of the sensor in px; 0 is the named sensor's or the recordings'", ge=0, le=16_384
    )
    classes: tuple[str, ...] = setting(
        (), "names of the classes in the order of their ids; empty are the named sensor's"
    )
    halved: bool | None = setting(
        None, "store histograms at half size; by itself only what the named sensor does"
    )
    partition_split: Literal[0, 1, 2, 4] = setting(
        0,
        "attention windows a side for each 32 px of the network's input; 0 is the named sensor's,"
        " or 1",
    )


class RulesConfig(Config):
    """Which boxes are kept, in sensor px; what is left open is the named sensor's, or no limit."""

    most_classes: int | None = setting(None, "drop boxes of this class id and above", ge=1)
    min_diagonal_px: float | None = setting(None, "shortest diagonal of a box", ge=0)
    min_side_px: float | None = setting(None, "shortest side of a box", ge=0)
    step_ms: float | None = setting(
        None,
        "time between two labelled moments; by itself 250 for gen1, else about 100 in whole periods"
        " of the labels",
        gt=98,
    )
    evaluation_diagonal_px: float | None = setting(
        None, "shortest diagonal of a box that counts in evaluation", ge=0
    )
    evaluation_side_px: float | None = setting(
        None, "shortest side of a box that counts in evaluation", ge=0
    )


class DivideConfig(Config):
    """How recordings that lie in no folders train, val and test are divided."""

    by: Literal["time", "name"] = setting(
        "time",
        "each recording is cut in time, into its beginning, middle and end; or recordings as a"
        " whole, in the order of their names",
    )
    train: float = setting(0.6, "part to train on, beside the other two", ge=0)
    val: float = setting(0.2, "part to choose a checkpoint by", ge=0)
    test: float = setting(0.2, "part for the end", ge=0)
    train_seconds: float = setting(
        0.0,
        "cut the training part of a recording into recordings of about this length in s; 0 leaves"
        " it whole",
        ge=0,
    )


class PreprocessConfig(Config):
    """Recordings with boxes beside them become a data set of histograms."""

    recordings: Path = artifact(
        "recordings", "recordings and boxes, in folders train, val and test, or all in one"
    )
    sensor: str = setting(
        "auto",
        "gen1 or gen4 with their classes and rules; auto is what a sensor.json beside the"
        " recordings says, else a camera of the recordings' size and of camera.classes",
    )
    camera: CameraConfig = setting(CameraConfig(), "the camera, where it differs from `sensor`")
    rules: RulesConfig = setting(RulesConfig(), "which boxes are kept")
    divide: DivideConfig = setting(
        DivideConfig(), "how recordings that lie in no folders of splits are divided"
    )
    cadence: Literal["paper", "dense"] = setting(
        "paper",
        "two histograms for each step of the labels, as the published models expect, every 125 ms"
        " on gen1; or one every 50 ms, for models of your own",
    )
    cutoff: int = setting(10, "largest count of a pixel in one histogram", ge=1, le=255)
    exact: bool = setting(
        False, "count exactly; the published sets wrap at 256 events in a cell and channel"
    )
    mend_times: bool = setting(
        True, "raise times that fall to the latest before them, as the published sets do"
    )
    skip_known: bool = setting(
        True, "pass over the four Gen1 recordings that are known to keep no box"
    )
