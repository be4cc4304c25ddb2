"""Process trees that carry a mark: found wherever they went, and ended with certainty.

The mark is a variable of the environment. It is inherited by children, whatever session or group
they move to, and it outlives their parent: torchrun's ranks, a shell's background job and an
orphan are all found by it. A variable may hold several marks, joined with a colon, where marked
work starts marked work of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

STARTED_WITHIN_S = 2.0
"""How long it may take to start a program: on a busy machine it is seen at that for a while."""


def carrying(variable: str, mark: str) -> list[psutil.Process]:
    """The living processes that carry the mark, oldest first, and all that they started.

    The process that asks is not among them.
    """
    found: dict[int, psutil.Process] = {}
    for process in _candidates(mark):
        if _carries(process, variable, mark):
            for one in (process, *_children(process)):
                found.setdefault(one.pid, one)
    found.pop(os.getpid(), None)
    return sorted(filter(is_alive, found.values()), key=_birth)


def end(variable: str, mark: str, *, within_s: float = 5.0) -> int:
    """Kill every process that carries the mark; look again until none is left.

    However long a look takes on a busy machine, what it finds is killed.

    Returns:
        How many are left: 0, unless the system refuses to let them go within the time.
    """
    deadline = time.monotonic() + within_s
    while left := carrying(variable, mark):
        _kill(left)
        _, left = psutil.wait_procs(left, timeout=0.5)
        if time.monotonic() > deadline:
            return sum(map(is_alive, left))
    return 0


def is_alive(process: psutil.Process) -> bool:
    """Whether a process has not ended yet; one that waits to be buried has."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def oom_kills() -> int:
    """How often the kernel has ended a process of this control group for want of memory."""
    path = Path("/sys/fs/cgroup/memory.events")
    words = path.read_text().split() if path.is_file() else []
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0


def tail(path: Path, lines: int = 40) -> str:
    """The last lines of what a process printed into a file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _candidates(mark: str) -> Iterator[psutil.Process]:
    """The processes that may carry a mark; a look at the bytes of their variables costs little."""
    if not sys.platform.startswith("linux"):
        yield from psutil.process_iter()
        return
    word = mark.encode()
    for pid in psutil.pids():
        try:
            place = Path(f"/proc/{pid}")
            variables = (place / "environ").read_bytes()
            # Without variables are threads of the kernel, and programs that are just being started.
            if word in variables or (not variables and (place / "statm").read_bytes()[:2] != b"0 "):
                yield psutil.Process(pid)
        except (psutil.Error, OSError):
            continue  # somebody else's, or gone by now


def _carries(process: psutil.Process, variable: str, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return mark in _environment(process).get(variable, "").split(":")
    except (psutil.Error, OSError):
        return False  # somebody else's, or gone by now


def _environment(process: psutil.Process) -> dict[str, str]:
    """The environment of a process; of one that is just being started, once it has it."""
    deadline = time.monotonic() + STARTED_WITHIN_S
    while not (found := process.environ()) and _is_starting(process):
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)
    return found


def _is_starting(process: psutil.Process) -> bool:
    """Whether the kernel is still laying out its program: it has memory, and no words in it."""
    return process.memory_info().vms > 0 and not process.cmdline() and is_alive(process)


def _birth(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
