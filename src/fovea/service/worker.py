"""`fovea worker`: works on the jobs of a service, on this machine or another."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from types import FrameType

from fovea import console
from fovea.service import processes
from fovea.service.executors import make_workplace
from fovea.service.jobs import JobStore
from fovea.service.settings import ServeConfig

USE = """fovea worker: work on the jobs of a service.

    fovea worker --queue redis://HOST:6379/0 --database postgresql://USER:PASSWORD@HOST/NAME
    fovea worker --database postgresql://USER:PASSWORD@HOST/NAME    without Redis

It needs the folder of runs of the service under the same path (--runs), and takes the same
settings, flags and file (--config) as `fovea serve`. --workers N works on N jobs at the same time.
Ctrl-C saves the jobs at hand and puts them back into the queue."""


def main(arguments: list[str]) -> int:
    """Work on the jobs of a service, on this machine or another."""
    from fovea.service.command import settings_of

    if any(word in ("-h", "--help") for word in arguments):
        console.answer(USE, {"usage": USE})
        return 0
    resolved = settings_of(arguments)
    for note in resolved.notes:
        console.warn(note)
    settings = resolved.config
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    if settings.queue.address or settings.queue.executor == "rq":
        return from_redis(settings, arguments)
    return from_table(settings)


def from_table(settings: ServeConfig) -> int:
    """Work through the job table itself, until a signal."""
    from fovea.service.executors.local import Threads

    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    store = JobStore(settings.database_url)
    threads = Threads(make_workplace(settings, store))
    threads.start()
    count = settings.queue.workers
    console.say(f"Working on {count} job{'s' if count > 1 else ''} at a time. Ctrl-C ends it.")
    ended.wait()
    threads.stop()
    store.close()
    return 0


def from_redis(settings: ServeConfig, arguments: list[str]) -> int:
    """Take the ids of jobs from Redis, until a signal."""
    if settings.queue.workers > 1:
        return _several(settings.queue.workers, arguments)
    from fovea.service.executors.rq import Worker, reach

    reach(settings)
    store = JobStore(settings.database_url)
    store.recover(processes.is_dead)
    worker = Worker(make_workplace(settings, store))
    console.say("Waiting for jobs. Ctrl-C ends it.")
    worker.work(logging_level="WARNING")
    worker.here.place.close()
    store.close()
    return 0


def _several(count: int, arguments: list[str]) -> int:
    """One process for each job at a time; a signal is passed on to all."""
    words = [sys.executable, "-m", "fovea", "worker", *arguments, "queue.workers=1"]
    children = [subprocess.Popen(words) for _ in range(count)]

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    return max(abs(child.wait()) for child in children)
