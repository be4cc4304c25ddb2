"""Streams of events: what an event camera says, as four columns.

Notation: `t` microseconds, `x` to the right and `y` down in pixels, `p` 1 where it became brighter
and 0 where darker. Times never fall within a stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from fovea.errors import DataError


@dataclass(frozen=True)
class EventStream:
    """Some events of one camera, in order."""

    t: Int64[np.ndarray, " n"]
    """Microseconds."""
    x: UInt16[np.ndarray, " n"]
    y: UInt16[np.ndarray, " n"]
    p: UInt8[np.ndarray, " n"]
    """1 brighter, 0 darker."""
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice) -> EventStream:
        """Some of the events; no column is copied."""
        columns = (self.t[part], self.x[part], self.y[part], self.p[part])
        return EventStream(*columns, self.height, self.width)

    def between(self, start_us: int, end_us: int) -> EventStream:
        """The events from `start_us` to `end_us`, both included."""
        first = int(np.searchsorted(self.t, start_us, side="left"))
        last = int(np.searchsorted(self.t, end_us, side="right"))
        return self[first:last]

    @classmethod
    def empty(cls, height: int, width: int) -> EventStream:
        """No events at all."""
        return cls(
            np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint16),
            np.zeros(0, np.uint8), height, width,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Iterable[EventStream]) -> EventStream:
        """One stream after the other.

        Raises:
            DataError: there are none, or they are of cameras of different sizes.
        """
        parts = list(parts)
        sizes = {(part.height, part.width) for part in parts}
        if len(sizes) != 1:
            raise DataError(f"streams of one size can be joined, and these are of {sorted(sizes)}.")
        height, width = sizes.pop()
        return cls(
            t=np.concatenate([part.t for part in parts]),
            x=np.concatenate([part.x for part in parts]),
            y=np.concatenate([part.y for part in parts]),
            p=np.concatenate([part.p for part in parts]),
            height=height,
            width=width,
        )
