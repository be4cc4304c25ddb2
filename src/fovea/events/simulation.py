"""Recordings are made: a data set of made scenes, or what a camera would have said of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fovea.errors import ConfigError
from fovea.events.boxes import Boxes, cropped, read_boxes
from fovea.events.dataset import DatasetWriter, EventSet
from fovea.events.dataset.layout import SPLITS, Split
from fovea.events.formats.door import open_events, write_events
from fovea.events.sensor import LabelRules, Sensor, preset
from fovea.events.settings.simulate import SimulateConfig
from fovea.events.simulate.pixel import PixelArray, events_of
from fovea.events.simulate.scene import Scene, make_scene
from fovea.events.simulate.video import Framing, video_moments
from fovea.events.stream import EventStream
from fovea.runs.stage import Context
from fovea.scene.video import each_frame, frame_count, frame_rate

DEFAULT_HEIGHT, DEFAULT_WIDTH = 96, 128
LABEL_STEP_US = {"gen1": 250_000, "gen4": 33_333}
"""Between two labelled moments of the published data sets."""


def simulate(config: SimulateConfig, context: Context) -> dict[str, float]:
    """Make a data set of scenes, or a recording of a video."""
    if config.video is not None:
        return _record(config, config.video, context)
    studio = _Studio(config, context, sensor_of(config))
    counts = {"train": config.train, "val": config.val, "test": config.test}
    if not sum(counts.values()):
        raise ConfigError("train, val and test are all 0: there is nothing to make. Give test=1.")
    _require_labels(config)
    names = [f"{split}/{split}_{n:04d}" for split in SPLITS for n in range(counts[split])]
    for name in context.each(names):
        split, _, recording = name.partition("/")
        studio.make(_split(split), recording)
    return studio.scores()


def _require_labels(config: SimulateConfig) -> None:
    first_s = LABEL_STEP_US.get(config.sensor, config.label_step_ms * 1000) * 1e-6
    if first_s > config.seconds:
        raise ConfigError(
            f"recordings of seconds={config.seconds:g} end before their first labelled moment,"
            f" which is at {first_s:g} s. Give longer ones, or label_step_ms=50."
        )


def _record(config: SimulateConfig, video: Path, context: Context) -> dict[str, float]:
    """Make a recording of a video, and its boxes where they are given."""
    frame = next(each_frame(video)).shape[:2]
    sensor = sensor_of(config) if config.sensor != "simulated" else None
    height = sensor.height if sensor else config.height or frame[0]
    width = sensor.width if sensor else config.width or frame[1]
    framing = Framing.filling(frame, height=height, width=width)
    pixels = PixelArray(config.pixel, height=height, width=width, rng=context.rng("pixels"))
    moments = video_moments(
        video, framing, config.render, clip_s=config.clip_s, interpolate=config.interpolate
    )
    seconds = frame_count(video) / max(frame_rate(video), 1e-9)
    total_ms = round(1000 * (config.clip_s or seconds))

    def watched() -> Iterator[EventStream]:
        for events in events_of(pixels, moments):
            if context.should_stop():
                context.stop()
            if len(events):
                now_ms = int(events.t[-1]) // 1000
                context.progress(now_ms, max(now_ms, total_ms), "ms")
            yield events

    count = write_events(context.output("recording"), watched(), height=height, width=width)
    if config.boxes is not None:
        boxes = cropped(framing.moved(read_boxes(config.boxes)), height=height, width=width)
        write_boxes(context.output("boxes"), boxes)
    return {"events": count}


def sensor_of(config: SimulateConfig) -> Sensor:
    """The sensor of the settings.

    Raises:
        ConfigError: they ask a published sensor for a size of its own.
    """
    if config.sensor != "simulated":
        sensor = preset(config.sensor)
        wanted = config.height or sensor.height, config.width or sensor.width
        if wanted != (sensor.height, sensor.width):
            raise ConfigError(
                f"the sensor {sensor.name} has {sensor.height} x {sensor.width} pixels, and"
                f" {wanted[0]} x {wanted[1]} are asked for. Leave height and width out, or give"
                " sensor=simulated."
            )
        return sensor
    height, width = config.height or DEFAULT_HEIGHT, config.width or DEFAULT_WIDTH
    side, diagonal = max(4.0, height / 24), max(8.0, height / 8)
    rules = LabelRules(
        min_diagonal_px=diagonal,
        min_side_px=side,
        step_us=config.label_step_ms * 1000,
        evaluation_diagonal_px=diagonal,
        evaluation_side_px=side,
    )
    return Sensor("simulated", height, width, config.classes, rules=rules)


@dataclass
class _Studio:
    """Makes the recordings of one data set."""

    config: SimulateConfig
    context: Context
    sensor: Sensor

    def __post_init__(self) -> None:
        cadence = "dense" if self.sensor.name == "simulated" else "paper"
        self.writer = DatasetWriter(self.context.output("dataset"), self.sensor, cadence=cadence)

    def make(self, split: Split, name: str) -> None:
        """Make one recording; a name and a seed always give the same."""
        config, sensor = self.config, self.sensor
        rng = self.context.rng(f"{split}/{name}")
        scene = make_scene(
            config.scene,
            classes=sensor.classes,
            height=sensor.height,
            width=sensor.width,
            seconds=config.seconds,
            rng=rng,
        )
        pixels = PixelArray(config.pixel, height=sensor.height, width=sensor.width, rng=rng)
        events = self._watched(events_of(pixels, scene.moments(config.seconds, config.render)))
        boxes = self._boxes(scene)
        if not config.keep_raw:
            self.writer.add(split, name, events, boxes)
            return
        raw = self.context.output("recordings") / split / f"{name}_td.raw"
        raw.parent.mkdir(parents=True, exist_ok=True)
        write_events(raw, events, height=sensor.height, width=sensor.width)
        write_boxes(raw.with_name(f"{name}_bbox.npy"), boxes)
        self.writer.add(split, name, open_events(raw).chunks(), boxes)

    def scores(self) -> dict[str, float]:
        """How many recordings, labelled moments and boxes there are."""
        made = EventSet.open(self.writer.root)
        splits = [split for split in SPLITS if (made.root / split).is_dir()]
        recordings = [recording for split in splits for recording in made.split(split)]
        return {
            "recordings": len(recordings),
            "moments": sum(len(recording) for recording in recordings),
            "boxes": sum(len(recording.labels) for recording in recordings),
        }

    def _boxes(self, scene: Scene) -> Boxes:
        step = LABEL_STEP_US.get(self.sensor.name, self.config.label_step_ms * 1000)
        times = range(step, round(self.config.seconds * 1e6) + 1, step)
        return np.concatenate(
            [scene.boxes(time, min_visible=self.config.min_visible) for time in times]
        )

    def _watched(self, chunks: Iterator[EventStream]) -> Iterator[EventStream]:
        for chunk in chunks:
            if self.context.should_stop():
                self.context.stop()
            yield chunk


def write_boxes(path: Path, boxes: Boxes) -> None:
    """Write boxes as a `*_bbox.npy` that is whole or absent."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        np.save(file, boxes)
    draft.replace(path)


def _split(name: str) -> Split:
    return next(split for split in SPLITS if split == name)
