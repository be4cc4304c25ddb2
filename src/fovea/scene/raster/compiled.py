"""Where compiled kernels come from.

Their sources are copied to a cache folder, compiled there once and loaded ever after. A copy's name
holds a digest of its text, so that a changed kernel never meets old machine code, and the package's
own folder may be read-only. Other packages keep kernels of their own in a folder `kernels` and load
them by `kernels(name, package=...)`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import sys
import threading
import time
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType

PACKAGE = "fovea.scene.raster"
SOURCES = ("bin", "blend", "project", "harmonics")
OTHERS = ("fovea.events", "fovea.photo", "fovea.scene")
"""Packages with kernels of their own, for `fovea warmup`."""
CHANNEL_COUNTS = (1, 3, 4, 8, 12, 16)
"""What blending is compiled for.

Other counts are padded; beyond the last, several passes share the work.
"""

_log = logging.getLogger(__name__)
_one_at_a_time = threading.RLock()


def cache_folder() -> Path:
    """The folder of compiled kernels: below FOVEA_CACHE, XDG_CACHE_HOME or ~/.cache."""
    root = os.environ.get("FOVEA_CACHE")
    if root is None:
        root = str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "fovea")
    return Path(root).expanduser() / "kernels"


def is_compiled(name: str, channels: int | None = None, *, package: str = PACKAGE) -> bool:
    """Whether loading a module of kernels will find its machine code."""
    path, _ = _copy(name, channels, package)
    return any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbi"))


@cache
def kernels(name: str, channels: int | None = None, *, package: str = PACKAGE) -> ModuleType:
    """A module of compiled kernels; `channels` for the one that depends on their number."""
    with _one_at_a_time:
        path, text = _copy(name, channels, package)
        _write_once(path, text)
        compiled = is_compiled(name, channels, package=package)
        if not compiled:
            _log.info(
                "compiling the kernels '%s' for this machine, once; it takes some seconds "
                "(`fovea warmup` does it ahead of time)",
                title(name, channels),
            )
        started = time.perf_counter()
        spec = importlib.util.spec_from_file_location(f"fovea_kernels_{path.stem}", path)
        assert spec is not None, "a .py path always has a spec"
        assert spec.loader is not None, "and a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        if not compiled:
            seconds = time.perf_counter() - started
            _log.info("compiled '%s' in %.1f s", title(name, channels), seconds)
        return module


def sources(package: str) -> list[str]:
    """The modules of kernels that a package has."""
    folder = files(package) / "kernels"
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".py") for name in names if re.fullmatch(r"[a-z]\w*\.py", name))


def padded(channels: int) -> int:
    """The number of channels that the kernels draw when asked for so many."""
    most = CHANNEL_COUNTS[-1]
    full, rest = divmod(channels, most)
    return full * most + (next(c for c in CHANNEL_COUNTS if c >= rest) if rest else 0)


def passes(channels: int) -> list[tuple[int, int]]:
    """The passes that draw a padded number of channels: the first channel of each and its count."""
    most = CHANNEL_COUNTS[-1]
    return [(first, min(most, channels - first)) for first in range(0, channels, most)]


def repeat_channels(source: str, channels: int) -> str:
    """Repeat the lines marked `each channel`, with `_0` and `0 *` counting up."""
    lines: list[str] = []
    for line in source.splitlines():
        if line.startswith("CHANNELS = "):
            line = f"CHANNELS = {channels}"
        if not line.endswith("# each channel"):
            lines.append(line)
            continue
        for channel in range(channels):
            counted = re.sub(r"\b0 \*", f"{channel} *", line)
            lines.append(re.sub(r"_0\b", f"_{channel}", counted))
    return "\n".join(lines) + "\n"


def _source(name: str, channels: int | None, package: str) -> str:
    text = (files(package) / "kernels" / f"{name}.py").read_text(encoding="utf-8")
    return text if channels is None else repeat_channels(text, channels)


def title(name: str, channels: int | None) -> str:
    """What a module of kernels is called."""
    return name if channels is None else f"{name} with {channels} channels"


def _copy(name: str, channels: int | None, package: str = PACKAGE) -> tuple[Path, str]:
    """Where a module's source is copied to, and its text."""
    text = _source(name, channels, package)
    stem = name if channels is None else f"{name}_{channels}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return cache_folder() / f"{stem}_{digest}.py", text


def _write_once(path: Path, text: str) -> None:
    """Numba trusts its cache while the source's date stands, so a file that is there stays."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
