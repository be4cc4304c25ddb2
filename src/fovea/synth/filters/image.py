"""Filters of images that need no network: shape, size, faces, grids of pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PrivateAttr, field_validator

from fovea.config import setting
from fovea.errors import BackendError
from fovea.synth.batch import Batch, Column
from fovea.synth.operator import AnyOrAll, Cost, Quirk, RowFilter, kept_by
from fovea.synth.thresholds import PLACE, Limit, within

if TYPE_CHECKING:
    from jaxtyping import Bool

INF = float("inf")
_UNITS = {
    unit: 1024**power for power, unit in enumerate(("", "k", "m", "g", "t", "p", "e", "z", "y"))
}


def bytes_of(size: str | int | float, *, loses_point: bool = False) -> float:
    """The bytes of `10KB`, `1.5MiB` or a bare number; all units are powers of 1024.

    Args:
        size: as it is written.
        loses_point: read 1.2KB as 12 KB, as data-juicer does.

    Raises:
        ValueError: it is no size.
    """
    if isinstance(size, int | float):
        return float(size)
    text = size.replace(".", "") if loses_point else size
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgtpezy]?)i?b)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"must be a size such as 10KB, 1.5MiB or 2048; got {size!r}")
    return float(match[1]) * _UNITS[(match[2] or "").lower()]


class ImageFilter(RowFilter):
    """A filter with a value for each image; a row without images passes."""

    any_or_all: AnyOrAll = setting("any", "whether one image must pass, or all")


class ImageAspectRatio(ImageFilter):
    """Keeps images of so wide a shape: width over height."""

    cost: ClassVar[Cost] = "head"
    metrics: ClassVar[tuple[str, ...]] = ("aspect_ratios",)
    min_ratio: Limit = setting(0.333, "least width over height")
    max_ratio: Limit = setting(3.0, "largest width over height")

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Look at the heads."""
        heads = [batch.pictures.head(*found) for found in self.pictures(batch, number)]
        return {"aspect_ratios": [head.width / head.height for head in heads]}


class ImageShape(ImageFilter):
    """Keeps images of so many pixels each way."""

    cost: ClassVar[Cost] = "head"
    metrics: ClassVar[tuple[str, ...]] = ("image_width", "image_height")
    min_width: float = setting(1, "fewest pixels")
    max_width: float = setting(INF, "most pixels")
    min_height: float = setting(1, "fewest pixels")
    max_height: float = setting(INF, "most pixels")

    @property
    def waits(self) -> bool:
        """Never: its limits are numbers."""
        return False

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Look at the heads."""
        heads = [batch.pictures.head(*found) for found in self.pictures(batch, number)]
        return {
            "image_width": [head.width for head in heads],
            "image_height": [head.height for head in heads],
        }

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Both sides must pass for the same image."""
        pairs = [
            [self._passes(w, h) for w, h in zip(width, height, strict=True)]
            for width, height in zip(stats["image_width"], stats["image_height"], strict=True)
        ]
        return kept_by(pairs, lambda values: values > 0, self.any_or_all)

    def _passes(self, width: int, height: int) -> float:
        options = {
            "low_closed": self.min_closed_interval,
            "high_closed": self.max_closed_interval,
            "reversed_range": self.reversed_range,
        }
        wide = within(np.asarray([width], np.float64), self.min_width, self.max_width, **options)
        high = within(np.asarray([height], np.float64), self.min_height, self.max_height, **options)
        return float(wide[0] and high[0])


class ImageSize(ImageFilter):
    """Keeps images whose files have so many bytes."""

    cost: ClassVar[Cost] = "head"
    quirks: ClassVar[tuple[Quirk, ...]] = ("size_decimals",)
    metrics: ClassVar[tuple[str, ...]] = ("image_sizes",)
    low: ClassVar[str] = "min_size"
    high: ClassVar[str] = "max_size"
    min_size: str | int | float = setting("0", "fewest bytes, 10KB; units are powers of 1024")
    max_size: str | int | float = setting("1TB", "most bytes")

    @field_validator("min_size", "max_size")
    @classmethod
    def _sizes(cls, value: str | int | float) -> str | int | float:
        if not (isinstance(value, str) and re.match(PLACE, value)):
            bytes_of(value)
        return value

    def _limits(self) -> tuple[Any, Any]:
        return self._bytes(self.min_size), self._bytes(self.max_size)

    def _bytes(self, size: str | float) -> str | float:
        """A size in bytes; a place in the distribution stays one."""
        if isinstance(size, str) and re.match(PLACE, size):
            return size
        return bytes_of(size, loses_point=self.is_odd("size_decimals"))

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Look at the files from outside."""
        found = self.pictures(batch, number)
        return {"image_sizes": [batch.pictures.bytes_of(*picture) for picture in found]}


class FaceFilter(ImageFilter):
    """A filter that finds faces by OpenCV's cascades."""

    cost: ClassVar[Cost] = "pixels"
    cv_classifier: str = setting("", "the cascade's .xml; by default OpenCV's frontalface_alt")
    scaleFactor: float = setting(1.1, "how much smaller the picture gets from look to look", gt=1)
    minNeighbors: int = setting(3, "finds that a face needs", ge=0)
    minSize: int | list[int] | None = setting(None, "smallest face in pixels")
    maxSize: int | list[int] | None = setting(None, "largest face in pixels")

    _cascade: Any = PrivateAttr(default=None)

    def load(self) -> None:
        """Read the cascade."""
        if self._cascade is None:
            self._cascade = cascade(self.cv_classifier, self.name)

    def faces(self, picture: Any) -> list[tuple[int, int, int, int]]:
        """Boxes of faces, x, y, width and height, cut to the picture."""
        self.load()
        return find_faces(
            self._cascade,
            np.asarray(picture),
            scale=self.scaleFactor,
            neighbours=self.minNeighbors,
            least=_pair(self.minSize),
            most=_pair(self.maxSize),
        )


def _pair(size: int | list[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


def cascade(classifier: str, wanted_by: str) -> Any:
    """OpenCV's detector of faces.

    Raises:
        BackendError: this OpenCV has none, or the file is not there.
    """
    import cv2

    opencv: Any = cv2  # its newest build lacks what is asked for here
    if not hasattr(opencv, "CascadeClassifier"):
        raise BackendError(
            f"{wanted_by} needs the cascades of OpenCV 4; here is OpenCV {cv2.__version__}, which"
            " has none. Install them: pip install 'opencv-python-headless<5'."
        )
    folders = [Path(opencv.data.haarcascades), Path("/usr/share/opencv4/haarcascades")]
    path = Path(classifier) if classifier else None
    for folder in folders if path is None else ():
        if (folder / "haarcascade_frontalface_alt.xml").is_file():
            path = folder / "haarcascade_frontalface_alt.xml"
    if path is None or not path.is_file():
        raise BackendError(
            f"{wanted_by} needs the file of a cascade, and {path or 'OpenCV'} has none. Name one by"
            " cv_classifier; Debian's package opencv-data has them."
        )
    return opencv.CascadeClassifier(os.fspath(path))


def find_faces(
    detector: Any,
    picture: np.ndarray,
    *,
    scale: float,
    neighbours: int,
    least: tuple[int, int] | None,
    most: tuple[int, int] | None,
) -> list[tuple[int, int, int, int]]:
    """Boxes of faces in a picture, cut to it."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    limits = {"minSize": least, "maxSize": most}
    found = detector.detectMultiScale(
        grey, scaleFactor=scale, minNeighbors=neighbours,
        **{name: size for name, size in limits.items() if size},
    )  # fmt: skip
    height, width = grey.shape
    boxes: list[tuple[int, int, int, int]] = []
    for x, y, w, h in np.asarray(found, np.int64).reshape(-1, 4).tolist():
        left, top = max(x, 0), max(y, 0)
        boxes.append((left, top, min(x + w, width) - left, min(y + h, height) - top))
    return boxes


class ImageFaceRatio(FaceFilter):
    """Keeps images whose largest face takes so large a part."""

    metrics: ClassVar[tuple[str, ...]] = ("face_ratios",)
    min_ratio: Limit = setting(0.0, "least part of the picture")
    max_ratio: Limit = setting(0.4, "largest part of the picture")

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Find faces."""
        ratios: list[float] = []
        for found in self.pictures(batch, number):
            picture = batch.pictures.decoded(*found)
            largest = max((w * h for _, _, w, h in self.faces(picture)), default=0)
            ratios.append(largest / (picture.width * picture.height))
        return {"face_ratios": ratios}


class ImageFaceCount(FaceFilter):
    """Keeps images with so many faces."""

    metrics: ClassVar[tuple[str, ...]] = ("face_counts",)
    low: ClassVar[str] = "min_face_count"
    high: ClassVar[str] = "max_face_count"
    min_face_count: Limit = setting(1, "fewest faces")
    max_face_count: Limit = setting(1, "most faces")

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Find faces."""
        pictures = [batch.pictures.decoded(*found) for found in self.pictures(batch, number)]
        return {"face_counts": [len(self.faces(picture)) for picture in pictures]}


class ImageSubplot(ImageFilter):
    """Drops images that are grids of pictures, by their long straight edges."""

    cost: ClassVar[Cost] = "pixels"
    metrics: ClassVar[tuple[str, ...]] = (
        "image_subplot_confidence", "horizontal_peak_count", "vertical_peak_count",
    )  # fmt: skip
    min_horizontal_lines: int = setting(3, "level lines of a grid", ge=1)
    min_vertical_lines: int = setting(3, "upright lines of a grid", ge=1)
    min_confidence: float = setting(0.5, "how sure it must be", ge=0, le=1)
    canny_threshold1: float = setting(70, "weak edges begin here")
    canny_threshold2: float = setting(190, "strong edges begin here")
    hough_threshold: int = setting(110, "points that a line needs", gt=0)
    min_line_length: int = setting(90, "pixels of the shortest line", gt=0)
    max_line_gap: int = setting(15, "largest gap in a line", ge=0)
    angle_tolerance: float = setting(2.5, "degrees off level or upright", ge=0)

    @property
    def waits(self) -> bool:
        """Never: its limits are numbers."""
        return False

    @classmethod
    def deciding(cls) -> frozenset[str]:
        """How sure it must be, alone: the others say how lines are found."""
        return frozenset({"min_confidence", "any_or_all", "reversed_range"})

    def measure_row(self, batch: Batch, number: int) -> dict[str, Any]:
        """Look for lines."""
        found = [self._grid(np.asarray(batch.pictures.decoded(*p)))
                 for p in self.pictures(batch, number)]  # fmt: skip
        return {name: [grid[place] for grid in found] for place, name in enumerate(self.metrics)}

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Drop grids: rows of which one image, or every one, is a grid."""
        columns = [stats[name] for name in self.metrics]
        verdict: list[bool] = []
        for sure, level, upright in zip(*columns, strict=True):
            grids = [
                s >= self.min_confidence
                and h >= self.min_horizontal_lines
                and v >= self.min_vertical_lines
                for s, h, v in zip(sure, level, upright, strict=True)
            ]
            is_grid = bool(grids) and (any(grids) if self.any_or_all == "any" else all(grids))
            verdict.append(is_grid == self.reversed_range)
        return np.asarray(verdict, bool)

    def _grid(self, picture: np.ndarray) -> tuple[float, int, int]:
        """How sure it is that the picture is a grid, and its level and upright lines."""
        import cv2

        grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (5, 5), 0)
        edges = cv2.Canny(grey, self.canny_threshold1, self.canny_threshold2)
        lines = cv2.HoughLinesP(
            edges, 1, np.pi / 180, self.hough_threshold,
            minLineLength=self.min_line_length, maxLineGap=self.max_line_gap,
        )  # fmt: skip
        if lines is None:
            return 0.0, 0, 0
        x1, y1, x2, y2 = np.asarray(lines).reshape(-1, 4).T.astype(np.float64)
        slope = np.degrees(np.arctan2(np.abs(y2 - y1), np.abs(x2 - x1)))
        level, upright = slope <= self.angle_tolerance, slope >= 90 - self.angle_tolerance
        height, width = grey.shape
        rows = _places((y1 + y2)[level] / 2, height)
        columns = _places((x1 + x2)[upright] / 2, width)
        found = min(1.0, len(rows) / self.min_horizontal_lines)
        found += min(1.0, len(columns) / self.min_vertical_lines)
        even = _evenness(rows) + _evenness(columns)
        return round((found * 0.3 + even * 0.2), 6), int(level.sum()), int(upright.sum())


def _places(at: np.ndarray, size: int) -> np.ndarray:
    """Distinct places of lines: those nearer than 2 % of the picture are one."""
    ordered = np.sort(at)
    if not len(ordered):
        return ordered
    return ordered[np.concatenate(([True], np.diff(ordered) > 0.02 * size))]


def _evenness(places: np.ndarray) -> float:
    """1 where lines are evenly spaced, towards 0 where they are not."""
    gaps = np.diff(places)
    if len(gaps) < 2 or gaps.mean() == 0:
        return 0.0
    return float(max(0.0, 1 - gaps.std() / gaps.mean()))
