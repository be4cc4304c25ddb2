"""`fovea warmup`: compile all kernels ahead of time, so that the first picture does not wait."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fovea import console

Kernels = tuple[str, int | None, str]
"""Their module, for how many channels, and whose they are."""


def main(arguments: list[str]) -> int:
    """Compile what is not compiled yet, and say where it lies and how long it took."""
    parser = argparse.ArgumentParser(
        prog="fovea warmup",
        description="Compile the CPU kernels for this machine. Done once; later runs load them.",
    )
    parser.parse_args(arguments)
    from fovea.scene.raster import compiled

    modules: list[Kernels] = [
        (name, None, compiled.PACKAGE) for name in compiled.SOURCES if name != "blend"
    ]
    modules += [("blend", count, compiled.PACKAGE) for count in compiled.CHANNEL_COUNTS]
    modules += [
        (name, None, package) for package in compiled.OTHERS for name in compiled.sources(package)
    ]
    missing = [
        module for module in modules if not compiled.is_compiled(*module[:2], package=module[2])
    ]
    started = time.perf_counter()
    for name, channels, package in _with_progress(modules):
        compiled.kernels(name, channels, package=package)
    seconds = time.perf_counter() - started
    folder = compiled.cache_folder()
    done = f"compiled {len(missing)}, found {len(modules) - len(missing)} of {len(modules)}"
    console.answer(
        f"Kernels: {done} in {seconds:.1f} s.\nThey lie in {folder}",
        {"folder": str(folder), "compiled": len(missing), "seconds": round(seconds, 2)},
    )
    return 0


def _with_progress(modules: list[Kernels]) -> Any:
    """The modules one by one, with a bar on a terminal and lines elsewhere."""
    from fovea.scene.raster.compiled import title

    if console.style.as_json or console.style.quiet:
        yield from modules
        return
    if not console.has_color():
        for place, module in enumerate(modules, start=1):
            console.say(f"{place}/{len(modules)} {title(*module[:2])}")
            yield module
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("", total=len(modules))
        for module in modules:
            progress.update(task, description=title(*module[:2]))
            yield module
            progress.advance(task)
