"""`events.audit`: pseudo labels are held against the truth that was hidden from their maker.

Which of them are right, by class, score and length of track; what the filter took away and whether
it should have; and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from fovea.errors import DataError
from fovea.events.dataset import EventSet
from fovea.events.draw import (
    BLACK,
    RED,
    Color,
    Picture,
    Style,
    draw_boxes,
    histogram_picture,
    label_lines,
)
from fovea.events.labelling.advice import advice
from fovea.events.labelling.judgement import KEPT, Judge, Moment, moments
from fovea.events.labelling.log import read_log
from fovea.events.labelling.quality import mean_of, quality
from fovea.events.labelling.report import report, tables
from fovea.events.settings.audit import AuditConfig
from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context
from fovea.scene import page

GREY: Color = (140, 140, 140)
DARK_GREEN: Color = (0, 150, 40)
PICTURE_PX = 420


@dataclass(frozen=True)
class _Shown:
    """A moment that may be shown, and how it was judged."""

    moment: Moment
    is_right: Bool[np.ndarray, " n"]
    is_found: Bool[np.ndarray, " m"]

    @property
    def faults(self) -> int:
        """Wrong boxes that were kept, and truth that was not found."""
        wrong = (self.moment.fate == KEPT) & ~self.is_right
        return int(wrong.sum() + (~self.is_found).sum())


def audit(config: AuditConfig, context: Context) -> dict[str, float]:
    """Judge every box at moments whose truth was hidden.

    Raises:
        DataError: no truth was hidden, or labels, data and log are not of one another.
    """
    original = EventSet.open(config.data, config.sensor)
    pseudo = EventSet.open(config.labels, config.sensor)
    if pseudo.sensor != original.sensor:
        raise DataError(
            f"{config.labels} is of the sensor {pseudo.sensor.name} and {config.data} of"
            f" {original.sensor.name}. Give the data set that the pseudo labels were made of."
        )
    log = read_log(config.log) if config.log else None
    judge = Judge(iou=config.iou, least=config.score_thresh)
    seen: list[_Shown] = []
    total = sum(map(len, original.split("train")))
    for number, moment in enumerate(moments(pseudo, original, log)):
        seen.append(_Shown(moment, *judge.update(moment)))
        context.progress(number + 1, total, "moments")
        if context.should_stop():
            context.stop()
    found = judge.compute()
    classes = original.sensor.classes
    published = quality(pseudo, original, least=config.score_thresh)
    listed = tables(found, published, classes)
    said = advice(found, classes, config)
    scores = {
        "precision": found.kept.precision,
        "recall": found.trues.recall(),
        "kept": float(len(found.kept)),
        "truth": float(len(found.trues)),
    }
    document = {"scores": scores | published, "mean": mean_of(published)} | listed
    write_json(context.output("scores"), document | {"advice": said})
    lead = f"{len(seen)} moments of {config.data.name} with hidden truth, overlap {config.iou:g}"
    figures = _figures(seen, classes, config.pictures)
    title = "Pseudo labels against hidden truth"
    write_text(context.output("page"), report(found, listed, said, figures, title=title, lead=lead))
    context.note(said[0])
    context.log(0, {f"audit/{name}": value for name, value in scores.items()})
    return scores


def _figures(seen: Sequence[_Shown], classes: Sequence[str], count: int) -> Iterator[str]:
    """Half of the pictures where most is wrong, half spread over all moments."""
    worst = sorted(range(len(seen)), key=lambda at: -seen[at].faults)[: count // 2]
    rest = [at for at in range(len(seen)) if at not in worst]
    spread = np.linspace(0, len(rest) - 1, min(count - len(worst), len(rest))).astype(int).tolist()
    for at in sorted({*worst, *(rest[place] for place in spread)}):
        shown = seen[at].moment
        said = f"{seen[at].faults} wrong or missed"
        caption = f"{shown.recording.name}, histogram {shown.frame}: {said}"
        yield page.figure(_picture(seen[at], classes), caption, width_px=PICTURE_PX)


def _picture(shown: _Shown, classes: Sequence[str]) -> Picture:
    """The events of a moment with truth and boxes."""
    moment = shown.moment
    sensor = moment.recording.sensor
    counts = moment.recording.read(moment.frame, moment.frame + 1)[0]
    style = Style.fitting(sensor.network_height, sensor.network_width)
    picture = histogram_picture(counts, factor=style.factor)
    size = 0.5 if sensor.halved else 1.0
    kept = np.where(shown.is_right, 1, 2) * (moment.fate == KEPT)
    for labels, colors in (
        (moment.truth, [BLACK] * len(moment.truth)),
        (moment.boxes, [(GREY, DARK_GREEN, RED)[number] for number in kept.tolist()]),
    ):
        boxes = labels.to_structured()
        for side in ("x", "y", "w", "h"):
            boxes[side] *= size
        words = label_lines(boxes, classes, wording="none" if labels is moment.truth else "short")
        draw_boxes(picture, boxes, words, colors, style)
    return picture
