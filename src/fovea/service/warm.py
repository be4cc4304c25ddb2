"""A process that keeps the network loaded, for predictions that are shorter than its loading.

It is given one job at a time, by its service, over a pipe: `{"job", "recipe", "folder", ...}` in,
`{"status", "is_spent"}` out, a line each. It ends with the thread that started it, is
replaced after so many jobs, when it has grown, and when memory ran out; a job that has to be killed
takes it along. Its jobs' records are those of any run.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from fovea.runs.child import die_with_parent
from fovea.service.places import Machine, Work, environment, stand_back
from fovea.service.processes import MARK
from fovea.service.settings import ServeConfig
from fovea.service.table import Job

log = logging.getLogger(__name__)


class WarmMachine(Machine):
    """This machine, with processes that keep the network of predictions loaded."""

    def __init__(self, settings: ServeConfig) -> None:
        super().__init__(settings)
        self._idle: list[WarmProcess] = []
        self._at_work: dict[str, WarmProcess] = {}
        self._lock = threading.Lock()

    def begin(self, job: Job, recipe: Path, folder: Path, own: Path) -> Work:
        """Give a prediction to a warm process, and everything else to one of its own."""
        if not is_prediction(job):
            return super().begin(job, recipe, folder, own)
        super().end(job.id)
        with self._lock:
            warm = self._idle.pop() if self._idle else None
        if warm is None or not warm.is_ready:
            warm = WarmProcess(self.settings)
        self._at_work[job.id] = warm
        warm.give(job, recipe, folder, own)
        return warm

    def end(self, job: str) -> int:
        """Keep the process for the next job where this one has ended, else kill it."""
        warm = self._at_work.pop(job, None)
        if warm is not None and warm.is_ready:
            with self._lock:
                self._idle.append(warm)
        elif warm is not None:
            warm.kill()
        return super().end(job)

    def close(self) -> None:
        """End the processes that wait."""
        with self._lock:
            while self._idle:
                self._idle.pop().kill()


class WarmProcess:
    """One such process, as its service sees it: the work of the job that it has at hand."""

    def __init__(self, settings: ServeConfig) -> None:
        self.settings = settings
        self.status: int | None = None
        self._is_spent = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fovea.service.warm", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment() | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")},
        )
        stand_back(self._process.pid, settings.queue.nice)

    @property
    def is_ready(self) -> bool:
        """Whether it can take another job."""
        has_answered = self.status is not None and not self._is_spent
        return has_answered and self._process.poll() is None

    def give(self, job: Job, recipe: Path, folder: Path, own: Path) -> None:
        """Have it do a job."""
        assert self._process.stdin is not None
        queue = self.settings.queue
        order = {"job": job.id, "recipe": str(recipe), "folder": str(folder)}
        order |= {"console": str(own / "console.log"), "device": self.settings.gpu.device}
        order |= {"reuse": self.settings.cache.enabled}
        self.status = None
        self._process.stdin.write(
            json.dumps(order | {"jobs": queue.warm_jobs, "mb": queue.warm_mb}) + "\n"
        )
        self._process.stdin.flush()

    def has_ended(self) -> bool:
        """Whether the job has ended, or the process with it."""
        assert self._process.stdout is not None
        if self.status is not None:
            return True
        ready, _, _ = select.select([self._process.stdout], [], [], 0)
        line = self._process.stdout.readline() if ready else ""
        if line:
            told: dict[str, Any] = json.loads(line)
            self.status, self._is_spent = told["status"], told["is_spent"]
        elif self._process.poll() is not None:
            self.status, self._is_spent = self._process.returncode, True
        return self.status is not None

    def ask_to_stop(self) -> None:
        """Send SIGTERM: the job saves and leaves, the process stays."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and with it the job at hand."""
        self._process.kill()
        killed = self._process.wait()
        self.status, self._is_spent = killed if self.status is None else self.status, True
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def is_prediction(job: Job) -> bool:
    """Whether what takes longest in a job is to load the network."""
    lines = [line.strip() for line in job.recipe.splitlines()]
    used = [line.removeprefix("use: ") for line in lines if line.startswith("use: ")]
    return "photo.predict" in used and all(name.startswith("photo.") for name in used)


# The process itself


def main() -> int:
    """Do one job after the other, until the pipe ends."""
    from fovea.photo.engine import keep_loaded

    die_with_parent(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    keep_loaded()
    first_mb, done = 0.0, 0
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        os.environ[MARK] = order["job"]
        with _printing_into(Path(order["console"])):
            status, is_out_of_memory = _do(order)
        rss_mb, done = psutil.Process().memory_info().rss / 1e6, done + 1
        first_mb = first_mb or rss_mb
        is_old = is_spent(order, done=done, grown_mb=rss_mb - first_mb)
        answers.write(json.dumps({"status": status, "is_spent": is_old or is_out_of_memory}) + "\n")
    return 0


def is_spent(order: dict[str, Any], *, done: int, grown_mb: float) -> bool:
    """Whether a process is to be replaced after so many jobs, or as it has grown so much."""
    return done >= order["jobs"] or grown_mb > order["mb"]


def _do(order: dict[str, Any]) -> tuple[int, bool]:
    from fovea.errors import FoveaError
    from fovea.runs.recipe import load
    from fovea.runs.run import execute

    try:
        recipe = load(Path(order["recipe"]), environment={})
        run = execute(
            recipe,
            folder=Path(order["folder"]),
            device=order["device"],
            reuse=order["reuse"],
            isolation="inline",
        )
    except FoveaError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code, False
    codes = [stage.error.code for stage in run.failures if stage.error]
    return run.exit_code, "oom" in codes


@contextmanager
def _printing_into(console: Path) -> Generator[None]:
    """What is printed, also by libraries, goes into the job's console."""
    kept = os.dup(1), os.dup(2)
    with console.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, handle in enumerate(kept, start=1):
            os.dup2(handle, number)
            os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
