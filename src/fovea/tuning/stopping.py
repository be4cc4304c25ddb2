"""The wish that a study should stop: a note in its folder, which whoever works there looks for.

The note outlives neither the study's end nor its next start: `fovea tune` takes it away first.
"""

from __future__ import annotations

import time
from pathlib import Path

from fovea.runs.durable import write_json

NAME = "stop.requested"
LOOK_EVERY_S = 0.5


class StopNote:
    """The note of one study; looked at often, hence from the disk only now and then."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._look_at = 0.0
        self._is_asked = False

    def ask(self) -> None:
        """Ask whoever works in the study to save and leave."""
        write_json(self.path, {"asked": time.time()})

    def withdraw(self) -> None:
        """Take the wish back."""
        self.path.unlink(missing_ok=True)
        self._is_asked = False

    def is_asked(self) -> bool:
        """Whether somebody asked."""
        now = time.monotonic()
        if not self._is_asked and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._is_asked = self.path.is_file()
        return self._is_asked
