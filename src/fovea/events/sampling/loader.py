"""The batches of a training, without an end, and those of an evaluation, once through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count, zip_longest
from typing import Any, Self

import numpy as np

from fovea.errors import ArtifactError, DataError
from fovea.events.dataset import Recording
from fovea.events.sampling.batch import Batch, collated, read_ahead
from fovea.events.sampling.budget import Budget
from fovea.events.sampling.cache import HistogramCache
from fovea.events.sampling.lanes import RandomLanes, Reading, StreamLanes
from fovea.events.sampling.mixed import shares
from fovea.events.sampling.streaming import Stream, guaranteed, in_turns, sharded, whole
from fovea.events.sampling.window import Source, Window, with_fewer_pseudo_labels
from fovea.events.sensor import Sensor
from fovea.events.settings.sampling import SamplingConfig

PADDING = Reading(None, Window(0, 0))
Plan = tuple[int, list[Reading]]
"""The worker of a batch, and what its lanes read."""


class TrainingLoader:
    """The batches of a training, without an end; the stream part of a batch comes first.

    The position is one number, the batches given so far: `state` and `restore` save it and go back
    to it, and the same batches follow bit for bit, whatever the number of threads.

    Args:
        recordings: of the training split.
        sensor: theirs.
        settings: what is sampled, and how it is varied.
        batch: lanes of a batch.
        length: steps of a batch.
        seed: of every random choice.
        budget: which labels are visible; all when left out.
        rank: of this process among several that train together.
        ranks: how many these are.

    Raises:
        DataError: no label is visible, or no window of that length ends at one.
        ConfigError: the batch is too small to be mixed.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        sensor: Sensor,
        settings: SamplingConfig,
        *,
        batch: int,
        length: int,
        seed: int,
        budget: Budget | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.settings = settings
        self.step = 0
        """Batches given so far."""
        budget = budget or Budget()
        sources = _sources(recordings, sensor, budget, cache_mib=settings.cache_mib)
        sources = [source for source in sources if source.is_visible.any()]
        if not sources:
            raise DataError(
                f"a training needs labels, and of {len(recordings)} recordings none has a visible"
                f" one under a budget of {budget.kind}. Choose a larger budget."
            )
        self._shares = shares(settings, batch)
        self._shape = (length, *_histogram_shape(recordings))
        self._rank, self._ranks = rank, ranks
        self._random = self._stream = None
        if self._shares.random:
            self._random = RandomLanes(sources, settings, length=length, seed=seed)
        if self._shares.stream:
            streams = _training_streams(sources, budget, length)
            self._stream = StreamLanes(streams, settings, length=length, seed=seed)
        self._identity: dict[str, int | str] = {
            "sampling": settings.sampling, "batch": batch, "length": length, "seed": seed,
            "items": len(self._random or ()), "windows": len(self._stream or ()),
            "labels": sum(int(source.is_visible.sum()) for source in sources),
            "workers": settings.workers, "rank": rank, "ranks": ranks,
        }  # fmt: skip
        self._batches = self._from(0)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self.step += 1
        return batch

    def state(self) -> dict[str, Any]:
        """Where the loader is, as plain numbers and texts."""
        return {"step": self.step, **self._identity}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where another loader of the same recordings and settings was.

        Raises:
            ArtifactError: that loader had other recordings or settings.
        """
        for name, here in self._identity.items():
            if state.get(name) != here:
                raise ArtifactError(
                    f"the saved position is of a training with {name} {state.get(name)}, and this"
                    f" one has {here}. Go on with the settings and the data it was begun with, or"
                    " start anew."
                )
        self.close()
        self.step = int(state["step"])
        self._batches = self._from(self.step)

    def close(self) -> None:
        """Stop reading ahead."""
        self._batches.close()

    def _from(self, step: int) -> Any:
        plans = map(self._plan, count(step))
        return read_ahead(plans, self._read, threads=self.settings.threads)

    def _plan(self, step: int) -> Plan:
        """What batch `step` reads: a function of its number."""
        readings: list[Reading] = []
        turn = worker = 0
        if self._stream is not None:
            turn, worker = divmod(step, self._shares.stream_workers)
            global_worker = worker * self._ranks + self._rank
            readings += [
                self._stream.reading(global_worker, lane, turn)
                for lane in range(self._shares.stream)
            ]
        if self._random is not None:
            first = step * self._shares.random
            places = range(first, first + self._shares.random)
            readings += [self._random.reading(p * self._ranks + self._rank) for p in places]
        return worker, readings

    def _read(self, plan: Plan) -> Batch:
        return _batch(plan, self._shape, use_label_every=self.settings.use_label_every)


def stream_batches(
    recordings: Sequence[Recording],
    sensor: Sensor,
    *,
    batch: int,
    length: int,
    start_from_zero: bool = False,
    reverse: bool = False,
    double_with_reversed: bool = False,
    budget: Budget | None = None,
    workers: int = 1,
    threads: int = 1,
) -> Iterator[Batch]:
    """Every recording once, in order, from `length` histograms before its first label to its end.

    Recordings are dealt to workers and lanes, the longest first; a lane that is through is padded
    until the last one is. With fewer recordings than lanes there is a lane for each.

    Args:
        recordings: of any split.
        sensor: theirs.
        batch: most lanes of a batch.
        length: steps of a batch.
        start_from_zero: whether to begin with a recording's first histogram.
        reverse: read all backwards.
        double_with_reversed: read each forwards and backwards, as two recordings of one path.
        budget: which labels are visible; all when left out.
        workers: groups of lanes that take turns; `Batch.worker` says whose a batch is.
        threads: that read ahead; 0 reads when asked.
    """
    sources = _sources(recordings, sensor, budget or Budget(), cache_mib=0)
    streams = [whole(source, length, start_from_zero=start_from_zero) for source in sources]
    directions = (False, True) if double_with_reversed else (reverse,)
    passes = [(stream, is_reversed) for is_reversed in directions for stream in streams]
    sizes = [stream.n_windows(length) for stream, _ in passes]
    shards = sharded(passes, sizes, workers=workers, batch=batch)
    plans = in_turns([_turns(lanes, length) for lanes in shards])
    shape = (length, *_histogram_shape(recordings))

    return read_ahead(plans, lambda plan: _batch(plan, shape), threads=threads)


def _batch(plan: Plan, shape: tuple[int, ...], *, use_label_every: int = 1) -> Batch:
    """Read what is planned.

    Args:
        plan: of the batch.
        shape: of a lane's histograms, [length, channels, height, width].
        use_label_every: see `label_steps`.
    """
    worker, readings = plan
    histograms = np.empty((shape[0], len(readings), *shape[1:]), np.uint8)
    samples = [reading.read(histograms[:, lane]) for lane, reading in enumerate(readings)]
    samples = [with_fewer_pseudo_labels(sample, use_label_every) for sample in samples]
    return collated(samples, histograms, worker=worker)


def _turns(lanes: list[list[tuple[Stream, bool]]], length: int) -> Iterator[list[Reading]]:
    """What the lanes of one worker read, turn by turn, until the last lane is through."""
    readings = [
        chain.from_iterable(
            (Reading(stream.source, window) for window in stream.windows(length, is_reversed=back))
            for stream, back in lane
        )
        for lane in lanes
    ]
    return map(list, zip_longest(*readings, fillvalue=PADDING))


def _sources(
    recordings: Sequence[Recording], sensor: Sensor, budget: Budget, *, cache_mib: int
) -> list[Source]:
    visible, cache = budget.visible(recordings), HistogramCache(cache_mib)
    return [Source(r, sensor, visible=visible[r.name], cache=cache) for r in recordings]


def _training_streams(sources: list[Source], budget: Budget, length: int) -> list[Stream]:
    """Whole recordings where labels are sparse, else streams with a label in every window."""
    if budget.kind == "frames":
        return [whole(source, length) for source in sources]
    return [stream for source in sources for stream in guaranteed(source, length)]


def _histogram_shape(recordings: Sequence[Recording]) -> tuple[int, ...]:
    return recordings[0].read(0, 0).shape[1:]
