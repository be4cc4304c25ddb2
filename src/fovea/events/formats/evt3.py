"""EVT 3.0: words of 16 bits that change a state: row, time, base of a vector; read and written.

The time has 24 bits, sent in two halves, and wraps every 16.8 s; a decoder counts the wraps.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fovea.errors import DataError
from fovea.events.formats.decoder import STATE_SIZE, Columns, Decoder, words_kernels
from fovea.events.stream import EventStream

LAST, ROW = 4, 5
SLACK = 12
"""Events by which the decoder's columns are longer than needed."""
WALK_US = 1024 << 12
"""The longest step between two time-high words that are written."""
MOST_WALK_US = 30 * 24 * 3600 * 1_000_000
"""A gap that would take more words than anyone wants: a month."""


class Evt3Decoder(Decoder):
    """Words of EVT 3.0 become events."""

    format: ClassVar[str] = "EVT3"
    word_bytes: ClassVar[int] = 2

    def _most(self, block: np.ndarray) -> int:
        return words_kernels().count_evt3(block.view("<u2")) + SLACK

    def _decode(self, block: np.ndarray, columns: Columns) -> int:
        words = block.view("<u2")
        return words_kernels().decode_evt3(words, self._state, self.height, self.width, *columns)


class Evt3Encoder:
    """Events become words of EVT 3.0; several pixels of a row at one time become a vector.

    Times are written as they are: for a recording that begins late, words come first that count up
    to its beginning, so that a decoder arrives at the same times.
    """

    def __init__(self) -> None:
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._state[LAST] = self._state[ROW] = -1

    def feed(self, events: EventStream) -> bytes:
        """The words of some events.

        Raises:
            DataError: a time is negative, or so far from the one before it that EVT3 cannot say.
        """
        if not len(events):
            return b""
        first, last = int(events.t[0]), int(events.t[-1])
        walked = last - max(int(self._state[LAST]), 0)
        if first < 0 or walked > MOST_WALK_US:
            raise DataError(
                f"a .raw file counts time up from 0, and its next event is at {first} µs, where a"
                f" block of events reaches {walked / 1e6:.0f} s beyond the one before. Give"
                " from_zero=true to let the recording begin at 0, or write .h5."
            )
        words = np.empty(4 * len(events) + walked // WALK_US + 2, np.uint16)
        columns = (events.t, events.x, events.y, events.p)
        n = words_kernels().encode_evt3(*map(np.ascontiguousarray, columns), self._state, words)
        return words[:n].astype("<u2", copy=False).tobytes()


def header(height: int, width: int) -> bytes:
    """The header of an EVT3 file."""
    lines = ("% evt 3.0", f"% format EVT3;height={height};width={width}")
    return "\n".join((*lines, f"% geometry {width}x{height}", "% end", "")).encode()
