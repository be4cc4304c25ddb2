"""Histograms kept unpacked in memory, so that small data sets are read from disk once.

Recordings are taken in whole, in the order of their first use, until the memory is spent; those
that come later are read from disk each time. None is thrown out again: every recording is used as
often as any other, so a newer one is not worth more.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fovea.events.dataset import Recording

MIB = 1 << 20


class HistogramCache:
    """Reads histograms, and keeps those of as many recordings as memory is given for."""

    def __init__(self, mib: int) -> None:
        self._left = mib * MIB
        self._kept: dict[Path, UInt8[np.ndarray, "n channels h w"]] = {}
        self._decided: set[Path] = set()
        """The recordings that are kept, are being read to be kept, or found no memory left."""
        self._lock = threading.Lock()

    def read(
        self, recording: Recording, first: int, last: int
    ) -> UInt8[np.ndarray, "n channels h w"]:
        """The histograms `first` up to, but without, `last`; not to be written to."""
        kept = self._kept.get(recording.folder)
        if kept is not None:
            return kept[first:last]
        found = recording.read(first, last)
        self._keep(recording, found)
        return found

    def _keep(self, recording: Recording, found: UInt8[np.ndarray, "n channels h w"]) -> None:
        """Take the whole recording in, if there is memory left for it."""
        if not len(found) or recording.folder in self._decided:
            return
        bytes_wanted = recording.n_histograms * found[0].nbytes
        with self._lock:
            if recording.folder in self._decided:
                return
            self._decided.add(recording.folder)
            if bytes_wanted > self._left:
                return
            self._left -= bytes_wanted
        whole = recording.read(0, recording.n_histograms)
        whole.flags.writeable = False
        self._kept[recording.folder] = whole
