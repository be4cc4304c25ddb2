"""Who works on a trial: a process of some machine, and whether it is still there."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from fovea.runs.device import gpus
from fovea.runs.lock import boot_id
from fovea.runs.record import package_version

SAME_S = 2.0
"""Two times of birth this near are the same: clocks are set now and then."""


def this_process() -> dict[str, Any]:
    """This process, so that another can tell whether it still lives."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
        "boot_id": boot_id(),
        "space": _process_space(),
    }


def introduction() -> dict[str, Any]:
    """This process as a worker registers itself with a study."""
    return this_process() | {
        "gpus": [f"{gpu.name} {gpu.total_mb} MB" for gpu in gpus()],
        "version": package_version(),
        "python": sys.version.split()[0],
        "since": time.time(),
    }


def is_near(owner: Mapping[str, Any]) -> bool:
    """Whether it works, or worked, where we can see its processes."""
    same_host = owner.get("host") == socket.gethostname()
    return same_host and owner.get("space") in (None, _process_space())


def is_gone(owner: Mapping[str, Any], *, on_one_machine: bool) -> bool:
    """Whether a process of this host has ended for certain; of others nobody can say.

    Args:
        owner: as `this_process` gave it.
        on_one_machine: that nobody of another machine can work there, so that another start of
            the machine is ours. Elsewhere it may be a second machine of the same name.
    """
    if not owner:
        return on_one_machine
    if owner.get("boot_id") != boot_id():
        return on_one_machine
    if not is_near(owner):
        return False
    try:
        process = psutil.Process(owner["pid"])
        is_same = abs(process.create_time() - owner.get("born", 0.0)) < SAME_S
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _process_space() -> str:
    """What tells the process numbers of one container from those of another."""
    path = Path("/proc/self/ns/pid")
    return str(path.readlink()) if path.is_symlink() else ""
