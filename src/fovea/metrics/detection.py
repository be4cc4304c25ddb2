"""Average precision of detected boxes, by COCO's rules and Prophesee's protocol for event cameras.

Boxes are structured arrays with the fields `t x y w h class_id class_confidence`: microseconds, the
top-left corner and the size in pixels, and what a detection is ranked by. Detections are matched to
the truth of the same moment. A moment without truth does not count, whatever was found there.

Source: COCO's twelve numbers as faster-coco-eval computes them; filters and matching in time as in
Prophesee's automotive data-set toolbox and the papers that use it (RVT, LEOD).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from fovea.errors import DataError
from fovea.metrics.metric import Direction

KEYS = (
    "AP", "AP_50", "AP_75", "AP_S", "AP_M", "AP_L",
    "AR_1", "AR_10", "AR_100", "AR_S", "AR_M", "AR_L",
)  # fmt: skip
"""COCO's numbers in COCO's order. S, M and L are areas below 32², up to 96² and above; a size that
the truth does not have says -1."""
KEYS_OF_A_CLASS = KEYS[:6]
FIELDS = ("t", "x", "y", "w", "h", "class_id", "class_confidence")
ROOM_US = 1 << 42
"""More than any recording lasts: the times of recordings, one after the other, stay apart."""

Boxes = np.ndarray[Any, Any]
"""A structured array that has `FIELDS` among its fields."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectionProtocol:
    """Which boxes count, and when a detection belongs to a moment."""

    skip_us: int = 500_000
    """Boxes up to this time are left out: a recurrent network has seen too little by then."""
    tolerance_us: int = 50_000
    """Detections this far before or after a moment still belong to it."""
    min_diagonal_px: float = 0.0
    min_side_px: float = 0.0

    def keeps(self, boxes: Boxes | Mapping[str, np.ndarray]) -> Bool[np.ndarray, " n"]:
        """Which boxes count; the same rule for truth and detections."""
        width, height = boxes["w"], boxes["h"]
        is_large = width**2 + height**2 >= self.min_diagonal_px**2
        is_wide = (width >= self.min_side_px) & (height >= self.min_side_px)
        return (boxes["t"] > self.skip_us) & is_large & is_wide


class DetectionMetric:
    """COCO's average precision over all moments with truth; `all` says every number there is.

    Args:
        classes: their names by class id.
        protocol: which boxes count.
    """

    name = "AP"
    direction: Direction = "max"
    unit = ""

    def __init__(self, classes: Sequence[str], protocol: DetectionProtocol | None = None) -> None:
        self.classes = tuple(classes)
        self.protocol = protocol or DetectionProtocol()
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._truth: list[Boxes] = []
        self._detections: list[Boxes] = []
        self._known: _Matched | None = None

    def update(self, detections: Boxes, truth: Boxes) -> None:
        """Take one frame, or one whole recording, into account.

        Args:
            detections: ranked by `class_confidence`, whatever `objectness` they had.
            truth: each of its times is a moment of its own.

        Raises:
            DataError: a field is missing, times fall, or a class id has no name.
        """
        self._check(detections, "detections")
        self._check(truth, "truth")
        self._detections.append(detections)
        self._truth.append(truth)
        self._known = None

    def _check(self, boxes: Boxes, what: str) -> None:
        if absent := [field for field in FIELDS if field not in (boxes.dtype.names or ())]:
            raise DataError(
                f"{what} need the fields {', '.join(FIELDS)}; {', '.join(absent)} missing in an"
                f" array of {boxes.dtype}. Read them with the room that wrote them."
            )
        if not len(boxes):
            return
        t, most = boxes["t"], int(boxes["class_id"].max())
        if (t[1:] < t[:-1]).any():
            raise DataError(
                f"{what} of one recording are in order of time; of {len(boxes)} some fall back."
                " Sort them by t."
            )
        if most >= len(self.classes):
            raise DataError(
                f"{what} hold class {most}, and there are {len(self.classes)} classes,"
                f" {', '.join(self.classes)}. Drop those boxes, or name their class."
            )

    @property
    def moments(self) -> int:
        """How many moments with truth that counts were seen; without any every score is 0."""
        return self._matched().moments

    def compute(self) -> float:
        """AP at IoU 0.50 to 0.95 over all classes, as a share of 1.

        Raises:
            DataError: nothing was seen.
        """
        return self._matched().scores(None)["AP"]

    def all(self) -> dict[str, float]:
        """COCO's twelve numbers, and six for each class as `AP_50_car`.

        A class is scored by itself: moments without truth of it do not count, so that this is not
        its share of the overall score. Without a detection that counts everything is 0.

        Raises:
            DataError: nothing was seen.
        """
        matched = self._matched()
        scores = matched.scores(None)
        for number, name in enumerate(self.classes):
            own = matched.scores(number)
            scores |= {f"{key}_{name}": own[key] for key in KEYS_OF_A_CLASS}
        return scores

    def curves(self, iou: float = 0.5) -> dict[str, Float64[np.ndarray, " 101"]]:
        """Of each class with truth, the precision at recalls 0, 0.01, ... 1; 0 where not reached.

        COCO's own: the best precision at that recall or above, over moments with any truth.

        Args:
            iou: the overlap from which a box is found, 0.5, 0.55, ... 0.95.

        Raises:
            DataError: nothing was seen, or scores are made at no such overlap.
        """
        step = round((iou - 0.5) / 0.05, 6)
        if step not in range(10):
            raise DataError(
                f"curves are drawn at overlaps 0.5, 0.55, ... 0.95; got {iou:g}. Take one of them."
            )
        return self._matched().curves(int(step))

    def _matched(self) -> _Matched:
        if not self._truth:
            raise DataError(
                f"{self.name} was asked for its value before it saw a frame. update() it first."
            )
        if self._known is None:
            self._known = _Matched.of(self._truth, self._detections, self.protocol, self.classes)
        return self._known


@dataclass(frozen=True)
class _Columns:
    """Many boxes; `moment` is a number that no two recordings share."""

    moment: Int64[np.ndarray, " n"]
    class_id: Int64[np.ndarray, " n"]
    xywh: Float64[np.ndarray, "n 4"]
    area: Float64[np.ndarray, " n"]
    score: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.moment)

    @classmethod
    def of(cls, parts: Sequence[Boxes], protocol: DetectionProtocol) -> _Columns:
        """The boxes that count; each part's times have a range of numbers of their own."""
        size = [len(part) for part in parts]
        rows = {name: np.concatenate([part[name] for part in parts]) for name in FIELDS}
        kept = protocol.keeps(rows)
        rows = {name: column[kept] for name, column in rows.items()}
        part = np.repeat(np.arange(len(parts)), size)[kept]
        return cls(
            moment=part * ROOM_US + rows["t"].astype(np.int64),
            class_id=rows["class_id"].astype(np.int64),
            xywh=np.stack([rows[side].astype(np.float64) for side in "xywh"], axis=1),
            # In the boxes' own precision, as published: it decides between small and medium.
            area=(rows["w"] * rows["h"]).astype(np.float64),
            score=rows["class_confidence"].astype(np.float64),
        )

    def taken(self, rows: Int64[np.ndarray, " n"], moment: Int64[np.ndarray, " n"]) -> _Columns:
        columns = (self.class_id[rows], self.xywh[rows], self.area[rows], self.score[rows])
        return _Columns(moment, *columns)

    def annotations(self) -> list[dict[str, Any]]:
        """The boxes as COCO's own dictionaries, numbered from 1."""
        columns = (self.moment, self.class_id + 1, self.xywh, self.area, self.score)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            {
                "id": number, "image_id": image, "category_id": category, "bbox": box,
                "area": area, "score": score, "iscrowd": 0,
            }
            for number, (image, category, box, area, score) in enumerate(rows, start=1)
        ]  # fmt: skip


class _Matched:
    """Truth and the detections of the same moments, numbered; COCO calls a moment an image."""

    def __init__(self, truth: _Columns, detections: _Columns, classes: Sequence[str]) -> None:
        self.truth, self.detections, self.classes = truth, detections, classes
        self.moments = int(truth.moment[-1]) + 1 if len(truth) else 0
        self._datasets: tuple[Any, Any] | None = None

    @classmethod
    def of(
        cls,
        truth: Sequence[Boxes],
        detections: Sequence[Boxes],
        protocol: DetectionProtocol,
        classes: Sequence[str],
    ) -> _Matched:
        wanted, found = _Columns.of(truth, protocol), _Columns.of(detections, protocol)
        moments, image = np.unique(wanted.moment, return_inverse=True)
        start = np.searchsorted(found.moment, moments - protocol.tolerance_us, side="left")
        stop = np.searchsorted(found.moment, moments + protocol.tolerance_us, side="right")
        count = stop - start
        # Row numbers start[0]..stop[0], start[1]..stop[1], ...: a detection may serve two moments.
        before = np.cumsum(count) - count
        rows = np.arange(count.sum()) + np.repeat(start - before, count)
        numbered = found.taken(rows, np.repeat(np.arange(len(moments)), count))
        return cls(wanted.taken(np.arange(len(wanted)), image), numbered, classes)

    def scores(self, class_id: int | None) -> dict[str, float]:
        """The twelve numbers of one class, or of all; `stats` of COCO's Python API."""
        wanted, found = self.truth.moment, self.detections.moment
        if class_id is not None:
            wanted = wanted[self.truth.class_id == class_id]
            found = found[self.detections.class_id == class_id]
        images = np.unique(wanted)
        if not np.isin(found, images).any():
            return dict.fromkeys(KEYS, 0.0)
        evaluation = self._evaluated(images, class_id)
        return {key: float(value) for key, value in zip(KEYS, evaluation.stats, strict=True)}

    def curves(self, step: int) -> dict[str, Float64[np.ndarray, " 101"]]:
        """Precision by recall of each class with truth, at the overlap of that number."""
        if not len(self.detections):
            present = np.unique(self.truth.class_id).tolist()
            return {self.classes[int(number)]: np.zeros(101) for number in present}
        # By threshold of overlap, recall, class, size (all come first), and boxes a moment.
        precision = self._evaluated(np.arange(self.moments), None).eval["precision"]
        found = {name: precision[step, :, n, 0, -1] for n, name in enumerate(self.classes)}
        return {name: values for name, values in found.items() if values.min() >= 0}

    def _evaluated(self, images: Int64[np.ndarray, " n"], class_id: int | None) -> Any:
        from faster_coco_eval import COCOeval_faster

        with _without_collecting():
            evaluation = COCOeval_faster(*self._coco(), iouType="bbox", print_function=_log.debug)
            evaluation.params.imgIds = images.tolist()
            if class_id is not None:
                evaluation.params.catIds = [class_id + 1]
            evaluation.run()
        return evaluation

    def _coco(self) -> tuple[Any, Any]:
        from faster_coco_eval import COCO

        if self._datasets is None:
            names = enumerate(self.classes, start=1)
            shared = {
                "images": [{"id": image} for image in range(self.moments)],
                "categories": [{"id": number, "name": name} for number, name in names],
            }
            datasets = [
                COCO(shared | {"annotations": boxes.annotations()}, print_function=_log.debug)
                for boxes in (self.truth, self.detections)
            ]
            self._datasets = datasets[0], datasets[1]
        return self._datasets


@contextmanager
def _without_collecting() -> Generator[None]:
    """Hold the garbage collector: COCO makes a dictionary a box, and it would visit them all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
