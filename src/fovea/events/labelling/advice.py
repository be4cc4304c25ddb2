"""What to do next, from how precise pseudo labels are and how much they find.

The marks, 0.85 to 0.90 for a good precision, 0.70 to 0.80 for a good recall, below 0.80 for noise,
are those of a guide to LEOD; they are habits, not results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fovea.events.labelling.judgement import REMOVED, Judgement
from fovea.events.settings.audit import AuditConfig

FEW = 20
"""Boxes below which nothing is advised about them."""


def advice(found: Judgement, classes: Sequence[str], config: AuditConfig) -> list[str]:
    """Sentences, the most pressing first."""
    said = [*_of_classes(found, classes, config), *_of_the_filter(found)]
    precision, recall = found.kept.precision, found.trues.recall()
    if not len(found.kept):
        return [
            "Not one pseudo label was kept where truth is hidden. Lower obj_thresh and cls_thresh,"
            " or train the teacher for longer.",
            *said,
        ]
    marks = f"{precision:.2f} of the kept boxes are right and {recall:.2f} of the truth is found"
    if precision < config.noisy_precision:
        verdict = f"Noisy: {marks}. A student would learn the teacher's mistakes."
    elif precision >= config.good_precision and recall >= config.good_recall:
        verdict = f"Good: {marks}. Train a student, and try another round with it as the teacher."
    elif precision >= config.good_precision:
        verdict = f"Sure but few: {marks}. Lower thresholds would find more."
    else:
        verdict = f"Usable: {marks}. The soft loss ignores what is least sure."
    return [verdict, *said]


def _of_classes(found: Judgement, classes: Sequence[str], config: AuditConfig) -> Iterator[str]:
    """Thresholds that would make a class good, where it is noisy."""
    for class_id, name in enumerate(classes):
        own = found.of_class(class_id)
        if len(own.kept) < FEW or own.kept.precision >= config.noisy_precision:
            continue
        score = own.score_for(config.good_precision)
        said = f"{name}: only {own.kept.precision:.2f} of {len(own.kept)} boxes are right."
        if score is None:
            yield f"{said} No threshold makes it {config.good_precision:.2f}: train the teacher on."
            continue
        _, recall = own.at(score)
        yield (
            f"{said} With obj_thresh and cls_thresh of {score:.2f} for it, and as much in the"
            f" student's ignore_bbox_thresh, it is {config.good_precision:.2f}, and"
            f" {recall:.2f} of the truth is found."
        )


def _of_the_filter(found: Judgement) -> Iterator[str]:
    """Whether the filter takes away the right boxes."""
    removed = found.boxes.where(found.boxes.fate == REMOVED)
    if len(removed) < FEW:
        return
    shares = (
        f"{removed.precision:.2f} of these were right, and {found.kept.precision:.2f} of those kept"
    )
    if removed.precision >= found.kept.precision:
        yield (
            f"The filter takes away {len(removed)} boxes that were no worse than the others:"
            f" {shares}. Lower min_track_len."
        )
    else:
        yield f"The filter earns its place: it takes away {len(removed)} boxes; {shares}."
