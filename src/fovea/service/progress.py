"""How far a job is, gathered from the events of its run."""

from __future__ import annotations

import time
from typing import Any

TELL_EVERY_S = 0.5


class Progress:
    """How far a run is."""

    def __init__(self, stages: int) -> None:
        self.stages = max(1, stages)
        self.message = ""
        self._settled: set[str] = set()
        self._now: dict[str, Any] = {}
        self._told = 0.0
        self._is_new = False

    def note(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        stage = event.get("stage")
        if event["kind"] == "progress":
            self._now = {name: event[name] for name in ("stage", "done", "total", "unit", "shown")}
            self.message = f"{stage}: {event['done']} of {event['total']} {event['unit']}"
        elif event["kind"] == "state" and stage and event["state"] == "running":
            self._settled.discard(stage)
            self.message = f"{stage} begins"
        elif event["kind"] == "state" and stage:
            self._settled.add(stage)
            self._now = {}
            self.message = f"{stage}: {event['state']}"
        else:
            return
        self._is_new = True

    def is_news(self, at_once: bool) -> bool:
        """Whether there is something to tell, and not too soon after the last time."""
        now = time.monotonic()
        if not self._is_new or (now - self._told < TELL_EVERY_S and not at_once):
            return False
        self._told, self._is_new = now, False
        return True

    def as_data(self) -> dict[str, Any]:
        """What the job's row says: the part done of the whole, and of the stage at work."""
        part = self._now["done"] / max(1, self._now["total"]) if self._now else 0.0
        fraction = min(1.0, (len(self._settled) + part) / self.stages)
        return {"fraction": round(fraction, 4), "stages": self.stages} | self._now
