"""`fovea warmup`: compile the cpu twin ahead of time, so that the first picture does not wait."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fovea import console


def main(arguments: list[str]) -> int:
    """Compile what is not compiled yet, and say where it lies and how long it took."""
    parser = argparse.ArgumentParser(
        prog="fovea warmup",
        description="Compile the CPU rasteriser for this machine. Done once; later runs load it.",
    )
    parser.parse_args(arguments)
    from fovea.scene.raster import compiled

    modules: list[tuple[str, int | None]] = [
        (name, None) for name in compiled.SOURCES if name != "blend"
    ]
    modules += [("blend", count) for count in compiled.CHANNEL_COUNTS]
    missing = [module for module in modules if not compiled.is_compiled(*module)]
    started = time.perf_counter()
    for name, channels in _with_progress(modules):
        compiled.kernels(name, channels)
    seconds = time.perf_counter() - started
    folder = compiled.cache_folder()
    done = f"compiled {len(missing)}, found {len(modules) - len(missing)} of {len(modules)}"
    console.answer(
        f"Kernels of the CPU rasteriser: {done} in {seconds:.1f} s.\nThey lie in {folder}",
        {"folder": str(folder), "compiled": len(missing), "seconds": round(seconds, 2)},
    )
    return 0


def _with_progress(modules: list[tuple[str, int | None]]) -> Any:
    """The modules one by one, with a bar on a terminal and lines elsewhere."""
    from fovea.scene.raster.compiled import title

    if console.style.as_json or console.style.quiet:
        yield from modules
        return
    if not console.has_color():
        for place, (name, channels) in enumerate(modules, start=1):
            console.say(f"{place}/{len(modules)} {title(name, channels)}")
            yield name, channels
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("", total=len(modules))
        for name, channels in modules:
            progress.update(task, description=title(name, channels))
            yield name, channels
            progress.advance(task)
