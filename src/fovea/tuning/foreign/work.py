"""One trial of a foreign trainer: called, followed through its files, judged, and ended.

trials/0007-a1b2/
  trial.yaml     the trainer's own settings file
  command.txt    the command as it was called
  console.log    what the trainer printed
  owner.json     while it works: who started it, and the token its processes carry
  out/           what the trainer writes
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from fovea.runs.device import Placement, gpus, place
from fovea.runs.durable import write_text
from fovea.runs.processes import tail
from fovea.tuning.definition import StudyFile
from fovea.tuning.foreign.command import Command
from fovea.tuning.foreign.delivery import visible
from fovea.tuning.foreign.settings import MetricSource, Progress
from fovea.tuning.foreign.supervision import ProcessTree, free_port, threads
from fovea.tuning.outcome import OUT_OF_MEMORY, Outcome, answer, ended_by
from fovea.tuning.plan import Plan
from fovea.tuning.sources.point import Point
from fovea.tuning.sources.reader import Reader
from fovea.tuning.tracks import doubles
from fovea.tuning.watch import Watch

POLL_S = 0.25
FIRST_POLL_S = 0.01
"""A trial is looked at this soon, then at each tenth more of its age, up to every `POLL_S`."""
TRIM_EVERY_S = 30.0
KEPT = ("trial.json", "metrics.jsonl", "trackers")
LAST_LINES = 40
DISK_FULL = ("No space left on device", "Disk quota exceeded")


class Tree(Protocol):
    """A command at work with all it started, on this machine or on a node of a cluster."""

    console: Path
    is_lost: bool

    def ended(self) -> bool:
        """Whether it has ended."""
        ...

    def ask_to_stop(self, grace_s: float) -> None:
        """Ask it, once, to save and leave within a time."""
        ...

    def kill(self) -> None:
        """End all of it now."""
        ...

    def finish(self) -> int:
        """End what is left of it, and give its exit status."""
        ...

    def ran_out_of_memory(self) -> bool:
        """Whether a process was ended for want of memory."""
        ...

    def trim_console(self) -> bool:
        """Leave out the middle of a console that got too long."""
        ...


class Sources:
    """All that a trainer says of itself, in one place."""

    def __init__(self, command: Command, folder: Path) -> None:
        wanted = command.settings.metrics or ()
        self.live = [Reader(source, folder) for source in wanted if not source.final]
        self.final = [Reader(source, folder) for source in wanted if source.final]
        self.console = folder / "console.log"
        self.percent: float | None = None
        report = command.settings.progress
        self._progress = _progress(report, folder) if report else None
        self._console_bytes = 0

    def new(self, *, is_over: bool = False) -> Iterator[Point]:
        """The points since the last call, by step."""
        found = [point for reader in self.live for point in reader.new(is_over=is_over)]
        yield from sorted(found, key=lambda point: point.step)

    def scores(self) -> dict[str, float]:
        """What stands in the files that are read at the end."""
        found: dict[str, float] = {}
        for reader in self.final:
            for point in reader.new(is_over=True):
                found |= point.metrics
        return found

    def heard(self) -> bool:
        """Whether it printed something, or got further, since the last call."""
        size = self.console.stat().st_size if self.console.is_file() else 0
        spoke, self._console_bytes = size != self._console_bytes, size
        for point in self._progress.new() if self._progress else ():
            self.percent, spoke = next(iter(point.metrics.values())), True
        return spoke

    def seen(self) -> list[str]:
        """The names of all numbers that were there."""
        return sorted({name for reader in [*self.live, *self.final] for name in reader.seen})

    def close(self) -> None:
        """Let go of files."""
        for reader in [*self.live, *self.final, *([self._progress] if self._progress else [])]:
            reader.close()


def _progress(report: Progress, folder: Path) -> Reader:
    source = {"jsonl": report.jsonl, "take": (report.percent,)}
    return Reader(MetricSource.model_validate(source), folder)


def run(
    plan: Plan, command: Command, settings: Mapping[str, Any], folder: Path, number: int,
    watch: Watch, seed: int = 0,
) -> Outcome:  # fmt: skip
    """Call the trainer in the trial's folder, and follow it to its end.

    Raises:
        BackendError: the command is not there.
    """
    folder = folder.absolute()
    step = go_back(command, folder)
    sources = Sources(command, folder)
    try:
        _replay(sources, watch, step)
        placement = _placed(plan.file, watch)
        if placement is None:
            return Outcome("interrupted", failure="interrupted")
        try:
            tree = _start(plan, command, settings, folder, number, placement, seed)
            return _follow(plan, tree, sources, watch)
        finally:
            placement.release()
    finally:
        sources.close()


def go_back(command: Command, folder: Path) -> int | None:
    """Make the folder such that the trainer begins where it should; says at which step that is.

    One that goes on by itself from what lies there keeps it, but for checkpoints that a kill left
    half written. For any other, what an earlier start wrote is removed.
    """
    if command.checkpoints:
        found = [_checkpoint(path) for path in folder.glob(command.checkpoints)]
        steps = [step for step, is_whole in found if is_whole]
        if steps:
            return max(steps)
    for path in folder.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return None


def _checkpoint(path: Path) -> tuple[int, bool]:
    """The step of a checkpoint, and whether it is whole; one that is not is removed."""
    match = re.search(r"(\d+)\D*$", path.name)
    # The trainer writes its state last.
    is_whole = (
        not path.is_dir()
        or any(path.rglob("trainer_state.json"))
        or not any(path.parent.glob("*/trainer_state.json"))
    )
    if not is_whole:
        shutil.rmtree(path)
    return int(match[1]) if match else 0, is_whole


def _replay(sources: Sources, watch: Watch, step: int | None) -> None:
    """Take over what an earlier start has reported up to the checkpoint, never beyond it."""
    if step is None:
        return
    for point in sources.new():
        if point.step <= step:
            watch.replay(_event(point))
    for reader in sources.live:
        reader.rewind(step)


def _placed(file: StudyFile, watch: Watch) -> Placement | None:
    """GPUs for the trial, as soon as they are free; None where the study is to end before."""
    count = file.resources.gpus_per_trial
    if file.resources.executor == "ray":
        return Placement("cpu")  # the cluster gives GPUs out
    if not gpus() or count == 0:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if gpus() else {}
        return Placement("cpu", hidden)
    while not watch.asked_by_person():
        placement = place("cuda", count)
        if placement is not None:
            return placement
        time.sleep(POLL_S)
    return None


def _start(
    plan: Plan, command: Command, settings: Mapping[str, Any], folder: Path, number: int,
    placement: Placement, seed: int,
) -> Tree:  # fmt: skip
    port = free_port()
    visible_gpus = placement.environment.get("CUDA_VISIBLE_DEVICES", "")
    places = command.places(
        study=plan.file.study, number=number, folder=folder, gpu=visible_gpus, port=port,
        seed=seed,
    )  # fmt: skip
    call = command.delivery(settings, places)
    call.write()
    write_text(folder / "command.txt", f"{call.line()}\n", is_synced=False)
    resources = plan.file.resources
    added = {
        "PYTHONUNBUFFERED": "1",
        "MASTER_PORT": str(port),
        **threads(resources.threads, resources.workers),
        **placement.environment,
        **doubles.environment(plan.file.track, study=plan.file.study, folder=folder),
        **call.environment,
    }
    if resources.executor == "ray":
        from fovea.tuning.remote import RemoteCommand

        return RemoteCommand(
            resources, call.argv, folder=folder, cwd=call.cwd, environment=added,
            grace_s=plan.file.trial.grace,
        )  # fmt: skip
    return ProcessTree(call.argv, folder=folder, cwd=call.cwd, environment=visible(added, ()))


def _follow(plan: Plan, tree: Tree, sources: Sources, watch: Watch) -> Outcome:
    """Listen until the command has ended, and say what that means."""
    began = time.monotonic()
    trim_at = began + TRIM_EVERY_S
    try:
        while not (is_over := tree.ended()):
            for point in sources.new():
                watch(_event(point))
            if sources.heard():
                watch.hear()
            if watch.asked_to_stop():
                tree.ask_to_stop(plan.file.trial.grace)
            if time.monotonic() > trim_at:
                trim_at = time.monotonic() + TRIM_EVERY_S
                tree.trim_console()
            age = time.monotonic() - began
            time.sleep(min(POLL_S, max(FIRST_POLL_S, age / 10)))
        status = tree.finish()
        if not watch.reason:  # a trial that was told to stop has its last value already
            for point in sources.new(is_over=is_over):
                watch(_event(point))
    except BaseException:
        tree.kill()
        raise
    return _outcome(plan, status, tree, sources, watch)


def _event(point: Point) -> dict[str, Any]:
    metrics = dict(point.metrics)
    return {"kind": "metric", "step": point.step, "epoch": point.epoch, "metrics": metrics}


def _outcome(plan: Plan, status: int, tree: Tree, sources: Sources, watch: Watch) -> Outcome:
    last = tail(tree.console, LAST_LINES)
    if watch.reason:
        return ended_by(plan, watch, percent=sources.percent)
    if tree.is_lost:
        text = "the node of the cluster was lost"
        return Outcome("failed", failure="node_lost", message=text)
    if status == 0:
        scores = sources.scores()
        watch.latest |= scores
        return answer(plan, scores, watch, seen=sources.seen(), where=_missing(sources))
    if _says(OUT_OF_MEMORY, last) or (status == -9 and tree.ran_out_of_memory()):
        return Outcome("failed", failure="oom", message=_said(last, OUT_OF_MEMORY))
    if _says(DISK_FULL, last):
        return Outcome("failed", failure="disk", message=_said(last, DISK_FULL))
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    message = f"{plan.target.name} ended with {how}; its last words:\n{last}".rstrip()
    return Outcome("failed", failure="error", message=message)


def _says(signs: tuple[str, ...], text: str) -> bool:
    return any(sign in text for sign in signs)


def _said(text: str, signs: tuple[str, ...]) -> str:
    """The line that says it."""
    lines = [line for line in text.splitlines() if _says(signs, line)]
    return lines[-1].strip() if lines else "killed by the system, because memory ran out"


def _missing(sources: Sources) -> str:
    """Which sources had nothing to say."""
    silent = [
        f"{reader.source.kind} {reader.source.place}"
        for reader in [*sources.live, *sources.final]
        if not reader.seen
    ]
    return f" Nothing was found in: {', '.join(silent)}." if silent else ""
