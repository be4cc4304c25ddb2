"""Doing the work of one stage in its folder: the part that runs in the child process.

It builds the Context, calls the stage's function, checks what it made, lets the outputs appear, and
writes how it ended, with every way to fail as a sentence.
"""

from __future__ import annotations

import hashlib
import logging
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fovea.config import Config
from fovea.errors import ArtifactError, FoveaError, StoppedError
from fovea.runs.artifact import kind
from fovea.runs.cache import sha256
from fovea.runs.determinism import WITHOUT_A_FORM, deterministic
from fovea.runs.durable import FULL, discard, disk_full, publish, sweep
from fovea.runs.record import Failure, OutputFile, StageRecord, size_of
from fovea.runs.stage import Context, Event, Stage

PROGRESS_EVERY_S = 1.0
TAIL_LINES = 40


def perform(
    folder: Path,
    record: StageRecord,
    stage: Stage,
    config: Config,
    *,
    emit: Callable[[Event], object],
    asked_to_stop: Callable[[], bool],
) -> StageRecord:
    """Run a stage in its folder, from its last checkpoint if any, and record how it ended."""
    began = time.monotonic()
    context = _context(folder, record, stage, config, emit, asked_to_stop)
    try:
        _prepare(context, record)
        with deterministic(record.deterministic):
            scores = stage.load()(config, context) or {}
        record.scores = {name: float(value) for name, value in scores.items()}
        record.outputs = _publish(context)
        record.problems = context.problems
        record.state, record.error = "done", None
    except Exception as error:  # noqa: BLE001, whatever it was is recorded with its traceback
        record.error = describe(error, stage, folder)
        record.state = "interrupted" if record.error.code == "stopped" else "failed"
    record.ended = time.time()
    record.seconds = round(record.seconds + time.monotonic() - began, 3)
    record.peak = peak_memory()
    record.write(folder)
    return record


def _context(
    folder: Path,
    record: StageRecord,
    stage: Stage,
    config: Config,
    emit: Callable[[Event], object],
    asked_to_stop: Callable[[], bool],
) -> Context:
    for place in (folder, folder / "ckpt", folder / "tmp"):
        sweep(place)
    published = folder / "out"
    draft = folder / "tmp" / "out"
    if published.exists():
        # It was ended between the outputs' appearance and the word that it is done.
        draft.parent.mkdir(parents=True, exist_ok=True)
        discard(draft)
        published.rename(draft)
    elif stage.resumable == "none":
        discard(folder / "tmp")
    return Context(
        stage=stage,
        config=config,
        folder=folder,
        device=record.device,
        seed=int(getattr(config, "seed", 0)),
        emit=_Throttle(emit),
        asked_to_stop=asked_to_stop,
    )


def _prepare(context: Context, record: StageRecord) -> None:
    if record.attempt > 1 and context.stage.resumable != "items":
        latest = context.checkpoints.latest()
        context.resumed(latest[0] if latest else -1)
    for name, (wanted, path) in context.stage.given(context.config).items():
        kind(wanted).check(path, wanted_by=f"stage '{record.key}' ({name})")


def _publish(context: Context) -> dict[str, OutputFile]:
    """Let the outputs appear, all at once, and say what they are."""
    for name, output in context.stage.outputs.items():
        path = context.out / output.path
        if not path.exists() and not output.optional:
            raise ArtifactError(
                f"{context.stage.name} ended without making '{name}' ({output.help}): nothing is "
                f"at {path}. The stage must write it to context.output('{name}')."
            )
    made = {
        name: OutputFile(
            output.kind,
            f"out/{output.path}",
            size_of(context.out / output.path),
            _digest(context.out / output.path),
        )
        for name, output in context.stage.outputs.items()
        if (context.out / output.path).exists()
    }
    publish(context.out, context.folder / "out")
    discard(context.out.parent)
    return made


def _digest(path: Path) -> str:
    """The content of an output: of a file, or of a folder by its files' names and contents."""
    if path.is_file():
        return sha256(path)
    digest = hashlib.sha256()
    for inner in sorted(inner for inner in path.rglob("*") if inner.is_file()):
        digest.update(f"{inner.relative_to(path).as_posix()}\0{sha256(inner)}\n".encode())
    return digest.hexdigest()


class _Throttle:
    """Passes events on; of those that only say how far it is, one a second and the last.

    A stage that says itself from where it goes on is not repeated.
    """

    def __init__(self, emit: Callable[[Event], object]) -> None:
        self.emit = emit
        self._next = 0.0
        self._before: Event = {}

    def __call__(self, event: Event) -> None:
        if event["kind"] == "progress":
            now = time.monotonic()
            if now < self._next and event["done"] < event["total"]:
                return
            self._next = now + PROGRESS_EVERY_S
        if event["kind"] != "rewind" or event != self._before:
            self.emit(event)
        self._before = event


def describe(error: Exception, stage: Stage, folder: Path) -> Failure:
    """How a stage's end is said to a person."""
    tail = "".join(traceback.format_exception(error)).splitlines()[-TAIL_LINES:]
    logging.getLogger("fovea").debug("%s ended", stage.name, exc_info=error)
    if isinstance(error, StoppedError):
        return Failure("stopped", str(error))
    if isinstance(error, FoveaError):
        return Failure(error.code, str(error), "\n".join(tail))
    if isinstance(error, OSError) and error.errno in FULL:
        what = f"{Path(error.filename).name}" if error.filename else f"what {stage.name} makes"
        return Failure("disk", str(disk_full(what, folder)), "\n".join(tail))
    if is_out_of_memory(error):
        return Failure("oom", out_of_memory(stage, error), "\n".join(tail))
    if WITHOUT_A_FORM in str(error):
        operation = str(error).partition(WITHOUT_A_FORM)[0].strip()
        message = (
            f"{stage.name} needs an operation that has no deterministic form here: {operation}. "
            "Leave --deterministic out, or give --device cpu."
        )
        return Failure("deterministic", message, "\n".join(tail))
    message = (
        f"{stage.name} broke with {type(error).__name__}: {error}. That is a fault of the stage; "
        f"the whole story is in {folder / 'console.log'}."
    )
    return Failure("crash", message, "\n".join(tail))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that the machine's or the GPU's memory ran out."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower())
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error).lower())
    )


def out_of_memory(stage: Stage, error: BaseException) -> str:
    """What to say when memory ran out."""
    peak = peak_memory()
    where = "the GPU's" if "CUDA" in str(error) else "the machine's"
    used = ", ".join(f"{value:.0f} MB {name.removesuffix('_mb')}" for name, value in peak.items())
    return (
        f"{stage.name} ran out of {where} memory (at most {used} were in use). Take a smaller "
        "resolution, fewer Gaussians or a smaller batch, or close what else uses the memory; the "
        "same command goes on from the last checkpoint."
    )


def peak_memory() -> dict[str, float]:
    """The most memory this process used, in MB: `rss_mb`, and `gpu_mb` where torch used a GPU."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = {"rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}
    torch: Any = sys.modules.get("torch")
    # A thread may be importing torch just now: then nobody has used a GPU yet.
    if hasattr(torch, "cuda") and torch.cuda.is_initialized():
        peak["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    return peak
