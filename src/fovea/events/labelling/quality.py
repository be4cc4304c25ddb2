"""How good labels are, held against truth that was hidden from their maker.

For each class, in each frame that has truth of it: recall is the share of true boxes that some box
covers, precision the share of boxes that cover some true one. There is no matching one to one, and
a frame without boxes has both 0. Means are over frames.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024), the measure of
pseudo labels in its code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from fovea.events.labels import CLASS_ID, IGNORE, Labels

IOUS = (0.25, 0.5, 0.75)
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
                row += [_share(hits.any(axis=0)), _share(hits.any(axis=1))] if len(have) else [0, 0]
            self._frames[class_id].append([*row, len(wanted), len(have)])

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


def iou(one: Labels, other: Labels) -> Float32[np.ndarray, "n m"]:
    """The overlap of every box with every other."""
    a, b = one.xyxy[:, None], other.xyxy[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    return (both / np.maximum(areas[0] + areas[1] - both, 1e-12)).astype(np.float32)


def _share(is_so: np.ndarray) -> float:
    return float(is_so.mean()) if len(is_so) else 0.0
