"""The process in which one stage of a run works: `python -m fovea.runs.child STAGE_FOLDER`.

It reads what to do from the folder, does it, and writes down how it ended. It ends with its parent,
and saves and leaves when it gets SIGTERM or finds a file `stop.requested` in its folder or the
run's.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from fovea import dialect, logs
from fovea.config import resolve
from fovea.runs.events import stage_recorder
from fovea.runs.perform import perform
from fovea.runs.recipe import find_stage
from fovea.runs.record import StageRecord

PARENT = "FOVEA_PARENT"
STOP_FILE = "stop.requested"
HEARTBEAT_EVERY_S = 5.0
LOOK_EVERY_S = 0.25
EXIT_CODES = {"done": 0, "interrupted": 130}
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Do the work of the stage whose folder is named on the command line."""
    folder = Path(sys.argv[1]).absolute()
    parent = int(os.environ.get(PARENT, os.getppid()))
    die_with_parent(parent)
    run_folder = folder.parent.parent
    stopper = Stopper(folder, run_folder, parent)
    logs.begin(logging.WARNING, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("fovea").setLevel(logging.DEBUG)
    record = StageRecord.read(folder)
    if record is None:
        raise SystemExit(f"{folder} is no stage's folder: it has no stage.json.")
    stage = find_stage(record.use)
    layer = dialect.load(folder / "config.yaml")
    config = resolve(stage.config, name=stage.name, files=[layer], environment={}).config
    emit = stage_recorder(run_folder, folder, record.key)
    record.pid = os.getpid()
    record = perform(folder, record, stage, config, emit=emit, asked_to_stop=stopper.asked.is_set)
    return EXIT_CODES.get(record.state, 1)


class Stopper:
    """Notices when the stage should stop, that the parent is gone, and says that it lives."""

    def __init__(self, folder: Path, run_folder: Path, parent: int) -> None:
        self.asked = threading.Event()
        self.folder = folder
        self.files = (folder / STOP_FILE, run_folder / STOP_FILE)
        self.parent = parent
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_by_signal)
        threading.Thread(target=self._watch, name="stopper", daemon=True).start()

    def _asked_by_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked.set()

    def _watch(self) -> None:
        next_beat = 0.0
        while True:
            if os.getppid() != self.parent:
                os.kill(os.getpid(), signal.SIGKILL)
            if any(path.exists() for path in self.files):
                self.asked.set()
            if time.monotonic() >= next_beat:
                (self.folder / "heartbeat").touch()
                next_beat = time.monotonic() + HEARTBEAT_EVERY_S
            time.sleep(LOOK_EVERY_S)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent; where it cannot, the watch does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
