"""Pseudo labels box by box against hidden truth: which are right, and which truth they find.

A box is right where it overlaps with a true one of its class; a true box is found where a box that
was kept overlaps with it. Only moments count whose truth the labels do not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float64

from fovea.errors import DataError
from fovea.events.dataset import EventSet, Recording
from fovea.events.labelling.frames import FrameLabels, labels_in
from fovea.events.labelling.log import Log
from fovea.events.labelling.quality import iou, shown_moments
from fovea.events.labels import CLASS_CONFIDENCE, CLASS_ID, IGNORE, OBJECTNESS, Labels

KEPT, REMOVED, INPAINTED = "kept", "removed", "inpainted"


@dataclass(frozen=True)
class Moment:
    """One labelled moment whose truth was hidden."""

    recording: Recording
    """The original."""
    frame: int
    boxes: Labels
    """In sensor pixels, with the classes they had before the filter."""
    fate: np.ndarray
    """`kept`, `removed` or `inpainted`."""
    reason: np.ndarray
    length: np.ndarray
    """Frames that the track of each box spans; 0 where it is not known."""
    truth: Labels

    def overlaps(self, least: float) -> Bool[np.ndarray, "n m"]:
        """Which boxes cover which true ones of their class."""
        is_same = self.boxes.class_id[:, None] == self.truth.class_id[None]
        return (iou(self.boxes, self.truth) > least) & is_same

    @property
    def scores(self) -> Float64[np.ndarray, " n"]:
        """The lower of the two scores of each box: a threshold on both lets it pass up to there."""
        rows = self.boxes.rows[:, [CLASS_CONFIDENCE, OBJECTNESS]]
        return rows.min(axis=1, initial=np.inf).astype(np.float64)


def moments(pseudo: EventSet, original: EventSet, log: Log | None) -> Iterator[Moment]:
    """Every labelled moment whose truth the pseudo labels do not show.

    Raises:
        DataError: the three are not of one another.
    """
    made = {recording.name: recording for recording in pseudo.split("train")}
    known = {recording.name for recording in original.split("train")}
    if strange := sorted(made.keys() - known):
        raise DataError(
            f"{pseudo.root} has the recording {strange[0]}, and {original.root} does not. Give the"
            " data set that the pseudo labels were made of."
        )
    for recording in original.split("train"):
        own = made.get(recording.name)
        shown = set(shown_moments(own, recording)) if own else set[int]()
        hidden = [at for at in range(len(recording)) if at not in shown]
        labels = labels_in(own) if own else labels_in(recording, [])
        columns = _columns(recording.name, labels, log.of(recording.name) if log else None)
        for frame, truth in labels_in(recording, hidden):
            at = np.flatnonzero(labels.frames == frame)
            rows = labels.labels.rows[at].copy()
            rows[:, CLASS_ID] = columns["class_id"][at]
            yield Moment(
                recording, frame, labels.labels.with_rows(rows), columns["fate"][at],
                columns["reason"][at], columns["length"][at], truth,
            )  # fmt: skip


def _columns(name: str, labels: FrameLabels, log: Log | None) -> Mapping[str, np.ndarray]:
    """What is known of each box beside its row."""
    if log is None:
        is_ignored = labels.labels.class_id == IGNORE
        is_fill = is_ignored & (labels.labels.rows[:, OBJECTNESS] == 0)
        fate = np.where(is_fill, INPAINTED, np.where(is_ignored, REMOVED, KEPT))
        nothing = np.zeros(len(labels), np.int64)
        return {
            "class_id": labels.labels.class_id, "fate": fate,
            "reason": np.where(is_ignored, "ignored", "unknown"), "length": nothing,
        }  # fmt: skip
    if not np.array_equal(log["frame"], labels.frames):
        raise DataError(
            f"the log has {len(log)} boxes for {name}, and the labels have {len(labels)}, or they"
            " are of other frames. Give the log that was made with these labels, or leave it out."
        )
    return {each: log[each] for each in ("class_id", "fate", "reason", "length")}


@dataclass(frozen=True)
class Boxes:
    """All pseudo boxes at those moments, as columns."""

    class_id: np.ndarray
    score: np.ndarray
    fate: np.ndarray
    reason: np.ndarray
    length: np.ndarray
    is_right: np.ndarray

    def __len__(self) -> int:
        return len(self.class_id)

    def where(self, which: np.ndarray) -> Boxes:
        """Some of them."""
        return Boxes(**{name: values[which] for name, values in vars(self).items()})

    @property
    def precision(self) -> float:
        """The share that is right; 0 of none."""
        return float(np.mean(self.is_right)) if len(self) else 0.0


@dataclass(frozen=True)
class Trues:
    """All hidden true boxes, as columns."""

    class_id: np.ndarray
    found_at: np.ndarray
    """The best score of a kept box that covers it; below 0 where there is none."""
    is_seen: np.ndarray
    """Whether any box covers it, removed ones included."""

    def __len__(self) -> int:
        return len(self.class_id)

    def where(self, which: np.ndarray) -> Trues:
        """Some of them."""
        return Trues(**{name: values[which] for name, values in vars(self).items()})

    def recall(self, score: float = 0.0) -> float:
        """The share that boxes of at least this score find; 0 of none."""
        return float(np.mean(self.found_at >= score)) if len(self) else 0.0


@dataclass(frozen=True)
class Judgement:
    """Boxes and truth of all moments."""

    boxes: Boxes
    trues: Trues

    @property
    def kept(self) -> Boxes:
        """The boxes that a student learns from."""
        return self.boxes.where(self.boxes.fate == KEPT)

    def of_class(self, class_id: int) -> Judgement:
        """Of one class."""
        return Judgement(
            self.boxes.where(self.boxes.class_id == class_id),
            self.trues.where(self.trues.class_id == class_id),
        )

    def at(self, score: float) -> tuple[float, float]:
        """Precision and recall of the kept boxes with at least this score."""
        kept = self.kept
        return kept.where(kept.score >= score).precision, self.trues.recall(score)

    def score_for(self, precision: float) -> float | None:
        """The lowest score from which on the kept boxes are as precise; None where none is."""
        kept = self.kept
        order = np.argsort(-kept.score, kind="stable")
        right = np.cumsum(kept.is_right[order])
        good = np.flatnonzero(right / np.arange(1, len(order) + 1) >= precision)
        return float(kept.score[order[good[-1]]]) if len(good) else None


class Judge:
    """Gathers moments."""

    def __init__(self, *, iou: float, least: float) -> None:
        self.iou = iou
        self.least = least
        """Boxes with a score no larger are not counted."""
        self._boxes: list[Boxes] = []
        self._trues: list[Trues] = []

    def update(self, moment: Moment) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " m"]]:
        """Add a moment; says which of its boxes are right and which true ones are found."""
        scores = moment.scores
        is_kept = moment.fate == KEPT
        is_counted = ~is_kept | (scores > self.least)
        overlaps = moment.overlaps(self.iou)
        kept = np.where(overlaps & (is_kept & is_counted)[:, None], scores[:, None], -1.0)
        found_at = kept.max(axis=0, initial=-1.0)
        is_right: Bool[np.ndarray, " n"] = np.asarray(overlaps.any(axis=1))
        real = moment.fate != INPAINTED
        self._trues.append(
            Trues(moment.truth.class_id, found_at, (overlaps & real[:, None]).any(axis=0))
        )
        columns = {
            "class_id": moment.boxes.class_id, "score": scores, "fate": moment.fate,
            "reason": moment.reason, "length": moment.length, "is_right": is_right,
        }  # fmt: skip
        self._boxes.append(Boxes(**{name: each[is_counted] for name, each in columns.items()}))
        return is_right, found_at >= 0

    def compute(self) -> Judgement:
        """Everything together.

        Raises:
            DataError: there was nothing to judge by.
        """
        if not self._trues:
            raise DataError(
                "pseudo labels are audited against truth that was hidden from their maker, and here"
                " none was: the labels show all of it. Label with a budget that hides some, such as"
                " budget.keep=frames budget.ratio=0.05."
            )
        return Judgement(_joined(Boxes, self._boxes), _joined(Trues, self._trues))


Columns = TypeVar("Columns", Boxes, Trues)


def _joined(kind: type[Columns], parts: Sequence[Columns]) -> Columns:
    names = vars(parts[0])
    return kind(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in names})
