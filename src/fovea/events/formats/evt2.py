"""EVT 2.0: words of 32 bits, an event each; bits 31-28 say what a word is.

The time has 34 bits, 28 of them in words of their own (time high), and wraps after 4 h 46 min.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fovea.events.formats.decoder import Columns, Decoder, words_kernels


class Evt2Decoder(Decoder):
    """Words of EVT 2.0 become events."""

    format: ClassVar[str] = "EVT2"
    word_bytes: ClassVar[int] = 4

    def _most(self, block: np.ndarray) -> int:
        return len(block) // self.word_bytes

    def _decode(self, block: np.ndarray, columns: Columns) -> int:
        words = block.view("<u4")
        return words_kernels().decode_evt2(words, self._state, self.height, self.width, *columns)
