"""What a training loop sees of its study: where to report, whether to stop, what to try.

    trial = fovea.TrialHandle.here()
    for step in range(steps):
        ...
        trial.log(step, {"val/loss": loss})
        if trial.should_stop():
            break

Without a study the very same loop runs: `params` is empty, nothing is reported, nobody stops it. As
the command of a study it needs no arguments and no log file of its own:

    target:
      command: {adapter: handle, argv: [python, train.py]}
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

REPORTED = "reported.jsonl"
"""In the trial's folder: a line a report."""
FOLDER = "FOVEA_TRIAL_DIR"
T = TypeVar("T")


class Reporting(Protocol):
    """The part of a stage's Context that a handle needs."""

    config: Any

    def log(self, step: int, metrics: Mapping[str, float]) -> object:
        """Report metrics."""
        ...

    def should_stop(self) -> bool:
        """Whether somebody asked to stop."""
        ...


class TrialHandle:
    """A trial, seen from inside. Without a study all it does is nothing."""

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        log: Callable[[int, Mapping[str, float]], object] = lambda step, metrics: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.params: dict[str, Any] = dict(params or {})
        """The settings of this trial by path; empty without a study."""
        self._log = log
        self._should_stop = should_stop

    @classmethod
    def here(cls) -> TrialHandle:
        """The trial that this process works for; one that does nothing where there is none."""
        place = os.environ.get(FOLDER)
        if not place:
            return cls()
        folder = Path(place)
        note = _note(folder)
        return cls(
            note.get("settings", {}),
            log=_Appending(folder / REPORTED),
            should_stop=_Terminated().is_set,
        )

    @classmethod
    def of(cls, context: Reporting) -> TrialHandle:
        """The handle of a stage's own Context, for code that both share."""
        return cls(context.config.model_dump(), log=context.log, should_stop=context.should_stop)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Report metrics at a step; steps are whole numbers that rise."""
        self._log(step, {name: float(value) for name, value in metrics.items()})

    def should_stop(self) -> bool:
        """Whether to save and leave: the trial lags, its time is up, or somebody asked."""
        return self._should_stop()

    def get(self, name: str, otherwise: T) -> T:
        """A setting of this trial, or what holds without a study."""
        return self.params.get(name, otherwise)


def _note(folder: Path) -> dict[str, Any]:
    for path in (folder / "trial.json", folder.parent / "trial.json"):  # with several seeds below
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    return {}


class _Appending:
    """Appends reports to a file, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        told = {n: v if math.isfinite(v) else str(v) for n, v in metrics.items()}
        line = json.dumps({"step": int(step), **told}) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)


class _Terminated:
    """Set once the study asks this process to stop, which it does by SIGTERM."""

    def __init__(self) -> None:
        self._event = threading.Event()
        # A handler can only be set in the main thread; elsewhere the process simply ends.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._event.set()

    def is_set(self) -> bool:
        """Whether it was asked."""
        return self._event.is_set()
