"""Stages in real processes that need not load torch first.

Loading what stages import takes seconds, more than most tiny runs do. Here one process loads it,
once, and does nothing else; every run is forked off that one: a process of its own, with a memory
and a death of its own. Where a process cannot be forked, all stays as it was, only slower.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

LOADED = [
    "torch._dynamo",
    "scipy.optimize",
    "scipy.spatial",
    "numba",
    "cv2",
    "av",
    "fovea.runs.run",
]
"""What takes long to load, and starts no thread and touches no GPU by being loaded."""
_method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_processes = multiprocessing.get_context(_method)


class Fork:
    """A module's function at work in a process of its own."""

    def __init__(self, log: Path, work: Callable[..., None], *given: object) -> None:
        self.log = log
        """What it says. The processor time it took stands beside that."""
        if _method == "forkserver":
            _processes.set_forkserver_preload(LOADED)
        self.process: BaseProcess = _processes.Process(target=_noted, args=(log, work, given))
        self.process.start()

    def wait(self) -> float:
        """The processor time that it took, in seconds, once it has come to a good end."""
        self.process.join()
        assert self.process.exitcode == 0, self.log.read_text()[-4000:]
        return float(self.log.with_suffix(".seconds").read_text())

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.join()


def run_tiny(name: str, folder: Path, *words: str) -> None:
    """What `fovea NAME --preset tiny --run FOLDER --no-reuse --device cpu WORDS` does."""
    from fovea import catalog
    from fovea.config import resolve
    from fovea.runs.recipe import Recipe
    from fovea.runs.run import execute

    stage = catalog.stage(name)
    resolved = resolve(stage.config, name=name, preset="tiny", arguments=words, environment={})
    recipe = Recipe.single(stage, resolved.config, sources=resolved.sources)
    run = execute(recipe, folder=folder, reuse=False, device="cpu", isolation="inline")
    run.raise_failure()
    assert run.exit_code == 0, run.state


def run_spoilt(name: str, folder: Path, *words: str) -> None:
    """The same with inputs of which one is damaged: done without it, or refused in a sentence."""
    from fovea.errors import FoveaError

    try:
        run_tiny(name, folder, *words)
    except FoveaError as error:
        if "That is a fault of the stage" in str(error):
            raise


def _noted(log: Path, work: Callable[..., None], given: tuple[object, ...]) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    began = time.process_time()
    work(*given)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() - began + children.ru_utime + children.ru_stime
    log.with_suffix(".seconds").write_text(str(spent))
