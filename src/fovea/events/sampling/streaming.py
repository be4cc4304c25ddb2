"""Streaming: recordings in order, cut into windows, with the state carried from one to the next.

A stream is a range of one recording's histograms. Evaluation reads each recording once, spread over
workers and lanes so that all end at about the same time. Training gives every lane of every worker
all streams, in an order of its own.

Notation: a range is (start, stop), `stop` excluded; windows of L histograms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Int64

from fovea.events.sampling.window import Source, Window

Range = tuple[int, int]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Stream:
    """A range of one recording, read in order."""

    source: Source
    start: int
    stop: int

    def windows(self, length: int, *, is_reversed: bool = False) -> list[Window]:
        """Its windows in the order they are read."""
        numbers = range(self.n_windows(length))
        return [self.window(number, length, is_reversed=is_reversed) for number in numbers]

    def window(self, number: int, length: int, *, is_reversed: bool = False) -> Window:
        """One of its windows; the last one that is read may be shorter.

        Backwards they are cut from the end, so that what is missing to a whole window is missing
        where reading ends, either way.
        """
        if is_reversed:
            stop = self.stop - number * length
            start = max(stop - length, self.start)
        else:
            start = self.start + number * length
            stop = min(start + length, self.stop)
        is_last = number == self.n_windows(length) - 1
        return Window(start, stop, is_first=number == 0, is_last=is_last, is_reversed=is_reversed)

    def n_windows(self, length: int) -> int:
        """How many there are, whichever way it is read."""
        return -(-(self.stop - self.start) // length)


def whole(source: Source, length: int, *, start_from_zero: bool = False) -> Stream:
    """A recording from `length` histograms before its first label to its end.

    From its beginning with `start_from_zero`, or where it has no label at all.
    """
    first = int(source.labelled[0]) if len(source.labelled) else 0
    start = 0 if start_from_zero else max(first - length + 1, 0)
    return Stream(source, start, source.n_histograms)


def guaranteed_ranges(labelled: Int64[np.ndarray, " m"], length: int) -> list[Range]:
    """The ranges of which every window shows a label.

    Labels further apart than `length` are of different ranges. A range starts `length` histograms
    before its first label, itself included, and stops at its last one.
    """
    groups = np.split(labelled, np.flatnonzero(np.diff(labelled) > length) + 1)
    return [
        (max(int(group[0]) - length + 1, 0), int(group[-1]) + 1) for group in groups if len(group)
    ]


def guaranteed(source: Source, length: int) -> list[Stream]:
    """The streams of a recording of which every window shows a visible label."""
    ranges = guaranteed_ranges(source.labelled[source.is_visible], length)
    return [Stream(source, start, stop) for start, stop in ranges]


# Spread over workers and lanes


def zigzag(items: Sequence[Item], n: int) -> list[list[Item]]:
    """Deal items to `n` places, there and back: 0, 1, .., n-1, n-1, .., 1, 0, 0, 1, .."""
    dealt: list[list[Item]] = [[] for _ in range(n)]
    for number, item in enumerate(items):
        turn, place = divmod(number, n)
        dealt[place if turn % 2 == 0 else n - 1 - place].append(item)
    return dealt


def sharded(
    items: Sequence[Item], sizes: Sequence[int], *, workers: int, batch: int
) -> list[list[list[Item]]]:
    """Deal items, the largest first, to workers and there to lanes.

    A worker with fewer items than `batch` has a lane for each; a worker without items is left out.
    """
    order = sorted(range(len(items)), key=lambda index: sizes[index], reverse=True)
    shares = [share for share in zigzag(order, workers) if share]
    return [
        [[items[index] for index in lane] for lane in zigzag(share, min(batch, len(share)))]
        for share in shares
    ]


def in_turns(iterators: Sequence[Iterator[Item]]) -> Iterator[tuple[int, Item]]:
    """One item of each after the other, with its number, until all are through."""
    running = dict(enumerate(iterators))
    while running:
        for number, iterator in list(running.items()):
            try:
                yield number, next(iterator)
            except StopIteration:
                del running[number]
