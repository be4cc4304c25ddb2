"""EVT 2.1: words of 64 bits, each a row of up to 32 events of one time and polarity.

The halves of a word come lower first, or upper first from some sensors. A header does not always
say which; then the first block of words does: in the right order time-high words have an empty
lower half and vectors begin at multiples of 32.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fovea.events.formats.decoder import Columns, Decoder, words_kernels
from fovea.events.formats.header import Order


class Evt21Decoder(Decoder):
    """Words of EVT 2.1 become events."""

    format: ClassVar[str] = "EVT2.1"
    word_bytes: ClassVar[int] = 8

    def __init__(
        self, height: int, width: int, *, name: str = "the stream", order: Order | None = None
    ) -> None:
        super().__init__(height, width, name=name)
        self.order: Order | None = order
        self._words = np.empty(0, np.uint64)

    def _most(self, block: np.ndarray) -> int:
        halves = block.view("<u4").reshape(-1, 2)
        if self.order is None and len(halves):
            self.order = order_of(halves)
        if self.order == "high-first":
            halves = np.ascontiguousarray(halves[:, ::-1])
        self._words = halves.reshape(-1).view("<u8")
        return words_kernels().count_evt21(self._words)

    def _decode(self, block: np.ndarray, columns: Columns) -> int:
        return words_kernels().decode_evt21(
            self._words, self._state, self.height, self.width, *columns
        )


def order_of(halves: np.ndarray) -> Order:
    """In which order these words, [n, 2] of uint32, make more sense."""
    return "high-first" if _sense(halves[:, 0]) > _sense(halves[:, 1]) else "low-first"


def _sense(upper: np.ndarray) -> int:
    """How many of these could be upper halves of words."""
    kind = upper >> 28
    is_vector = (kind <= 1) & (((upper >> 11) & 31) == 0)
    return int(np.count_nonzero(is_vector | np.isin(kind, (0x8, 0xA, 0xE, 0xF))))
