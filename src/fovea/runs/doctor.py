"""`fovea doctor`: what this machine has and what is missing, a line each, with the remedy."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fovea import console
from fovea.errors import ConfigError
from fovea.runs import device

NEEDED_DISK_GB = 5.0
NEEDED_MEMORY_GB = 4.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_well: bool
    found: str
    to_do: str = ""
    """What to do when it is not well; empty where it is optional and nothing need be done."""


def main(words: list[str]) -> int:
    """Look at everything; 3 when something needed is missing, else 0."""
    if words in (["-h"], ["--help"]):
        console.answer(__doc__ or "", {})
        return 0
    if words:
        raise ConfigError(f"fovea doctor takes no words; found {' '.join(words)}.")
    found = [finding for check in CHECKS for finding in check()]
    missing = [finding for finding in found if not finding.is_well and finding.to_do]
    if console.style.as_json:
        console.answer("", [vars(finding) for finding in found])
    else:
        for finding in found:
            mark = "ok" if finding.is_well else ("!!" if finding.to_do else "--")
            console.say(f"{mark}  {finding.what:12} {finding.found}")
            if finding in missing:
                console.say(f"{'':17}{finding.to_do}")
        console.say("all well" if not missing else f"{len(missing)} to mend")
    return 3 if missing else 0


def _python() -> Iterator[Finding]:
    is_well = (3, 11) <= sys.version_info[:2] <= (3, 13)
    to_do = "" if is_well else "use Python 3.11, 3.12 or 3.13"
    yield Finding("python", is_well, f"{platform.python_version()} at {sys.prefix}", to_do)
    yield Finding("fovea", True, importlib.metadata.version("fovea-vision"))


def _machine() -> Iterator[Finding]:
    named = os.environ.get("OMP_NUM_THREADS")
    limit = f", OMP_NUM_THREADS={named}" if named else ""
    yield Finding("cores", True, f"{device.cores()} of {os.cpu_count()} may be used{limit}")
    memory = psutil.virtual_memory()
    is_well = memory.available / 1e9 >= NEEDED_MEMORY_GB
    said = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    yield Finding("memory", is_well, said, f"have {NEEDED_MEMORY_GB:.0f} GB free for a fit")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    said = f"{free:.1f} GB free at {Path.cwd()}"
    yield Finding("disk", free >= NEEDED_DISK_GB, said, "make room; 'fovea runs gc' helps")


def _torch() -> Iterator[Finding]:
    build = device.torch_build()
    if not build:
        yield Finding("torch", False, "not installed", "pip install 'fovea-vision[all]'")
        return
    yield Finding("torch", True, f"{build}, work goes to: {device.automatic()}")
    for gpu in device.gpus():
        said = f"cuda:{gpu.index} {gpu.name}, {gpu.free_mb} of {gpu.total_mb} MB free"
        yield Finding("gpu", "+cpu" not in build, said, "install a torch build with CUDA")
    if not device.gpus():
        yield Finding("gpu", False, "no NVIDIA GPU; everything works on the processor, slower")
    is_there = importlib.util.find_spec("gsplat") is not None
    needed = bool(device.gpus()) and not is_there
    to_do = "pip install 'fovea-vision[cuda]' for the fast rasteriser" if needed else ""
    yield Finding("gsplat", is_there, "installed" if is_there else "not installed", to_do)


def _numba() -> Iterator[Finding]:
    if importlib.util.find_spec("numba") is None:
        yield Finding("numba", False, "not installed", "pip install 'fovea-vision[scene]'")
        return
    shared = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    place = Path(os.environ.get("FOVEA_CACHE", f"{shared}/fovea")).expanduser()
    count = sum(1 for _ in place.glob("kernels/**/*.nbc"))
    said = f"{count} compiled kernels kept in {place}"
    if not count:
        said += "; the first fit compiles them, or 'fovea warmup' now"
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    to_do = "set FOVEA_CACHE to a folder you may write"
    yield Finding("numba cache", os.access(existing, os.W_OK), said, to_do)


def _video() -> Iterator[Finding]:
    is_there = importlib.util.find_spec("av") is not None
    said = f"PyAV {importlib.metadata.version('av')}" if is_there else "PyAV not installed"
    yield Finding("video", is_there, said, "pip install 'fovea-vision[scene]'")
    ffmpeg = shutil.which("ffmpeg")
    yield Finding("ffmpeg", ffmpeg is not None, ffmpeg or "not found; not needed, PyAV has its own")


def _browser() -> Iterator[Finding]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding("browser", found is not None, found or "no Chromium found; only tests need it")


def _service() -> Iterator[Finding]:
    """What the service finds; it stands above this floor, hence its name is only a word here."""
    try:
        checkup = importlib.import_module("fovea.service.checkup")
    except ModuleNotFoundError as error:
        said = f"needs {error.name} (pip install 'fovea-vision[serve]')"
        yield Finding("service", False, said)
    else:
        yield from checkup.findings()


def _extras() -> Iterator[Finding]:
    lines = importlib.metadata.requires("fovea-vision") or []
    names = importlib.metadata.metadata("fovea-vision").get_all("Provides-Extra") or []
    for extra in names:
        marked = [line for line in lines if re.search(rf"extra == ['\"]{extra}['\"]", line)]
        wanted = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in marked]
        absent = [name for name in wanted if not _is_installed(name)]
        said = "complete" if not absent else f"without {', '.join(absent)}"
        hint = f" (pip install 'fovea-vision[{extra}]')" if absent else ""
        yield Finding(f"[{extra}]", not absent, said + hint)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _machine,
    _torch,
    _numba,
    _video,
    _browser,
    _service,
    _extras,
)
