"""The lanes of a training's batches: random windows, and streams that pass through all recordings.

What a lane reads is a function of a few numbers: every random choice has a generator of its own,
seeded by what is chosen (`generator_of`). So any place can be gone to at once, and neither threads
nor a restart can change what follows.

Workers are part of the sampling, not threads: each reads streams in an order of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from fovea.events.sampling.augment import NOTHING, Augmentation, augmented, drawn
from fovea.events.sampling.random_access import RandomAccess, item_weights, require_items
from fovea.events.sampling.streaming import Stream
from fovea.events.sampling.window import Sample, Source, Window, padded_sample
from fovea.events.sensor import Sensor
from fovea.events.settings.sampling import SamplingConfig, VariationConfig

ITEM_ORDER, ITEM, STREAM_ORDER, PASS = range(4)
"""What a generator is for."""


def generator_of(seed: int, purpose: int, *numbers: int) -> torch.Generator:
    """The random generator of one choice."""
    words = np.random.SeedSequence([seed, purpose, *numbers]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]))


@dataclass(frozen=True)
class Reading:
    """One lane of one batch: a window, and what is done to it."""

    source: Source | None
    """None is padding."""
    window: Window
    augmentation: Augmentation = NOTHING
    settings: VariationConfig | None = None
    generator: torch.Generator | None = None
    """For zooms inwards, which look at the boxes that were read."""

    def read(self, into: UInt8[np.ndarray, "length channels height width"]) -> Sample:
        """Read it.

        Args:
            into: where its histograms go.
        """
        if self.source is None:
            return padded_sample(into)
        sample = self.source.read(self.window, len(into))
        if self.settings is not None and self.generator is not None:
            return augmented(sample, self.augmentation, self.settings, self.generator, into=into)
        into[:] = sample.histograms
        return replace(sample, histograms=into)


class RandomLanes:
    """Windows at random labels: all items in a random order, then in another one, without end."""

    def __init__(
        self, sources: Sequence[Source], settings: SamplingConfig, *, length: int, seed: int
    ) -> None:
        access = [RandomAccess(source, length) for source in sources]
        self._recordings = require_items(access, length)
        self._settings = settings.random
        self._sensor = sources[0].sensor
        self._seed = seed
        self._first = np.cumsum([0, *(len(each) for each in self._recordings)])
        self._weights = None
        if settings.weighted_sampling:
            weights = item_weights(self._recordings, len(self._sensor.classes))
            self._weights = torch.from_numpy(weights)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        """The number of items, which is that of readings in an epoch."""
        return int(self._first[-1])

    def reading(self, place: int) -> Reading:
        """The reading at a place of the endless order."""
        epoch, within = divmod(place, len(self))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        index = int(self._order[within])
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        recording = self._recordings[number]
        generator = generator_of(self._seed, ITEM, place)
        augmentation = _drawn(self._settings, generator, self._sensor)
        window = recording.draw(
            index - int(self._first[number]), generator, is_reversed=augmentation.tflip
        )
        return Reading(recording.source, window, augmentation, self._settings, generator)

    def _shuffled(self, epoch: int) -> torch.Tensor:
        generator = generator_of(self._seed, ITEM_ORDER, epoch)
        if self._weights is None:
            return torch.randperm(len(self), generator=generator)
        return torch.multinomial(self._weights, len(self), replacement=True, generator=generator)


class StreamLanes:
    """Streams one after the other: each lane of each worker has all of them, in its own order.

    Once through, a lane begins again in another order. As all lanes have the same streams, those of
    a worker are through at the same time.
    """

    def __init__(
        self, streams: Sequence[Stream], settings: SamplingConfig, *, length: int, seed: int
    ) -> None:
        self._streams = streams
        self._settings = settings.stream
        self._sensor = streams[0].source.sensor
        self._length = length
        self._seed = seed
        self._sizes = np.array([stream.n_windows(length) for stream in streams])
        self._orders: dict[tuple[int, int], tuple[int, _Order]] = {}

    def __len__(self) -> int:
        """The number of windows, which is that of a lane's readings in an epoch."""
        return int(self._sizes.sum())

    def reading(self, worker: int, lane: int, turn: int) -> Reading:
        """What a lane of a worker reads at one of the worker's turns."""
        epoch, within = divmod(turn, len(self))
        order, first = self._order(worker, lane, epoch)
        place = int(np.searchsorted(first, within, side="right")) - 1
        stream = self._streams[int(order[place])]
        generator = generator_of(self._seed, PASS, worker, lane, epoch, place)
        augmentation = _drawn(self._settings, generator, self._sensor)
        window = stream.window(
            within - int(first[place]), self._length, is_reversed=augmentation.tflip
        )
        return Reading(stream.source, window, augmentation, self._settings, generator)

    def _order(self, worker: int, lane: int, epoch: int) -> _Order:
        """The order of the streams in one epoch, and the window each begins with."""
        known = self._orders.get((worker, lane))
        if known is None or known[0] != epoch:
            generator = generator_of(self._seed, STREAM_ORDER, worker, lane, epoch)
            order = torch.randperm(len(self._streams), generator=generator).numpy()
            first = np.concatenate([[0], np.cumsum(self._sizes[order])[:-1]])
            known = self._orders[worker, lane] = epoch, (order, first)
        return known[1]


_Order = tuple[Int64[np.ndarray, " streams"], Int64[np.ndarray, " streams"]]


def _drawn(settings: VariationConfig, generator: torch.Generator, sensor: Sensor) -> Augmentation:
    return drawn(settings, generator, height=sensor.network_height, width=sensor.network_width)
