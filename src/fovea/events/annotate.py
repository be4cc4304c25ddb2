"""Boxes go out to annotation programs, and come back: COCO or YOLO files, and *_bbox.npy.

    COCO   instances_SPLIT.json                     one file a split, pictures in images/
    YOLO   data.yaml labels/SPLIT/RECORDING/TIME.txt     a file a moment, pictures in images/
    back   SPLIT/RECORDING_bbox.npy

A moment is named after its time in microseconds, so that boxes find their way back. Boxes are in
pixels of the sensor; pictures are as large as the stored histograms.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.errors import DataError
from fovea.events.boxes import Boxes
from fovea.events.dataset import EventSet, Recording
from fovea.events.dataset.coco import coco_document, read_coco_recordings, write_coco
from fovea.events.dataset.layout import SPLITS
from fovea.events.dataset.moments import Moment, moments, picture_name
from fovea.events.dataset.sources import BOXES
from fovea.events.dataset.yolo import read_yolo, write_yolo, write_yolo_index
from fovea.events.draw import polarity_picture
from fovea.events.sensor import FILE_NAME, Sensor
from fovea.events.settings.annotate import AnnotateConfig
from fovea.runs.stage import Context

PICTURES = "images"


def annotate(config: AnnotateConfig, context: Context) -> dict[str, float]:
    """Write the boxes of a data set as COCO or YOLO, or read such boxes.

    Raises:
        DataError: neither or both are given, or what is given cannot be read.
    """
    if (config.data is None) == (config.boxes is None):
        given = "both are" if config.data else "neither is"
        raise DataError(
            f"boxes go out from data=DATASET or come back from boxes=FOLDER, and {given} given."
            " Give one of them."
        )
    target = context.output("annotations")
    target.mkdir(parents=True, exist_ok=True)
    if config.data is not None:
        return _out(config, EventSet.open(config.data, config.sensor), target, context)
    assert config.boxes is not None, "one of the two is given"
    return _back(config.boxes, _sensor(config), target)


# Out


def _out(
    config: AnnotateConfig, found: EventSet, target: Path, context: Context
) -> dict[str, float]:
    splits = {split: found.split(split) for split in config.splits if (found.root / split).is_dir()}
    if not splits:
        raise DataError(
            f"{found.root} has none of the splits {', '.join(config.splits)}. Name others, splits="
        )
    total = sum(len(recordings) for recordings in splits.values())
    found.sensor.write(target)
    done, frames, boxes = 0, 0, 0
    for split, recordings in splits.items():
        written: list[tuple[str, list[Moment]]] = []
        for recording in recordings:
            if context.should_stop():
                context.stop()
            labelled = moments(recording)
            if config.to == "yolo":
                _write_yolo(target / "labels" / split, recording, labelled, context)
            else:
                written.append((recording.name, labelled))
            if config.pictures:
                _write_pictures(target / PICTURES / split / recording.name, recording, labelled)
            frames += len(labelled)
            boxes += sum(len(moment.boxes) for moment in labelled)
            done += 1
            context.progress(done, total, "recordings")
        if config.to == "coco":
            document = coco_document(written, found.sensor, folder=split)
            write_coco(target / f"instances_{split}.json", document)
    if config.to == "yolo":
        write_yolo_index(target / "data.yaml", found.sensor, splits)
    return {"frames": frames, "boxes": boxes}


def _write_yolo(
    folder: Path, recording: Recording, labelled: list[Moment], context: Context
) -> None:
    left_out = write_yolo(folder / recording.name, labelled, recording.sensor)
    if left_out:
        context.note(
            f"{recording.name}: {left_out} ignored boxes are left out; YOLO has no word for them.",
            level="warning",
        )


def _write_pictures(folder: Path, recording: Recording, labelled: list[Moment]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for moment in labelled:
        counts = recording.read(moment.histogram, moment.histogram + 1)[0]
        image = Image.fromarray(polarity_picture(counts))
        image.save(folder / f"{picture_name(moment.time_us)}.png")


# Back


def _back(folder: Path, sensor: Sensor, target: Path) -> dict[str, float]:
    """Write a *_bbox.npy for every recording that the files speak of."""
    found: dict[tuple[str, str], Boxes] = {}
    for path in sorted(set(folder.rglob("*.json")) - set(folder.rglob(FILE_NAME))):
        for name, boxes in read_coco_recordings(path, sensor, default=path.stem).items():
            found[_split_of(path.relative_to(folder)), name] = boxes
    texts = {path.parent for path in folder.rglob("*.txt") if path.stem != "classes"}
    for texts_folder in sorted(texts):
        found[_split_of(texts_folder.relative_to(folder)), texts_folder.name] = read_yolo(
            texts_folder, sensor
        )
    if not found:
        raise DataError(
            f"{folder} holds neither COCO's *.json nor YOLO's *.txt. Give the folder that does."
        )
    for (split, name), boxes in found.items():
        place = target / split
        place.mkdir(exist_ok=True)
        np.save(place / f"{name}{BOXES}", boxes)
    return {
        "frames": sum(len(np.unique(boxes["t"])) for boxes in found.values()),
        "boxes": sum(len(boxes) for boxes in found.values()),
    }


def _split_of(path: Path) -> str:
    """The split that a path speaks of, in the name of a file or a folder; "" for none."""
    words = [*path.parts[:-1], *path.stem.split("_")]
    return next((word for word in reversed(words) if word in SPLITS), "")


def _sensor(config: AnnotateConfig) -> Sensor:
    """The sensor of boxes that come back.

    Raises:
        DataError: nothing says its size or its classes.
    """
    given = {"height": config.height, "width": config.width, "classes": config.classes}
    if config.sensor != "auto":
        base = Sensor.of(Path(), config.sensor)
        return dataclasses.replace(base, **{name: value for name, value in given.items() if value})
    if config.boxes is not None and (config.boxes / FILE_NAME).is_file():
        return Sensor.of(config.boxes)
    if missing := [name for name, value in given.items() if not value]:
        raise DataError(
            f"boxes that come back need a sensor, and nothing says its {', '.join(missing)}. Give"
            " sensor=gen1 or gen4, or height=, width= and classes=."
        )
    return Sensor("annotated", config.height, config.width, config.classes)
