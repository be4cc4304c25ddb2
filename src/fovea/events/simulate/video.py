"""A video is seen by an event camera: its frames, and moments in between, become light.

Frames are read one by one. Between two of them things are moved along their optical flow, often
enough that nothing jumps; without that a moving edge would be in two places, half as strong.

Source: Jiang et al., "Super SloMo" (CVPR 2018), equation 4, for the flow at a moment between two
frames; Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), for the flow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from fovea.errors import DataError
from fovea.events.boxes import Boxes
from fovea.events.settings.simulate import RenderConfig
from fovea.events.simulate.photographs import Light, luminance
from fovea.events.simulate.pixel import Moment
from fovea.scene.video import each_frame, frame_rate

Flow = Float32[np.ndarray, "height width 2"]

FAST_PART = 99.5
"""Percentile of the flow that counts as the fastest motion: single wrong vectors are many."""


@dataclass(frozen=True)
class Framing:
    """How a video's frames lie on a sensor: filled whole, what is too much cut off evenly."""

    scale: float
    left_px: float
    """What is cut off at the left, in pixels of the sensor."""
    top_px: float
    height: int
    width: int

    @classmethod
    def filling(cls, frame: tuple[int, int], *, height: int, width: int) -> Framing:
        """The framing of frames of a size, (height, width), on a sensor."""
        scale = max(height / frame[0], width / frame[1])
        return cls(
            scale, (frame[1] * scale - width) / 2, (frame[0] * scale - height) / 2, height, width
        )

    def apply(self, picture: UInt8[np.ndarray, "h w 3"]) -> Light:
        """The light of a frame on the sensor."""
        light = luminance(picture)
        size = round(light.shape[1] * self.scale), round(light.shape[0] * self.scale)
        filter = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        large = (
            light if size == light.shape[::-1] else cv2.resize(light, size, interpolation=filter)
        )
        top, left = round(self.top_px), round(self.left_px)
        rows = np.asarray(large, np.float32)[top : top + self.height]
        return np.ascontiguousarray(rows[:, left : left + self.width])

    def moved(self, boxes: Boxes) -> Boxes:
        """Boxes of the frames, in pixels of the sensor."""
        boxes = boxes.copy()
        for corner, size, cut in (("x", "w", self.left_px), ("y", "h", self.top_px)):
            boxes[corner] = boxes[corner] * self.scale - round(cut)
            boxes[size] = boxes[size] * self.scale
        return boxes


def video_moments(
    path: Path,
    framing: Framing,
    config: RenderConfig,
    *,
    clip_s: float = 0,
    interpolate: bool = True,
) -> Iterator[Moment]:
    """Light over time on a sensor that sees a video.

    Args:
        path: of the video.
        framing: how its frames lie on the sensor.
        config: how often there is to be light.
        clip_s: part of the video, from its start; 0 takes all.
        interpolate: whether there are moments between the frames.

    Raises:
        DataError: the video does not say how fast it is, or has a single frame.
    """
    rate = frame_rate(path)
    if rate <= 0:
        raise DataError(f"{path} does not say how many frames a second it has. Convert it to .mp4.")
    lights = (framing.apply(frame) for frame in each_frame(path))
    number = 0
    for number, (before, after) in enumerate(pairwise(lights), start=1):
        if number == 1:
            yield 0, before
        if clip_s and number > clip_s * rate:
            return
        start_us, end_us = (number - 1) * 1e6 / rate, number * 1e6 / rate
        if interpolate:
            yield from _between(before, after, start_us, end_us, config)
        yield round(end_us), after
    if not number:
        raise DataError(f"{path} has a single frame, and events come from change. Give a film.")


def flow_between(before: Light, after: Light) -> Flow:
    """Where each pixel of a frame has gone in the next, right and down."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.zeros((*before.shape, 2), np.float32)
    return np.asarray(search.calc(_shades(before), _shades(after), flow), np.float32)


def _shades(light: Light) -> UInt8[np.ndarray, "height width"]:
    """Light in steps that look even."""
    return (np.sqrt(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8)


def _between(
    before: Light, after: Light, start_us: float, end_us: float, config: RenderConfig
) -> Iterator[Moment]:
    """The moments between two frames, both left out."""
    if min(before.shape) < 16:
        return  # too small a picture to search for motion
    forth, back = flow_between(before, after), flow_between(after, before)
    shift = float(np.percentile(np.hypot(forth[..., 0], forth[..., 1]), FAST_PART))
    seconds = (end_us - start_us) * 1e-6
    steps = max(shift / config.shift_px, seconds * config.least_hz)
    steps = math.ceil(min(steps, seconds * config.most_hz))
    for step in range(1, steps):
        part = step / steps
        to_before = part * part * back - (1 - part) * part * forth
        to_after = (1 - part) * (1 - part) * forth - part * (1 - part) * back
        light = (1 - part) * _fetched(before, to_before) + part * _fetched(after, to_after)
        yield round(start_us + part * (end_us - start_us)), light.astype(np.float32)


def _fetched(light: Light, flow: Flow) -> Light:
    """Each pixel's light, from where its flow leads."""
    rows, columns = np.indices(light.shape, dtype=np.float32)
    there = columns + flow[..., 0], rows + flow[..., 1]
    fetched = cv2.remap(light, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(fetched, np.float32)
