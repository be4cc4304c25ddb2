"""Windows of recordings, and what is read there.

Notation: a window is the histograms `start` up to, but without, `stop` of one recording, in the
recording's own order. A sample is a window as the network is given it: `length` steps, the last
ones padded with zeros where the recording ends, in reverse order where it is read backwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from fovea.errors import DataError
from fovea.events.dataset import Recording
from fovea.events.labels import Labels
from fovea.events.sampling.cache import HistogramCache
from fovea.events.sampling.time_flip import flipped_histograms, labelled_histogram
from fovea.events.sensor import Sensor

PADDING = -1
"""The frame number of a step that is only padding."""


@dataclass(frozen=True)
class Window:
    """A part of one recording, and how it is read."""

    start: int
    stop: int
    is_first: bool = True
    is_last: bool = False
    is_reversed: bool = False


@dataclass(frozen=True)
class Sample:
    """What the network is given of one window; every list and array is over its steps."""

    path: str
    """The recording's folder; empty where a lane is only padding."""
    frames: Int64[np.ndarray, " length"]
    """The histogram of each step in the recording, -1 for padding."""
    histograms: UInt8[np.ndarray, "length channels h w"]
    labels: list[Labels | None]
    hidden: list[Labels | None]
    """Ground truth that training must not see."""
    is_first: bool
    is_last: bool
    is_reversed: bool
    is_padded: Bool[np.ndarray, " length"]

    def with_labels(self, labels: list[Labels | None], hidden: list[Labels | None]) -> Sample:
        """The same with other boxes."""
        return dataclasses.replace(self, labels=labels, hidden=hidden)


class Source:
    """A recording of which some labels are visible and the others hidden."""

    def __init__(
        self,
        recording: Recording,
        sensor: Sensor,
        *,
        visible: Collection[int] | None = None,
        cache: HistogramCache | None = None,
    ) -> None:
        self.recording = recording
        self.sensor = sensor
        self.path = str(recording.folder)
        self.n_histograms = recording.n_histograms
        self.labelled = recording.objframe_to_histogram
        """The histogram of each labelled moment."""
        self._cache = cache or HistogramCache(0)
        n = len(self.labelled)
        self.is_visible = np.ones(n, bool)
        if visible is not None:
            self.is_visible = np.isin(np.arange(n), sorted(visible))
        self._objframe_at = {int(frame): i for i, frame in enumerate(self.labelled)}
        if n and self.labelled[-1] >= self.n_histograms:
            raise DataError(
                f"{self.path}: a label belongs to histogram {self.labelled[-1]}, and there are"
                f" {self.n_histograms} of them. Preprocess this recording again."
            )

    def labels_of(self, histogram: int) -> tuple[Labels | None, Labels | None]:
        """The boxes at the end of a histogram, as (visible, hidden); None where there are none."""
        objframe = self._objframe_at.get(histogram)
        if objframe is None:
            return None, None
        found = self.recording.labels_at(objframe)
        if not len(found):
            return None, None
        return (found, None) if self.is_visible[objframe] else (None, found)

    def read(self, window: Window, length: int) -> Sample:
        """Read a window."""
        frames = np.arange(window.start, window.stop)
        histograms = self._cache.read(self.recording, window.start, window.stop)
        if window.is_reversed:
            frames, histograms = frames[::-1], flipped_histograms(histograms)
        pairs = [self._at_step(int(frame), window.is_reversed) for frame in frames]
        missing = length - len(frames)
        pairs += [(None, None)] * missing
        return Sample(
            path=self.path,
            frames=np.pad(frames, (0, missing), constant_values=PADDING),
            histograms=_padded(histograms, missing),
            labels=[visible for visible, _ in pairs],
            hidden=[hidden for _, hidden in pairs],
            is_first=window.is_first,
            is_last=window.is_last,
            is_reversed=window.is_reversed,
            is_padded=np.arange(length) >= len(frames),
        )

    def _at_step(self, frame: int, is_reversed: bool) -> tuple[Labels | None, Labels | None]:
        offset = self.sensor.time_flip_offset
        return self.labels_of(labelled_histogram(frame, is_reversed=is_reversed, offset=offset))


def padded_sample(into: UInt8[np.ndarray, "length channels h w"]) -> Sample:
    """A sample of nothing but padding, for a lane whose recordings are all read.

    Args:
        into: where its histograms go.
    """
    length = len(into)
    into[:] = 0
    return Sample(
        path="",
        frames=np.full(length, PADDING, np.int64),
        histograms=into,
        labels=[None] * length,
        hidden=[None] * length,
        is_first=False,
        is_last=False,
        is_reversed=False,
        is_padded=np.ones(length, bool),
    )


def label_steps(length: int, every: int) -> list[int]:
    """The steps whose pseudo labels are used, when those of every `every`-th are enough.

    Steps 1, 1 + every, ... and the last one; all of them for `every` 1.
    """
    if every == 1:
        return list(range(length))
    return sorted({*range(1, length, every), length - 1})


def with_fewer_pseudo_labels(sample: Sample, every: int) -> Sample:
    """The sample without pseudo labels beside `label_steps`; ground truth stays."""
    if every == 1:
        return sample
    steps = set(label_steps(len(sample.labels), every))
    kept = [
        found if found is None or step in steps or found.is_truth.any() else None
        for step, found in enumerate(sample.labels)
    ]
    return sample.with_labels(kept, sample.hidden)


def _padded(
    histograms: UInt8[np.ndarray, "n channels h w"], missing: int
) -> UInt8[np.ndarray, "length channels h w"]:
    if not missing:
        return histograms
    return np.concatenate([histograms, np.zeros((missing, *histograms.shape[1:]), np.uint8)])
