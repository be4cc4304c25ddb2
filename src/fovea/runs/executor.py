"""Running one stage as a child process, and being certain that nothing of it is left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid

from fovea.runs.child import PARENT, STOP_FILE
from fovea.runs.device import Placement, cores
from fovea.runs.durable import saying_when_full, turn_over
from fovea.runs.lock import TOKEN, end_by_token
from fovea.runs.plan import PlannedStage
from fovea.runs.processes import oom_kills, tail
from fovea.runs.record import Failure, StageRecord

GRACE_S = 30.0
"""How long a stage has to save and leave once it was asked to."""
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ChildStage:
    """One stage at work in a process of its own."""

    def __init__(
        self,
        planned: PlannedStage,
        record: StageRecord,
        placement: Placement,
        token: str,
        share: int,
    ) -> None:
        self.planned = planned
        self.record = record
        self.placement = placement
        self.tokens = (token, uuid.uuid4().hex)
        self.console = planned.folder / "console.log"
        self._kill_at: float | None = None
        self._was_killed = False
        self._began = time.monotonic()
        self._oom_kills = oom_kills()
        turn_over(self.console)
        with saying_when_full("console.log", self.console), self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fovea.runs.child", str(planned.folder)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=self._environment(share),
                start_new_session=True,
            )

    def _environment(self, share: int) -> dict[str, str]:
        """What the child sees: its token, its GPUs, and its share of the processor's cores."""
        token = ":".join(filter(None, [os.environ.get(TOKEN), *self.tokens]))
        added = {TOKEN: token, PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        # OpenMP's threads spin while they wait: on a busy machine a fit took ten times as long.
        added |= {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        if share > 1:
            threads = str(max(1, cores() // share))
            added |= {name: threads for name in THREADS if name not in os.environ}
        return os.environ | self.placement.environment | added

    def ended(self) -> bool:
        """Whether the process has ended; kills it when its grace is over."""
        if self._process.poll() is not None:
            return True
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.kill()
        return False

    def ask_to_stop(self, grace_s: float = GRACE_S) -> None:
        """Ask it once to save and leave."""
        if self._kill_at is None and self._process.poll() is None:
            self._kill_at = time.monotonic() + grace_s
            (self.planned.folder / STOP_FILE).touch()
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all it started, at once."""
        self._was_killed = True
        self._process.kill()
        end_by_token(self.tokens[-1])

    def finish(self) -> StageRecord:
        """What became of it, once it has ended; for one that died, a record that says so."""
        status = self._process.wait()
        self.placement.release()
        (self.planned.folder / STOP_FILE).unlink(missing_ok=True)
        record = StageRecord.read(self.planned.folder) or self.record
        if record.state == "running":
            end_by_token(self.tokens[-1])
            record.error = self._failure(status)
            record.state = "interrupted" if self._kill_at is not None else "failed"
            record.ended = time.time()
            record.seconds = round(record.seconds + time.monotonic() - self._began, 3)
            record.write(self.planned.folder)
        elif record.error and not record.error.tail:
            record.error.tail = tail(self.console)
        return record

    def _failure(self, status: int) -> Failure:
        name, after = self.record.use, f"{time.monotonic() - self._began:.0f} s"
        lines = tail(self.console)
        if self._was_killed:
            message = f"{name} was asked to stop, and killed when it did not."
            return Failure("stopped", message, lines)
        if self._kill_at is not None:
            return Failure("stopped", f"{name} was stopped before it had begun its work.", lines)
        if oom_kills() > self._oom_kills:
            message = (
                f"{name} was killed by the system after {after}, because memory ran out. Take a "
                "smaller resolution, fewer Gaussians or a smaller batch; the same command goes on "
                "from the last checkpoint."
            )
            return Failure("oom", message, lines)
        if status < 0:
            message = (
                f"{name} was ended by {signal.Signals(-status).name} after {after}, from outside "
                f"or by a fault in a library. Its last words are in {self.console}; the same "
                "command goes on from the last checkpoint."
            )
            return Failure("killed", message, lines)
        message = f"{name} left with status {status} before it was done. See {self.console}."
        return Failure("crash", message, lines)
