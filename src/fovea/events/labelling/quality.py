"""How good labels are, held against truth that was hidden from their maker.

For each class, in each frame that has truth of it: recall is the share of true boxes that some box
covers, precision the share of boxes that cover some true one. There is no matching one to one, and
a frame without boxes has both 0. Means are over frames.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024), the measure of
pseudo labels in its code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from fovea.errors import DataError
from fovea.events.dataset import EventSet, Recording
from fovea.events.labelling.frames import labels_in
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, IGNORE, OBJECTNESS, Labels

IOUS = (0.25, 0.5, 0.75)
LEAST_SCORE = 0.01
SAME = 1e-6
"""By how much a box of ground truth may differ between two data sets."""
SHORT_NAMES = {"pedestrian": "ped", "two-wheeler": "cyc"}
"""As the classes of the published data sets are called in keys of scores."""


class Quality:
    """Gathers frames, then says the scores by their published keys."""

    def __init__(self, classes: Sequence[str], prefix: str = "ssod") -> None:
        self.classes = classes
        self.prefix = prefix
        self._frames: dict[int, list[list[float]]] = defaultdict(list)
        """By class and frame: recall and precision at each IoU, true boxes, boxes."""

    def update(self, found: Labels, truth: Labels) -> None:
        """Add a frame."""
        found = found[found.rows[:, CLASS_ID] != IGNORE]
        for class_id in range(len(self.classes)):
            wanted = truth[truth.class_id == class_id]
            if not len(wanted):
                continue
            have = found[found.class_id == class_id]
            overlap = iou(have, wanted)
            row: list[float] = []
            for least in IOUS:
                hits = overlap > least
                row += [_share(hits), _share(hits.T)]
            self._frames[class_id].append([*row, len(wanted), len(have)])

    @property
    def frames(self) -> dict[int, list[list[float]]]:
        """What was gathered, as plain values that another gatherer may add."""
        return dict(self._frames)

    def add(self, frames: Mapping[int, list[list[float]]]) -> None:
        """Add what another has gathered."""
        for class_id, rows in frames.items():
            self._frames[int(class_id)] += rows

    def compute(self) -> dict[str, float]:
        """The means over frames, and by class how many frames they are over."""
        scores: dict[str, float] = {}
        for class_id, name in enumerate(self.classes):
            rows = self._frames.get(class_id)
            if not rows:
                continue
            name = SHORT_NAMES.get(name, name)
            means = np.mean(rows, axis=0).tolist()
            scores[f"num_{name}"] = float(len(rows))
            for number, least in enumerate(IOUS):
                at = f"@{round(100 * least)}_{name}"
                scores[f"{self.prefix}/teacher_AR{at}"] = means[2 * number]
                scores[f"{self.prefix}/teacher_AP{at}"] = means[2 * number + 1]
            scores[f"{self.prefix}/gt_num_{name}"] = means[-2]
            scores[f"{self.prefix}/pred_num_{name}"] = means[-1]
        return scores


def shown_moments(made: Recording, original: Recording) -> list[int]:
    """The labelled moments of a recording whose truth its pseudo labels show.

    Raises:
        DataError: they show truth that the recording does not have.
    """
    shown = labels_in(made)
    shown = shown.where(shown.labels.is_truth)
    at = np.flatnonzero(np.isin(original.objframe_to_histogram, shown.frames)).tolist()
    truth = labels_in(original, at)
    same = np.array_equal(shown.frames, truth.frames) and np.allclose(
        shown.labels.rows, truth.labels.rows, rtol=SAME, atol=SAME
    )
    if not same:
        raise DataError(
            f"{made.folder} shows ground truth that differs from that of {original.folder}. Give"
            " the data set that the pseudo labels were made of."
        )
    return at


def quality(
    pseudo: EventSet,
    truth: EventSet,
    *,
    shown: Mapping[str, Sequence[int]] | None = None,
    least: float = LEAST_SCORE,
    split: str = "train",
) -> dict[str, float]:
    """The scores of pseudo labels, over the moments whose truth was hidden.

    Args:
        pseudo: made by events.label.
        truth: what it was made of.
        shown: by recording, the moments whose truth was not hidden; left out, those that the
            pseudo labels show.
        least: boxes whose objectness or class confidence is no larger are not counted.
        split: of both.

    Raises:
        DataError: the two are not of one another.
    """
    made = {recording.name: recording for recording in pseudo.split(split)}
    gathered = Quality(truth.sensor.classes)
    for original in truth.split(split):
        own = made.get(original.name)
        seen = set(shown_moments(own, original) if own else ()) | set(
            shown[original.name] if shown else ()
        )
        hidden = labels_in(original, [at for at in range(len(original)) if at not in seen])
        found = dict(labels_in(own)) if own else {}
        for frame, wanted in hidden:
            gathered.update(sure(found.get(frame, wanted[:0]), least), wanted)
    return gathered.compute()


def mean_of(scores: Mapping[str, float]) -> dict[str, float]:
    """Precision and recall at an overlap of 0.5, means over the classes."""
    means: dict[str, float] = {}
    for name, key in (("precision", "AP"), ("recall", "AR")):
        values = [value for at, value in scores.items() if f"/teacher_{key}@50_" in at]
        if values:
            means[name] = float(np.mean(values))
    return means


def sure(labels: Labels, least: float) -> Labels:
    """The boxes of which both scores are larger."""
    return labels[(labels.rows[:, [CLASS_CONFIDENCE, OBJECTNESS]] > np.float32(least)).all(axis=1)]


def iou(one: Labels, other: Labels) -> Float32[np.ndarray, "n m"]:
    """The overlap of every box with every other."""
    a, b = one.xyxy[:, None], other.xyxy[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    return (both / np.maximum(areas[0] + areas[1] - both, 1e-12)).astype(np.float32)


def _share(hits: Bool[np.ndarray, "n m"]) -> float:
    """The part of the columns with a hit; 0 where there are no rows."""
    return float(np.mean(hits.any(axis=0))) if hits.size else 0.0
