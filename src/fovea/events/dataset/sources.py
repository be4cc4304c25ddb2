"""Recordings with boxes beside them, found in a folder.

    ROOT/{train,val,test}/NAME_td.dat      .dat .raw .h5 .hdf5 .aedat4 .csv, with or without `_td`
    ROOT/{train,val,test}/NAME_bbox.npy    or NAME.json (COCO), or a folder NAME/ of YOLO's *.txt

The folders of splits may be missing; then all recordings lie in ROOT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fovea.errors import DataError
from fovea.events.boxes import Boxes, read_boxes
from fovea.events.dataset.coco import read_coco
from fovea.events.dataset.layout import SPLITS, Split
from fovea.events.dataset.yolo import read_yolo
from fovea.events.sensor import Sensor

SUFFIXES = (".h5", ".hdf5", ".dat", ".raw", ".aedat4", ".csv")
"""Of recordings; where one lies there in several formats, the first of these is taken."""
BOXES = "_bbox.npy"
NO_BOXES = frozenset(
    {
        "17-04-06_09-57-37_6344500000_6404500000",
        "17-04-13_19-17-27_976500000_1036500000",
        "17-04-06_15-14-36_1159500000_1219500000",
        "17-04-11_15-13-23_122500000_182500000",
    }
)
"""Recordings of Gen1 in which no box passes the filters; the published data set lacks them."""


@dataclass(frozen=True)
class Source:
    """One recording and where its boxes are."""

    name: str
    events: Path
    boxes: Path
    split: Split | None = None
    """The split whose folder it lies in, if there are such folders."""

    def read_boxes(self, sensor: Sensor) -> Boxes:
        """The boxes, whatever they are written in.

        Raises:
            DataError: they cannot be read.
        """
        if self.boxes.is_dir():
            return read_yolo(self.boxes, sensor)
        if self.boxes.suffix == ".json":
            return read_coco(self.boxes, sensor)
        return read_boxes(self.boxes)


def find_sources(root: Path) -> list[Source]:
    """All recordings of a folder, sorted by split and name.

    Raises:
        DataError: there is none, or one lacks its boxes.
    """
    splits: list[Split] = [split for split in SPLITS if (root / split).is_dir()]
    if not splits:
        found = list(_in_folder(root, None))
    else:
        found = [source for split in splits for source in _in_folder(root / split, split)]
    if not found:
        raise DataError(
            f"{root} holds no recording, a file that ends in {', '.join(SUFFIXES)}, neither in"
            f" folders {', '.join(SPLITS)} nor beside each other. Give the folder that does."
        )
    return found


def recording_name(path: Path) -> str:
    """The name of a recording without its endings, `_td.dat.h5` and the like."""
    name = path.name
    while (suffix := Path(name).suffix.lower()) in SUFFIXES:
        name = name[: -len(suffix)]
    return name.removesuffix("_td")


def _in_folder(folder: Path, split: Split | None) -> Iterator[Source]:
    best: dict[str, Path] = {}
    files = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
    for path in sorted(files, key=lambda path: SUFFIXES.index(path.suffix.lower())):
        best.setdefault(recording_name(path), path)
    for name, path in sorted(best.items()):
        candidates = [folder / f"{name}{BOXES}", folder / f"{name}.json", folder / name]
        boxes = next((found for found in candidates if found.exists()), None)
        if boxes is None:
            raise DataError(
                f"{path} has no boxes: none of {', '.join(p.name for p in candidates)} lies beside"
                " it. Put one there, or take the recording out."
            )
        yield Source(name, path, boxes, split)
    lone = [p for p in sorted(folder.glob(f"*{BOXES}")) if p.name.removesuffix(BOXES) not in best]
    if lone:
        raise DataError(
            f"{lone[0]} has no recording beside it, {lone[0].name.removesuffix(BOXES)} with one of"
            f" the endings {', '.join(SUFFIXES)}. Put it there, or take the boxes out."
        )
