"""What all word formats share: bytes of any length in, events out, the state kept in between.

    decoder = Evt3Decoder(height=720, width=1280)
    events = decoder.feed(some_bytes)      # as often as bytes come
    decoder.finish()                       # refuses half a word at the end

A block of bytes may end anywhere; what is left of a word waits for the next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fovea.errors import DataError
from fovea.events.stream import EventStream
from fovea.scene.raster.compiled import kernels

BAD = 1
STATE_SIZE = 9
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def words_kernels() -> Any:
    """The compiled loops over words."""
    return kernels("words", package="fovea.events")


class Decoder(ABC):
    """Bytes of one word format become events."""

    format: ClassVar[str]
    word_bytes: ClassVar[int]
    dates_by_time_high: ClassVar[bool] = True
    """Whether nothing can be dated before a word with the high part of the time."""

    def __init__(self, height: int, width: int, *, name: str = "the stream") -> None:
        self.height, self.width, self.name = height, width, name
        self.bytes_before = 0
        """Bytes of the header, so that places in the file can be named."""
        self.events = 0
        """How many events were decoded so far."""
        self._state = np.zeros(STATE_SIZE, np.int64)
        self._state[BAD] = -1
        self._rest = b""
        self._bytes = 0

    def feed(self, data: bytes) -> EventStream:
        """Decode what has come.

        Raises:
            DataError: an event lies outside the sensor, or the time falls where it cannot.
        """
        data = self._rest + data
        whole = len(data) - len(data) % self.word_bytes
        self._rest = data[whole:]
        block = np.frombuffer(data, np.uint8, count=whole)
        columns = self._empty(self._most(block))
        n = self._decode(block, columns)
        if self._state[BAD] >= 0:
            raise self._bad(data, int(self._state[BAD]), n)
        self._bytes += whole
        self.events += n
        t, x, y, p = (column[:n] for column in columns)
        return EventStream(t, x, y, p, self.height, self.width)

    def finish(self) -> None:
        """Say that nothing follows.

        Raises:
            DataError: the last word is cut off, or there was never a word that dates the events.
        """
        if self._rest:
            end = self.bytes_before + self._bytes
            raise torn(self.name, self.format, self.word_bytes, len(self._rest), end)
        if self._bytes and self.dates_by_time_high and not self._state[0]:
            raise DataError(
                f"{self.name}: events of {self.format} are dated by time-high words, and none is"
                f" among its {self._bytes // self.word_bytes} words from byte {self.bytes_before}"
                " on. It is of another format than its header says, or damaged: export it again."
            )

    @abstractmethod
    def _most(self, block: np.ndarray) -> int:
        """At most how many events these bytes hold."""

    @abstractmethod
    def _decode(self, block: np.ndarray, columns: Columns) -> int:
        """Fill the columns; returns the number of events, and sets BAD where one cannot be."""

    def _empty(self, n: int) -> Columns:
        return (
            np.empty(n, np.int64), np.empty(n, np.uint16), np.empty(n, np.uint16),
            np.empty(n, np.uint8),
        )  # fmt: skip

    def _bad(self, data: bytes, word: int, n: int) -> DataError:
        """What is wrong with the word at that place, after `n` good events of this block."""
        at = self.bytes_before + self._bytes + word * self.word_bytes
        return outside(self.name, self.events + n, f"byte {at}", self.height, self.width)


def outside(
    name: str, event: int, where: str, height: int, width: int, found: str = ""
) -> DataError:
    """What to say of an event beyond the sensor."""
    return DataError(
        f"{name}: event {event} ({where}) lies{found} outside the sensor of {height} x {width}"
        " pixels. Give the camera's own height= and width=, or fetch the file again if these are"
        " right."
    )


def torn(name: str, format: str, word_bytes: int, rest: int, whole_end: int) -> DataError:
    """What to say of a file that ends within a word."""
    return DataError(
        f"{name}: {format} has words of {word_bytes} bytes, and after byte {whole_end} only"
        f" {rest} are left. It was cut off: fetch it again, or shorten it to"
        f" {whole_end} bytes (truncate -s {whole_end}) to use what is whole."
    )


def fell(name: str, event: int, where: str, now: int, before: int) -> DataError:
    """What to say of a time that is smaller than the one before it."""
    return DataError(
        f"{name}: times never fall, and event {event} ({where}) is at {now} µs after one at"
        f" {before} µs. Give mend_times=true to raise such times to the latest before them."
    )
