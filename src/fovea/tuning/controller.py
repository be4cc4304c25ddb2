"""Several workers on this machine: started, watched, started again when they die, and stopped.

The controller itself runs no trial. It looks into the storage for what has ended, and takes up the
trials of a worker that died before another one is started in its place. Its workers end with it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.runs.child import PARENT
from fovea.runs.processes import tail
from fovea.tuning import recovery
from fovea.tuning.address import PASSWORD
from fovea.tuning.ending import Ending, said, stopped
from fovea.tuning.foreign.supervision import threads
from fovea.tuning.history import Record
from fovea.tuning.plan import Plan
from fovea.tuning.space import Values

if TYPE_CHECKING:
    from fovea.tuning.study import Study

LOOK_EVERY_S = 0.2
PAUSE_S = 0.5
"""Before a worker that died is started again."""
MOST_CRASHES = 3
"""So many times in a row a worker may end with an error of its own before the study does."""
_log = logging.getLogger(__name__)


class Seat:
    """The place of one worker, taken by one process after another."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.console = folder / f"{number}.log"
        self.note = folder / f"{number}.json"
        self.crashes = 0
        self.start_at = 0.0
        self.ending: Ending | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, study_folder: Path, environment: dict[str, str]) -> None:
        """Put a worker on it."""
        self.note.unlink(missing_ok=True)
        call = [sys.executable, "-m", "fovea.tuning.child", str(study_folder), str(self.note)]
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                call,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=os.environ | environment | {PARENT: str(os.getpid())},
                start_new_session=True,
            )

    def look(self) -> bool:
        """Whether its worker has died in the middle; its ending is noted where it came to one."""
        if self.process is None or (status := self.process.poll()) is None:
            return False
        self.process = None
        if self.note.is_file():
            told: dict[str, Any] = json.loads(self.note.read_text())
            self.ending = Ending(told["reason"], told["exit_code"])
            return False
        self.crashes = self.crashes + 1 if status > 0 else 0
        if self.crashes >= MOST_CRASHES:
            reason = f"worker {self.number} ended with an error {MOST_CRASHES} times in a row"
            self.ending = Ending(f"{reason}; its last words:\n{tail(self.console, 20)}", 1)
        self.start_at = time.monotonic() + PAUSE_S
        return True


class Controller:
    """Conducts the workers of one study on this machine."""

    def __init__(
        self,
        study: Study,
        plan: Plan,
        *,
        asked_to_stop: Callable[[], bool] = lambda: False,
        begin: Callable[[int, Values], None] = lambda number, values: None,
        tell: Callable[[Record], None] = lambda record: None,
    ) -> None:
        """Prepare; the arguments are those of a `Worker`."""
        self.study, self.plan = study, plan
        self.asked_to_stop, self.begin, self.tell = asked_to_stop, begin, tell
        folder = study.folder / "workers"
        folder.mkdir(exist_ok=True)
        self.seats = [Seat(n, folder) for n in range(plan.file.resources.workers)]
        self._known = {record.number for record in study.records if _has_ended(record)}
        self._begun = {record.number for record in study.records}
        self._was_asked = False
        self._has_lost = False

    def work(self) -> Ending:
        """Have trials run until the study is over."""
        try:
            while any(seat.ending is None for seat in self.seats):
                self._look()
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            self._kill()
            return stopped(130)
        except BaseException:
            self._kill()
            raise
        self._tell_news()
        return self._ending()

    def _look(self) -> None:
        if not self._was_asked and self.asked_to_stop():
            self._was_asked = True
            for seat in self.seats:
                if seat.process is not None:
                    seat.process.send_signal(signal.SIGTERM)
        for seat in self.seats:
            if seat.look():
                _log.warning("worker %s died, and is replaced", seat.number)
                self._has_lost = True
            if seat.process is None and seat.ending is None:
                if self._was_asked:
                    seat.ending = stopped(130)
                elif time.monotonic() >= seat.start_at:
                    seat.start(self.study.folder, self._environment())
        self._tell_news()

    def _take_up(self, why: str = "worker_lost") -> None:
        with self.study.store.turn():
            recovery.recover(self.study, why)

    def _environment(self) -> dict[str, str]:
        """What a worker gets: its share of the cores, and the password that is in no file."""
        resources = self.plan.file.resources
        password = self.study.store.address.password
        secret = {} if password is None else {PASSWORD: password}
        return threads(resources.threads, resources.workers) | secret

    def _tell_news(self) -> None:
        """Say which trials have begun and ended since the last look, where that can be known."""
        records = self.study.store.glance()
        if records is not None and self._has_lost:
            self._has_lost = False
            self._take_up()
        for record in records or ():
            if record.state == "running" and record.number not in self._begun:
                self._begun.add(record.number)
                self.begin(record.number, dict(record.parameters))
            if _has_ended(record) and record.number not in self._known:
                self._known.add(record.number)
                self.tell(record)

    def _kill(self) -> None:
        """End all workers and their trials at once; their trials are kept for later."""
        for seat in self.seats:
            if seat.process is not None:
                seat.process.kill()
                seat.process.wait()
        self._take_up("interrupted")
        self._tell_news()

    def _ending(self) -> Ending:
        """One ending for all: the gravest; of several alike, the first."""
        endings = [seat.ending for seat in self.seats if seat.ending is not None]
        if self._was_asked:
            return stopped(max(ending.exit_code for ending in endings) or 130)
        return said(max(endings, key=lambda ending: ending.exit_code), self.study.records)


def _has_ended(record: Record) -> bool:
    return record.state not in ("running", "waiting")
