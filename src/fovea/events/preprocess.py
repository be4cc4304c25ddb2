"""Recordings with boxes beside them become a data set, in the layout of the published ones.

Recordings are gone through one by one and each read in pieces, so memory is bounded however long
they are. A recording is finished or not there; after an interruption the finished ones stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from fovea.errors import DataError
from fovea.events.dataset import DatasetWriter, EventSet, Written
from fovea.events.dataset.cuts import Cut, divided_by_name, divided_in_time
from fovea.events.dataset.layout import SPLITS, WINDOW_US, Split
from fovea.events.dataset.sources import NO_BOXES, Source, find_sources
from fovea.events.dataset.windows import span
from fovea.events.formats.door import open_events
from fovea.events.formats.source import EventSource
from fovea.events.sensor import FILE_NAME, LabelRules, Sensor
from fovea.events.settings.preprocess import DivideConfig, PreprocessConfig
from fovea.events.stream import EventStream
from fovea.runs.stage import Context


def preprocess(config: PreprocessConfig, context: Context) -> dict[str, float]:
    """Make a data set of the recordings.

    Raises:
        DataError: there are no recordings, one of them or its boxes cannot be used, or no box of
            any is left.
    """
    sources = [
        source
        for source in find_sources(config.recordings)
        if not (config.skip_known and source.name in NO_BOXES)
    ]
    sensor = camera_of(config, sources)
    writer = DatasetWriter(
        context.output("dataset"),
        sensor,
        cadence=config.cadence,
        cutoff=config.cutoff,
        exact=config.exact,
    )
    work = {
        f"{cut.split}/{cut.name}": (cut, source) for cut, source in _cuts(config, sources, sensor)
    }
    for key in context.each(work):
        cut, source = work[key]
        written = _one(config, context, writer, cut, source)
        if not written.boxes:
            context.note(f"{key} is left out: no box of it is kept.", level="warning")
    return _totals(writer.root, sensor, config.recordings)


def camera_of(config: PreprocessConfig, sources: list[Source]) -> Sensor:
    """The sensor of the data set, from the settings and the first recording.

    Raises:
        DataError: nothing says what the classes are.
    """
    camera = config.camera
    height, width = camera.height, camera.width
    if config.sensor != "auto" or (config.recordings / FILE_NAME).is_file():
        base = Sensor.of(config.recordings, config.sensor)
    else:
        if not camera.classes:
            raise DataError(
                f"nothing says what the classes in {config.recordings} are. Give sensor=gen1 or"
                " sensor=gen4, or name them in the order of their ids, camera.classes=car,bicycle."
            )
        with open_events(sources[0].events, height=height or None, width=width or None) as events:
            base = Sensor("recorded", events.height, events.width, camera.classes)
    return dataclasses.replace(
        base,
        height=height or base.height,
        width=width or base.width,
        classes=camera.classes or base.classes,
        halved=base.halved if camera.halved is None else camera.halved,
        partition_split=camera.partition_split or base.partition_split,
        rules=_rules(config, base.rules),
        period_us=WINDOW_US if config.cadence == "dense" else base.period_us,
    )


def _rules(config: PreprocessConfig, rules: LabelRules) -> LabelRules:
    given = {name: value for name, value in config.rules.model_dump().items() if value is not None}
    if (step_ms := given.pop("step_ms", None)) is not None:
        given["step_us"] = round(step_ms * 1000)
    return dataclasses.replace(rules, **given)


def _cuts(
    config: PreprocessConfig, sources: list[Source], sensor: Sensor
) -> Iterator[tuple[Cut, Source]]:
    """What becomes a recording of the data set, and of which recording it is a part."""
    by_name = {source.name: source for source in sources if source.split is None}
    for source in sources:
        if source.split is not None:
            yield Cut(source.split, source.name), source
    parts = _parts(config.divide)
    if config.divide.by == "name":
        for cut in divided_by_name(list(by_name), parts):
            yield cut, by_name[cut.name]
        return
    for source in by_name.values():
        boxes = source.read_boxes(sensor)
        seconds = config.divide.train_seconds
        for cut in divided_in_time(source.name, boxes, parts, train_seconds=seconds):
            yield cut, source


def _parts(divide: DivideConfig) -> Mapping[Split, float]:
    return {"train": divide.train, "val": divide.val, "test": divide.test}


def _one(
    config: PreprocessConfig, context: Context, writer: DatasetWriter, cut: Cut, source: Source
) -> Written:
    """Write one recording.

    Raises:
        StoppedError: the run was asked to stop; nothing of this recording is left.
    """

    def watch(done: int, total: int) -> None:
        if context.should_stop():
            context.stop()

    boxes = cut.of_boxes(source.read_boxes(writer.sensor))
    try:
        with _opened(source, writer.sensor, mend_times=config.mend_times) as events:
            chunks: Iterator[EventStream] = events.chunks()
            if cut.start_us or cut.end_us is not None:
                chunks = span(chunks, cut.start_us, cut.end_us)
            return writer.add(cut.split, cut.name, chunks, boxes, watch=watch)
    except DataError as error:
        where = str(source.events)
        raise DataError(str(error) if where in str(error) else f"{where}: {error}") from error


def _opened(source: Source, sensor: Sensor, *, mend_times: bool) -> EventSource:
    """The recording, of the size it says; of the sensor's where it says none."""
    try:
        return open_events(source.events, mend_times=mend_times)
    except DataError:
        size = {"height": sensor.height, "width": sensor.width}
        return open_events(source.events, mend_times=mend_times, **size)


def _totals(root: Path, sensor: Sensor, recordings: Path) -> dict[str, float]:
    """What the data set holds in the end.

    Raises:
        DataError: nothing.
    """
    found = EventSet(root, sensor)
    every = [
        recording for split in SPLITS if (root / split).is_dir() for recording in found.split(split)
    ]
    if not every:
        raise DataError(
            f"no box of {recordings} passes the filters of the sensor {sensor.name}:"
            f" {sensor.rules}. Loosen them with rules.NAME=VALUE, or look at the boxes."
        )
    return {
        "recordings": len(every),
        "histograms": sum(recording.n_histograms for recording in every),
        "frames": sum(len(recording) for recording in every),
        "boxes": sum(len(recording.labels) for recording in every),
    }
