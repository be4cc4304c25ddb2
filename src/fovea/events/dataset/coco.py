"""Boxes as COCO writes them: one JSON of images, annotations and categories.

Category ids are class ids plus 1. An image has a `timestamp_us` and a `recording` beyond what COCO
names; where others leave them out, they are read from `file_name`, `.../RECORDING/TIME.png`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from fovea.errors import DataError
from fovea.events.boxes import Boxes, checked_boxes
from fovea.events.dataset.moments import (
    IGNORED,
    Moment,
    as_boxes,
    class_of,
    picture_name,
    time_in,
)
from fovea.events.labels import IGNORE
from fovea.events.sensor import Sensor
from fovea.runs.durable import write_text

Document = dict[str, Any]


def coco_document(
    recordings: Iterable[tuple[str, Iterable[Moment]]], sensor: Sensor, *, folder: str = ""
) -> Document:
    """The moments of some recordings, as one COCO file has them.

    Args:
        recordings: the name and the moments of each.
        sensor: gives classes and size.
        folder: where the pictures lie, below the folder of all pictures.
    """
    images: list[Document] = []
    annotations: list[Document] = []
    for name, moments in recordings:
        for moment in moments:
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": str(
                        PurePosixPath(folder, name, f"{picture_name(moment.time_us)}.png")
                    ),
                    "height": sensor.height,
                    "width": sensor.width,
                    "timestamp_us": moment.time_us,
                    "recording": name,
                }
            )
            for box in moment.boxes:
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": len(images)} | _annotation(box)
                )
    names = [*enumerate(sensor.classes)]
    if any(found["category_id"] == IGNORE + 1 for found in annotations):
        names.append((IGNORE, IGNORED))
    categories = [{"id": number + 1, "name": name} for number, name in names]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(path: Path, document: Document) -> None:
    """Write a COCO file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(document, ensure_ascii=False) + "\n")


def read_coco(path: Path, sensor: Sensor) -> Boxes:
    """The boxes of a COCO file about one recording.

    Raises:
        DataError: it is no such file, or its classes are not the sensor's.
    """
    found = read_coco_recordings(path, sensor, default="")
    rows = [tuple(row.tolist()) for boxes in found.values() for row in boxes]
    return as_boxes(rows)


def read_coco_recordings(path: Path, sensor: Sensor, *, default: str) -> dict[str, Boxes]:
    """The boxes of a COCO file, by recording.

    Args:
        path: of the file.
        sensor: whose classes the categories must be.
        default: the recording of pictures that do not say theirs.

    Raises:
        DataError: it is no such file, or its classes are not the sensor's.
    """
    where = str(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        classes = {
            item["id"]: class_of(item["name"], sensor.classes, where)
            for item in document["categories"]
        }
        images = {item["id"]: _moment(item, default, where) for item in document["images"]}
        rows: dict[str, list[tuple[float, ...]]] = {name: [] for name, _ in images.values()}
        for item in document["annotations"]:
            recording, time = images[item["image_id"]]
            x, y, w, h = item["bbox"]
            rows[recording].append(
                (time, x, y, w, h, classes[item["category_id"]], item.get("track_id", 0),
                 item.get("score", 1.0))
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as COCO, with images, annotations and categories:"
            f" {type(error).__name__} {error}. Mend or export it again."
        ) from error
    return {name: checked_boxes(as_boxes(found), where) for name, found in rows.items()}


def _annotation(box: Any) -> Document:
    names = box.dtype.names
    x, y, w, h = (float(box[name]) for name in ("x", "y", "w", "h"))
    found: Document = {
        "category_id": int(box["class_id"]) + 1,
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": 0,
        "score": float(box["class_confidence"]),
    }
    if "track_id" in names:
        found["track_id"] = int(box["track_id"])
    if "objectness" in names:
        found["objectness"] = float(box["objectness"])
    return found


def _moment(image: Document, default: str, where: str) -> tuple[str, int]:
    """The recording of a picture, and its time."""
    folder = PurePosixPath(image["file_name"]).parent.name
    time = image.get("timestamp_us")
    if time is None:
        time = time_in(image["file_name"], where)
    return image.get("recording") or folder or default, int(time)
