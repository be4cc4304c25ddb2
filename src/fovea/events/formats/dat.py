"""DAT: 8 bytes an event, a time of 32 bits and then x, y and polarity; read and written.

Times wrap after 71.6 minutes. After a header stand two bytes, the type of the events and their
size; a file without a header has neither.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fovea.errors import DataError
from fovea.events.formats.decoder import Columns, Decoder, fell, outside, words_kernels
from fovea.events.stream import EventStream

TYPES = (0, 12)
"""Event2D and CD, which are laid out alike."""
SIZE = 8
WRAP_US = 1 << 32
MOST_PX = 1 << 14


class DatDecoder(Decoder):
    """Records of DAT become events.

    A time that falls is refused, unless `mend_times`: then it becomes the latest before it.
    """

    format: ClassVar[str] = "DAT"
    word_bytes: ClassVar[int] = SIZE
    dates_by_time_high: ClassVar[bool] = False

    def __init__(
        self, height: int, width: int, *, name: str = "the stream", mend_times: bool = False
    ) -> None:
        super().__init__(height, width, name=name)
        self.mend_times = mend_times

    def _most(self, block: np.ndarray) -> int:
        return len(block) // SIZE

    def _decode(self, block: np.ndarray, columns: Columns) -> int:
        words = block.view("<u4")
        return words_kernels().decode_dat(
            words, self._state, self.height, self.width, self.mend_times, *columns
        )

    def _bad(self, data: bytes, word: int, n: int) -> DataError:
        stamp, word_2 = np.frombuffer(data, "<u4", count=2, offset=word * SIZE).tolist()
        x, y = word_2 & 0x3FFF, (word_2 >> 14) & 0x3FFF
        event, at = self.events + n, self.bytes_before + self._bytes + word * SIZE
        where = f"byte {at}"
        if x >= self.width or y >= self.height:
            found = f" at x={x}, y={y},"
            return outside(self.name, event, where, self.height, self.width, found)
        return fell(self.name, event, where, stamp, int(self._state[4]) % WRAP_US)


def check_type(name: str, data: bytes, at: int) -> None:
    """Refuse a file whose two bytes after the header announce other events.

    Raises:
        DataError: they do.
    """
    if len(data) >= 2 and not (data[0] in TYPES and data[1] == SIZE):
        raise DataError(
            f"{name}: events of type 0 or 12 and of 8 bytes were wanted, and byte {at} says type"
            f" {data[0]} of {data[1]} bytes. The header is damaged, or these are no changes of"
            " brightness: export them as CD events."
        )


def header(height: int, width: int) -> bytes:
    """The header of a DAT file, with the two bytes after it."""
    lines = ("% Data file containing CD events", "% Version 2")
    text = "\n".join((*lines, f"% Height {height}", f"% Width {width}", ""))
    return text.encode() + bytes((TYPES[1], SIZE))


class DatEncoder:
    """Events become records of DAT."""

    def __init__(self) -> None:
        self._last: int | None = None

    def feed(self, events: EventStream) -> bytes:
        """The records of some events.

        Raises:
            DataError: a time is negative or too far from the one before it, or a pixel beyond what
                14 bits hold.
        """
        if not len(events):
            return b""
        self._check(events)
        words = np.empty((len(events), 2), "<u4")
        words[:, 0] = events.t & (WRAP_US - 1)
        words[:, 1] = events.x.astype(np.uint32) | (events.y.astype(np.uint32) << 14)
        words[:, 1] |= (events.p == 1).astype(np.uint32) << 28
        return words.tobytes()

    def _check(self, events: EventStream) -> None:
        if events.height > MOST_PX or events.width > MOST_PX:
            raise DataError(
                f"DAT has 14 bits for x and y, and the sensor is of {events.height} x"
                f" {events.width} pixels. Write .h5."
            )
        is_first = self._last is None
        gaps = np.diff(events.t, prepend=events.t[0] if self._last is None else self._last)
        worst = int(gaps.argmax())
        too_late = is_first and events.t[0] >= WRAP_US
        if events.t[0] < 0 or too_late or gaps[worst] >= WRAP_US // 2:
            raise DataError(
                f"a .dat file counts time up to {WRAP_US} µs and then from 0 again, and an event is"
                f" at {events.t[worst]} µs, {gaps[worst]} µs after the one before it. Give"
                " from_zero=true to let the recording begin at 0, or write .h5."
            )
        self._last = int(events.t[-1])
