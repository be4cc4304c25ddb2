"""Random access: a window for each label, in any order, with the state reset before each.

A recording has an item for every labelled moment with enough histograms before it; item `i` is the
window that ends there. An item that shows no visible label is exchanged for one at a visible label
of the same recording.

Notation: N histograms, windows of L.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from fovea.errors import DataError
from fovea.events.labels import IGNORE
from fovea.events.sampling.time_flip import flipped_stops
from fovea.events.sampling.window import Source, Window


def first_item(labelled: Int64[np.ndarray, " m"], length: int) -> int | None:
    """The first labelled moment that has `length` histograms up to it; None where none has.

    The paper's code calls it `start_idx_offset`.
    """
    enough = np.flatnonzero(labelled >= length - 1)
    return int(enough[0]) if len(enough) else None


class RandomAccess:
    """The windows of one recording that may be drawn."""

    def __init__(self, source: Source, length: int) -> None:
        self.source = source
        self.length = length
        self.first = first_item(source.labelled, length)
        """The labelled moment of item 0."""
        self._stops_at_labels = {back: self._at_labels(back) for back in (False, True)}

    def __len__(self) -> int:
        """The number of items; 0 where no window shows a visible label."""
        if self.first is None or not len(self._stops_at_labels[False]):
            return 0
        return len(self.source.labelled) - self.first

    def window(self, item: int, *, is_reversed: bool = False) -> Window | None:
        """The window of an item.

        Read backwards, item `i` is of the labelled moment `i` and no longer `i` + `first`, and its
        label falls as late as the recording allows. None where it has none, as the last label has
        no histogram that carries it backwards.
        """
        if not is_reversed:
            return self._window(int(self.source.labelled[item + (self.first or 0)]) + 1)
        stops = self._flipped_stops(self.source.labelled[item : item + 1])
        return self._window(int(stops[0]), is_reversed=True) if len(stops) else None

    def draw(self, item: int, generator: torch.Generator, *, is_reversed: bool = False) -> Window:
        """The window of an item, or of another one where this shows no visible label."""
        window = self.window(item, is_reversed=is_reversed)
        if window is not None and self._shows_label(np.array([window.stop]), is_reversed)[0]:
            return window
        # A recording whose only visible label is its last one cannot be read backwards.
        is_reversed = is_reversed and len(self._stops_at_labels[True]) > 0
        others = self._stops_at_labels[is_reversed]
        chosen = int(torch.randint(len(others), (1,), generator=generator))
        return self._window(int(others[chosen]), is_reversed=is_reversed)

    def class_counts(self, n_classes: int) -> Int64[np.ndarray, "items classes"]:
        """How many visible boxes of each class the window of each item shows."""
        recording = self.source.recording
        per_moment = np.zeros((len(self.source.labelled), n_classes), np.int64)
        moments = np.searchsorted(
            recording.objframe_to_label, np.arange(len(recording.labels)), side="right"
        )
        classes = recording.labels["class_id"].astype(np.int64)
        counted = (classes != IGNORE) & (classes < n_classes)
        np.add.at(per_moment, (moments[counted] - 1, classes[counted]), 1)
        per_moment[~self.source.is_visible] = 0
        sums = np.concatenate([np.zeros((1, n_classes), np.int64), per_moment.cumsum(axis=0)])
        last = np.arange(self.first or 0, len(self.source.labelled))[: len(self)]
        first = np.searchsorted(
            self.source.labelled, self.source.labelled[last] - self.length + 1, side="left"
        )
        return sums[last + 1] - sums[first]

    def _window(self, stop: int, *, is_reversed: bool = False) -> Window:
        return Window(stop - self.length, stop, is_reversed=is_reversed)

    def _at_labels(self, is_reversed: bool) -> Int64[np.ndarray, " k"]:
        """Where the windows at visible labels stop, or else any that show one."""
        if self.first is None:
            return np.zeros(0, np.int64)
        labelled, is_visible = self.source.labelled, self.source.is_visible
        if is_reversed:
            stops = self._flipped_stops(labelled[is_visible])
        else:
            stops = labelled[self.first :] + 1
            at_visible = stops[is_visible[self.first :]]
            stops = at_visible if len(at_visible) else stops
        return stops[self._shows_label(stops, is_reversed)]

    def _shows_label(
        self, stops: Int64[np.ndarray, " k"], is_reversed: bool
    ) -> Bool[np.ndarray, " k"]:
        """Whether a visible label belongs to some step of the windows that stop there."""
        source = self.source
        shift = source.sensor.time_flip_offset if is_reversed else 0
        shown = source.labelled[source.is_visible] - shift
        return np.searchsorted(shown, stops) > np.searchsorted(shown, stops - self.length)

    def _flipped_stops(self, labelled: Int64[np.ndarray, " m"]) -> Int64[np.ndarray, " k"]:
        return flipped_stops(
            labelled,
            n_histograms=self.source.n_histograms,
            length=self.length,
            offset=self.source.sensor.time_flip_offset,
        )


def item_weights(recordings: list[RandomAccess], n_classes: int) -> Float64[np.ndarray, " items"]:
    """The weight of each item: over the classes, its boxes by all items' boxes, summed."""
    counts = np.concatenate([each.class_counts(n_classes) for each in recordings])
    return (counts / np.maximum(counts.sum(axis=0), 1)).sum(axis=1)


def require_items(recordings: list[RandomAccess], length: int) -> list[RandomAccess]:
    """Those that have items.

    Raises:
        DataError: there are none.
    """
    found = [each for each in recordings if len(each)]
    if not found:
        most = max(
            (int(r.source.labelled[-1]) + 1 for r in recordings if len(r.source.labelled)),
            default=0,
        )
        raise DataError(
            f"random windows of {length} histograms are to end at labels, and no recording has a"
            f" visible label with that many up to it: of {len(recordings)} recordings the longest"
            f" has {most} up to its last label. Choose a smaller length, or sampling=stream."
        )
    return found
