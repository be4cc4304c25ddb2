"""Processes of a job: started with a mark, found again by it, ended with all they started.

The mark is a variable of the environment. It is inherited by children, whatever session or group
they move to, and it outlives their parent: so nothing of a cancelled job is left behind, and a
service that comes back finds the work still going on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from fovea.runs import processes
from fovea.runs.processes import is_alive

MARK = "FOVEA_JOB"


def start(
    command: Sequence[str],
    *,
    job: str,
    console: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a command, marked as part of the job, in a session of its own."""
    with console.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env={**environment, MARK: job, "PYTHONUNBUFFERED": "1"},
        )


def marked(job: str) -> list[psutil.Process]:
    """The living processes of a job, oldest first, and all that they started."""
    return processes.carrying(MARK, job)


def end(job: str, *, within_s: float = 5.0) -> int:
    """Kill every process of the job; look again until none is left.

    Returns:
        How many are left: 0, unless the system refuses to let them go within the time.
    """
    return processes.end(MARK, job, within_s=within_s)


def me(number: int = 0) -> str:
    """This worker's name: machine, its start, process, the process's start, and a number."""
    process = psutil.Process()
    start = int(process.create_time())
    return f"{_host()}/{int(psutil.boot_time())}/{process.pid}/{start}/{number}"


def is_dead(worker: str) -> bool:
    """Whether the worker of that name lived on this machine and is gone."""
    parts = worker.rsplit("/", 4)
    if len(parts) != 5 or parts[0] != _host():
        return False
    _, boot, pid, start, _ = parts
    # The clock may have been set since: the boot time is computed from it.
    if abs(int(boot) - int(psutil.boot_time())) > 5:
        return True
    try:
        process = psutil.Process(int(pid))
        return abs(process.create_time() - int(start)) > 2 or not is_alive(process)
    except psutil.NoSuchProcess:
        return True


def is_here(worker: str) -> bool:
    """Whether the worker of that name lives on this machine."""
    return worker.rsplit("/", 4)[0] == _host()


def _host() -> str:
    return os.uname().nodename
