"""`events.film`: recordings of a data set as videos, with true boxes and those that are found.

Every histogram is a frame, shown at its own time. Found boxes of a plausible size are green, others
red; true ones are black and carry their class. Without a detector true boxes have a colour a class.

Source: the films of Wu et al., "LEOD" (2024), which `mode=reference` repeats: a labelled frame
stands for half a second, every second frame is left out, and the clock counts 50 ms a histogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from fovea.errors import DataError
from fovea.events import draw
from fovea.events.boxes import PSEUDO_DTYPE, WIDEST, Boxes
from fovea.events.dataset import EventSet, Recording
from fovea.events.detections import from_predictions, sureness
from fovea.events.labels import Labels
from fovea.events.model.detector import Detector
from fovea.events.model.memory import States
from fovea.events.model.postprocess import postprocess
from fovea.events.model.weights import load_detector
from fovea.events.sensor import Sensor
from fovea.events.settings.film import FilmConfig
from fovea.runs.stage import Context
from fovea.scene.video import write_video
from fovea.training.device import torch_device

AT_ONCE = 32
"""Histograms that are read together."""
SMALLEST_SIDE_PX = 5
"""Of a box of plausible size, in the network's input, as for pseudo labels."""
PUBLISHED_FPS = 15.0
PUBLISHED_REPEATS, PUBLISHED_REPEATS_OF_FREQUENT = 7, 3
RARE_LABELS_US = 200_000


def film(config: FilmConfig, context: Context) -> dict[str, float]:
    """Write a video of each picked recording."""
    data = EventSet.open(config.data, config.sensor)
    recordings = _picked(data.split(config.split), config)
    device = torch_device(context.device)
    watchers = [
        _Watcher(load_detector(path, sensor=data.sensor, device=device)[0], config, device)
        for path in (config.detector, config.compare)
        if path is not None
    ]
    scenes = [_Scene(recording, config) for recording in recordings]
    total, done = sum(len(scene.order) for scene in scenes), 0
    for number, scene in enumerate(scenes):
        path = context.output("video") if not number else _further(context, scene.recording.name)
        frames = _frames(scene, watchers, context, done=done, total=total)
        write_video(path, frames, fps=scene.fps)
        done += len(scene.order)
    return {}


def _further(context: Context, name: str) -> Path:
    folder = context.output("videos")
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.mp4"


def _picked(recordings: Sequence[Recording], config: FilmConfig) -> list[Recording]:
    """Those named, or the first ones.

    Raises:
        DataError: one is named that is not there.
    """
    if not config.pick:
        # The original leaves out the first recording of gen1.
        skipped = int(config.mode == "reference" and recordings[0].sensor.name == "gen1")
        return list(recordings[skipped:][: config.count]) or list(recordings[:1])
    by_name = {recording.name: recording for recording in recordings}
    by_name |= {str(number): recording for number, recording in enumerate(recordings)}
    if absent := [word for word in config.pick if word not in by_name]:
        names = ", ".join(recording.name for recording in recordings[:4])
        raise DataError(
            f"pick={','.join(absent)} names no recording of the {config.split} split, which has"
            f" {len(recordings)}: {names}{', ...' if len(recordings) > 4 else ''}. Give names, or"
            f" numbers from 0 to {len(recordings) - 1}."
        )
    return [by_name[word] for word in config.pick]


class _Scene:
    """One recording as it is shown: which histograms, when, and how often."""

    def __init__(self, recording: Recording, config: FilmConfig) -> None:
        self.recording, self.config = recording, config
        self.sensor: Sensor = recording.sensor
        self.is_published = config.mode == "reference"
        self.clock_us = recording.clock_us
        count = recording.n_histograms
        if config.seconds:
            span = self.clock_us - self.clock_us[0]
            count = max(1, int(np.searchsorted(span, config.seconds * 1e6, side="right")))
        self.order = list(range(count))[:: -1 if config.reverse else 1]
        self._objframes = {
            int(histogram): number
            for number, histogram in enumerate(recording.objframe_to_histogram)
        }
        height, width = self.sensor.network_height, self.sensor.network_width
        published = draw.PUBLISHED_FACTOR
        factor = config.factor or (published if self.is_published else None)
        self.style = (
            draw.Style.published()
            if self.is_published and not config.factor
            else draw.Style.fitting(height, width, factor=factor)
        )

    @property
    def fps(self) -> float:
        """Frames a second: as many as there are histograms, unless they are wished otherwise."""
        if self.is_published:
            return PUBLISHED_FPS
        return self.config.fps or self._histograms_a_second

    @property
    def _histograms_a_second(self) -> float:
        if len(self.clock_us) < 2:
            return 1.0
        return min(120.0, round(1e6 / float(np.median(np.diff(self.clock_us))), 3))

    def histograms(self) -> Iterator[tuple[int, UInt8[np.ndarray, "planes h w"]]]:
        """Each with its number, in the order they are shown."""
        for start in range(0, len(self.order), AT_ONCE):
            numbers = self.order[start : start + AT_ONCE]
            low, high = min(numbers), max(numbers) + 1
            planes = self.recording.read(low, high)
            for number in numbers:
                one = planes[number - low]
                yield number, np.ascontiguousarray(one[::-1]) if self.config.reverse else one

    def truth(self, number: int) -> Boxes:
        """The true boxes that belong to a histogram."""
        moved = number + self.sensor.time_flip_offset * self.config.reverse
        objframe = self._objframes.get(moved)
        if objframe is None or not self.config.truth:
            return np.zeros(0, PSEUDO_DTYPE)
        labels: Labels = self.recording.labels_at(objframe)
        return labels.to_structured()

    def repeats(self, position: int, number: int, is_labelled: bool) -> int:
        """In how many frames the histogram at that position is shown."""
        if self.is_published:
            often = (self.sensor.rules.step_us or 0) >= RARE_LABELS_US
            times = PUBLISHED_REPEATS if often else PUBLISHED_REPEATS_OF_FREQUENT
            return times if is_labelled else 1
        if not self.config.fps:
            return 1
        rate = self.config.fps / self._histograms_a_second
        return math.floor((position + 1) * rate + 1e-9) - math.floor(position * rate + 1e-9)

    def heading(self, number: int) -> str:
        """What the clock says."""
        if self.is_published or self.config.clock == "published":
            return draw.published_clock(number)
        return draw.clock(int(self.clock_us[number]), number)


@dataclass
class _Watcher:
    """A detector that follows a recording."""

    detector: Detector
    config: FilmConfig
    device: torch.device
    states: States | None = None

    def begin(self) -> None:
        """Remember nothing."""
        self.states = None

    @torch.inference_mode()
    def look(self, histogram: UInt8[np.ndarray, "planes h w"]) -> Boxes:
        """The boxes of the next histogram."""
        planes = torch.from_numpy(histogram)[None].to(self.device)
        decoded, self.states = self.detector(planes, self.states)
        (rows,) = postprocess(decoded.float(), confidence=self.config.confidence)
        return from_predictions(rows, 0)


def _frames(
    scene: _Scene, watchers: Sequence[_Watcher], context: Context, *, done: int, total: int
) -> Iterator[draw.Picture]:
    for watcher in watchers:
        watcher.begin()
    shown = 0
    for position, (number, histogram) in enumerate(scene.histograms()):
        if context.should_stop():
            context.stop()
        truth = scene.truth(number)
        found = [watcher.look(histogram) for watcher in watchers]
        picture: draw.Picture | None = None
        for _ in range(scene.repeats(position, number, len(truth) > 0)):
            shown += 1
            if scene.is_published and shown % 2 == 0:
                continue
            if picture is None:
                picture = _drawn(scene, number, histogram, truth, found)
                if position == done == 0:
                    context.picture(0, "film", picture)
            yield picture
        context.progress(done + position + 1, total, "histograms")


def _drawn(
    scene: _Scene,
    number: int,
    histogram: UInt8[np.ndarray, "planes h w"],
    truth: Boxes,
    found: Sequence[Boxes],
) -> draw.Picture:
    """One frame; two detectors side by side."""
    style, config = scene.style, scene.config
    empty = draw.histogram_picture(histogram, factor=style.factor, look=config.events)
    names = config.names if len(found) > 1 else [""]
    pictures: list[draw.Picture] = []
    for name, boxes in zip(names, found or [truth[:0]], strict=True):
        picture = empty.copy()
        classes, wording = scene.sensor.classes, "none" if config.labels == "none" else "class"
        lines = draw.label_lines(boxes, classes, wording=config.labels)
        lines += draw.label_lines(truth, classes, wording=wording)
        good = is_plausible(boxes, scene.sensor) & (sureness(boxes) >= config.least_sure)
        colors = [draw.GREEN if each else draw.RED for each in good]
        kinds = truth["class_id"].tolist()
        colors += [draw.BLACK if found else draw.class_color(kind) for kind in kinds]
        draw.draw_boxes(picture, np.concatenate([boxes, truth]), lines, colors, style)
        draw.draw_text(picture, f"{scene.heading(number)} {name}".rstrip(), style)
        pictures.append(picture)
    return draw.side_by_side(pictures)


def is_plausible(boxes: Boxes, sensor: Sensor) -> Bool[np.ndarray, " n"]:
    """Which boxes would do as pseudo labels: cut to the frame, neither tiny nor very wide."""
    height, width = sensor.network_height, sensor.network_width
    left, top = (np.clip(boxes[s], 0, most - 1) for s, most in (("x", width), ("y", height)))
    right = np.clip(boxes["x"] + boxes["w"], 0, width - 1)
    bottom = np.clip(boxes["y"] + boxes["h"], 0, height - 1)
    part, whole = WIDEST
    wide, high = right - left, bottom - top
    is_large = (wide >= SMALLEST_SIDE_PX) & (high >= SMALLEST_SIDE_PX)
    return is_large & (wide <= part * width // whole)
