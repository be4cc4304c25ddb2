"""Which device a stage works on, found without importing torch; each GPU serves one at a time.

A GPU is held through a file lock named after its UUID, shared by all runs, studies and services of
one machine. The child process sees only the GPUs it was given.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from fovea.errors import BackendError, ConfigError

SLOTS = "FOVEA_SLOTS"
"""The environment variable naming the folder of GPU locks; its default is for all users."""


def cores() -> int:
    """How many processor cores may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU."""

    index: int
    uuid: str
    name: str
    free_mb: int
    total_mb: int


@dataclass
class Placement:
    """Where one stage works: the device as its process names it, and what that process gets."""

    device: str
    environment: dict[str, str] = field(default_factory=dict[str, str])
    locks: list[FileLock] = field(default_factory=list[FileLock])
    note: str = ""

    def release(self) -> None:
        """Let others have the GPUs."""
        for lock in self.locks:
            lock.release()


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs of this machine, as nvidia-smi lists them; none where it is missing."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    query = "index,uuid,name,memory.free,memory.total"
    told = subprocess.run(
        [command, f"--query-gpu={query}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    rows = [line.split(", ") for line in told.stdout.splitlines() if told.returncode == 0]
    return tuple(
        Gpu(int(row[0]), row[1], row[2], int(row[3]), int(row[4])) for row in rows if len(row) == 5
    )


def torch_build() -> str:
    """The version of torch that is installed, `2.13.0+cpu`; empty where there is none."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def automatic() -> str:
    """The best kind of device that this machine and the installed torch can use."""
    if gpus() and torch_build() and "+cpu" not in torch_build():
        return "cuda"
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "mps"
    return "cpu"


def place(wanted: str, count: int = 1) -> Placement | None:
    """Find a place for a stage; None when all fitting GPUs are busy now.

    Args:
        wanted: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        count: how many GPUs it needs, when it goes to GPUs.

    Raises:
        BackendError: the machine has no such device.
        ConfigError: that is no name of a device.
    """
    match = re.fullmatch(r"auto|cpu|mps|cuda(?::(\d+))?", wanted)
    if not match:
        raise ConfigError(f"device '{wanted}' is not known. Choose auto, cpu, cuda, cuda:N or mps.")
    kind = automatic() if wanted == "auto" else wanted.partition(":")[0]
    if kind == "mps" and automatic() != "mps":
        raise BackendError(
            f"the device mps is that of a Mac with Apple's processor; this is {platform.system()} "
            f"on {platform.machine()}. Choose auto, cpu or cuda."
        )
    if kind != "cuda":
        missing = f"{count} GPU asked for, none usable: on the {kind} this takes much longer"
        return Placement(kind, note=missing if count and kind == "cpu" and wanted == "auto" else "")
    fitting = [gpu for gpu in gpus() if match[1] is None or gpu.index == int(match[1])]
    if len(fitting) < max(count, 1):
        listed = ", ".join(f"cuda:{gpu.index} {gpu.name}" for gpu in gpus()) or "none"
        raise BackendError(
            f"{max(count, 1)} x '{wanted}' was asked for; GPUs of this machine: {listed}. Give "
            "--device cpu, or see 'fovea doctor'."
        )
    return _take(fitting, max(count, 1))


def _take(fitting: list[Gpu], count: int) -> Placement | None:
    folder = Path(os.environ.get(SLOTS, Path(tempfile.gettempdir()) / "fovea-gpus"))
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[tuple[Gpu, FileLock]] = []
    for gpu in sorted(fitting, key=lambda gpu: -gpu.free_mb):
        lock = FileLock(folder / f"{gpu.uuid}.lock", thread_local=False, mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        taken.append((gpu, lock))
        if len(taken) == count:
            visible = ",".join(gpu.uuid for gpu, _ in taken)
            return Placement("cuda:0", {"CUDA_VISIBLE_DEVICES": visible}, [k for _, k in taken])
    for _, lock in taken:
        lock.release()
    return None
