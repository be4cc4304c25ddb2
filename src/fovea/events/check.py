"""A data set is looked through, and what is wrong with it is said: as JSON, and as a page.

The report is written whatever is found. With `strict` the stage then ends with an error where the
data set has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from fovea.errors import DataError
from fovea.events.colors import rgb
from fovea.events.dataset import EventSet, Recording
from fovea.events.dataset.layout import Split
from fovea.events.dataset.report import SplitCounts, report_document, report_page
from fovea.events.dataset.validation import Findings, check_recording, recordings_of
from fovea.events.draw import Style, draw_boxes, factor_for, polarity_picture
from fovea.events.settings.check import CheckConfig
from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context

MOST_SAID = 10
"""Errors that are said while the stage runs; all are in the report."""


def check(config: CheckConfig, context: Context) -> dict[str, float]:
    """Look through a data set.

    Raises:
        DataError: it is no data set at all, or `strict` is set and it has an error.
    """
    found = EventSet.open(config.data, config.sensor)
    findings = Findings(found.root)
    splits = recordings_of(found, findings)
    every: list[tuple[Split, Recording]] = [
        (split, recording) for split, recordings in splits.items() for recording in recordings
    ]
    counts: dict[Split, SplitCounts] = {split: SplitCounts() for split in splits}
    for number, (split, recording) in enumerate(every):
        if context.should_stop():
            context.stop()
        check_recording(recording, findings, unpack=config.unpack)
        counts[split].add(recording)
        context.progress(number + 1, len(every), "recordings")
    problems = findings.problems
    pictures = list(_pictures(every, config.pictures))
    write_json(context.output("scores"), report_document(found, problems, counts))
    write_text(context.output("page"), report_page(found, problems, counts, pictures))
    errors = [problem for problem in problems if problem.level == "error"]
    for problem in errors[:MOST_SAID]:
        context.note(f"{problem.file}: {problem.message}", level="warning")
    if errors and config.strict:
        raise DataError(
            f"{config.data} has {len(errors)} errors, the first of them: {errors[0].file}:"
            f" {errors[0].message} All are in {context.output('page')}."
        )
    return {
        "errors": len(errors),
        "warnings": len(problems) - len(errors),
        "recordings": len(every),
        "boxes": sum(one.boxes for one in counts.values()),
    }


def _pictures(
    every: Sequence[tuple[Split, Recording]], count: int
) -> Iterator[tuple[str, UInt8[np.ndarray, "h w 3"]]]:
    """Moments spread over the data set; one that cannot be read is passed over, as it was noted."""
    shown = every[:: max(1, math.ceil(len(every) / count))] if count else []
    for number, (split, recording) in enumerate(shown):
        # The first recordings show one moment more where the number does not divide.
        wanted = count // len(shown) + (number < count % len(shown))
        quiet = Findings(recording.folder)
        total = quiet.tried(recording.folder, lambda one=recording: len(one)) or 0
        for objframe in np.unique(np.linspace(0, total, wanted + 2).astype(int)[1:-1]).tolist():
            picture = quiet.tried(
                recording.folder, lambda one=recording, at=objframe: _picture(one, at)
            )
            if picture is not None:
                yield f"{split}/{recording.name} frame {objframe}", picture


def _picture(recording: Recording, objframe: int) -> UInt8[np.ndarray, "h w 3"]:
    place = int(recording.objframe_to_histogram[objframe])
    labels = recording.labels_at(objframe)
    style = Style(factor_for(labels.height, labels.width), thickness=2)
    picture = polarity_picture(recording.read(place, place + 1)[0], factor=style.factor)
    colours = [rgb(number) for number in labels.class_id.tolist()]
    draw_boxes(picture, labels.to_structured(), [[]] * len(labels), colours, style)
    return picture
