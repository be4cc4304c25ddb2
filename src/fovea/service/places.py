"""Where the processes of a job run: on this machine, or wherever an executor puts them.

A place starts `fovea run RECIPE` for a job, finds it again after its service died, and ends it with
all that it started. What the work writes into the run's folder is the same everywhere.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import psutil

from fovea.service import processes
from fovea.service.settings import ServeConfig
from fovea.service.table import Job

log = logging.getLogger(__name__)


class Work(Protocol):
    """The processes of one job, at work."""

    @property
    def status(self) -> int | None:
        """With which the first of them left; None while it works, or where nobody knows."""
        ...

    def has_ended(self) -> bool:
        """Whether the first of them has ended."""
        ...

    def ask_to_stop(self) -> None:
        """Ask them to save and leave."""
        ...


class Place(Protocol):
    """Where processes of jobs are started, found and ended."""

    outlives: bool
    """Whether work goes on without the service that began it."""

    def begin(self, job: Job, recipe: Path, folder: Path, own: Path) -> Work:
        """Start the work of a job.

        Args:
            job: whose work it is.
            recipe: what to run.
            folder: of the run.
            own: the service's folder of this job; the work prints into `console.log` there.
        """
        ...

    def find(self, job: Job, folder: Path) -> Work | None:
        """The work of an earlier attempt that goes on, though whoever started it is gone."""
        ...

    def end(self, job: str) -> int:
        """Kill everything of the job of that id; says how many processes would not go."""
        ...

    def close(self) -> None:
        """Leave nothing behind that waits for work."""
        ...


class Machine:
    """This machine: the work is a child process, in a session of its own."""

    outlives = True

    def __init__(self, settings: ServeConfig) -> None:
        self.settings = settings

    def begin(self, job: Job, recipe: Path, folder: Path, own: Path) -> Work:
        """Start `fovea run` as a child."""
        self.end(job.id)
        child = processes.start(
            command(self.settings, recipe, folder),
            job=job.id,
            console=own / "console.log",
            folder=own,
            environment=environment(),
        )
        stand_back(child.pid, self.settings.queue.nice)
        return Child(child)

    def find(self, job: Job, folder: Path) -> Work | None:
        """A process of the job that runs in this folder."""
        for process in processes.marked(job.id):
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if "run" in words and str(folder) in words:
                log.info("job %s is still at work in process %d", job.id, process.pid)
                return Stranger(process)
        return None

    def end(self, job: str) -> int:
        """Kill what carries the job's mark."""
        return processes.end(job)

    def close(self) -> None:
        """Nothing waits here."""


class Child:
    """Work that this process started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def status(self) -> int | None:
        """With which it left."""
        return self._process.returncode

    def has_ended(self) -> bool:
        """Whether it has left."""
        return self._process.poll() is not None

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)


class Stranger:
    """Work that another process started, which is gone."""

    status = None

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def has_ended(self) -> bool:
        """Whether it is gone, too."""
        return not processes.is_alive(self._process)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        try:
            self._process.terminate()
        except psutil.NoSuchProcess:
            log.debug("process %d ended by itself", self._process.pid)


def command(settings: ServeConfig, recipe: Path, folder: Path) -> list[str]:
    """The command that does the work of a recipe in a folder."""
    words = [sys.executable, "-m", "fovea", "run", str(recipe), "--run", str(folder)]
    words += ["--device", settings.gpu.device, "--log-format", "json"]
    return words if settings.cache.enabled else [*words, "--no-reuse"]


def environment() -> dict[str, str]:
    """The variables that the work sees: no settings, for its recipe holds them all."""
    return {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("FOVEA_") and "__" in name)
    }


def stand_back(pid: int, by: int) -> None:
    """Let whoever asks for a status have the processor first.

    A session of its own may be a scheduling group of its own (Linux, `sched_autogroup_enabled`);
    then the nice values of its processes count among themselves only, and the group has another.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + by))
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists() and os.getsid(pid) == pid:
            group.write_text(str(min(19, group_nice(Path("/proc/self/autogroup")) + by)))
    except ProcessLookupError:
        log.debug("process %d ended at once", pid)
    except OSError as error:
        log.debug("the group of process %d keeps its weight: %s", pid, error)


def group_nice(path: Path) -> int:
    """The nice value of a scheduling group, from its file: `/autogroup-17 nice 0`.

    The file of what was started before any session, as by an init without one, is empty: it is in
    the root's group, which weighs as one of nice 0.
    """
    words = path.read_text().split()
    return int(words[-1]) if words else 0
