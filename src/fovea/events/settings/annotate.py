"""Settings of events.annotate."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class AnnotateConfig(Config):
    """Boxes go out to annotation programs as COCO or YOLO, or come back as *_bbox.npy."""

    data: Path | None = artifact(
        "eventset", "a data set, pseudo labels included, whose boxes go out", optional=True
    )
    boxes: Path | None = artifact(
        "folder",
        "a folder of COCO's *.json or of YOLO's labels/SPLIT/RECORDING/*.txt, whose boxes come"
        " back",
        optional=True,
    )
    to: Literal["coco", "yolo"] = setting("coco", "what boxes that go out are written as")
    splits: tuple[Literal["train", "val", "test"], ...] = setting(
        ("train", "val", "test"), "splits that go out; those the data set lacks are passed over"
    )
    pictures: bool = setting(False, "render a picture of each labelled moment too")
    sensor: str = setting(
        "auto",
        "gen1 or gen4; auto takes what the data set says of itself; boxes that come back need it,"
        " or height, width and classes",
    )
    height: int = setting(0, "of the sensor in px, for boxes that come back", ge=0, le=16_384)
    width: int = setting(0, "of the sensor in px, for boxes that come back", ge=0, le=16_384)
    classes: tuple[str, ...] = setting(
        (), "names of the classes in the order of their ids, for boxes that come back"
    )
