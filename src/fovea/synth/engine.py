"""The engine: segments one after the other, their parts in any process and any order.

Each part of each segment has an address made of its content and of all that is done to it. What
stands at its address is done: a run that was killed goes on where it was, and a recipe that grew by
an operator takes up the work of the old one.
"""

from __future__ import annotations

import bisect
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fovea.runs.durable import publish, write_json
from fovea.synth.barrier import Decision, decide
from fovea.synth.ledger import Counts
from fovea.synth.plan import Plan
from fovea.synth.source import Part
from fovea.synth.state import Slice, State
from fovea.synth.trace import Traces
from fovea.synth.workers import Doer, Task, workers


@dataclass
class Watcher:
    """Whom the engine tells, and whom it asks."""

    done: Callable[[str], None] = field(default=lambda key: None)
    """A part is finished and kept."""
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)
    note: Callable[[str], None] = field(default=lambda message: None)
    should_stop: Callable[[], bool] = field(default=lambda: False)
    stop: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True)
class Result:
    """What came of a data set."""

    states: tuple[State, ...]
    """The finished parts, in order; their rows are the result's."""
    counts: Counts
    entries: list[dict[str, Any]]
    traces: Traces
    decisions: tuple[Decision, ...]
    seconds: dict[str, float]
    """What each operator took, in all processes together; of parts that were taken up, then."""


class Engine:
    """Puts a data set through a plan.

    Args:
        plan: what to do.
        folder: where finished parts are kept.
        jobs: processes; 0 takes as many as there are cores, or as the cluster has room for.
        cluster: the address of a Ray cluster whose processes they are; None takes this machine's.
        watcher: whom to tell.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        jobs: int = 0,
        cluster: str | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.plan = plan
        self.folder = folder.absolute()
        self.jobs = jobs
        self.cluster = cluster
        self.watcher = watcher or Watcher()

    def _workers(self, parts: int) -> AbstractContextManager[Doer]:
        needs = self.plan.needs
        if self.cluster is None:
            count = needs.processes(self.jobs or os.cpu_count() or 1)
            return workers(self.plan, min(count, parts))
        from fovea.synth.cluster import on_cluster

        return on_cluster(self.plan, self.cluster, count=self.jobs, parts=parts, needs=needs)

    def run(self, parts: Sequence[Part]) -> Result:
        """Do everything that is not done yet.

        Raises:
            StoppedError: it was asked to stop; finished parts are kept.
        """
        segments = self.plan.segments
        decisions: list[Decision] = []
        finished: list[list[State]] = []
        given: list[tuple[Part | Slice, str]] = [(part, self._address(part)) for part in parts]
        total = sum(part.rows for part in parts)
        with self._workers(len(parts)) as do:
            for number, segment in enumerate(segments):
                is_last = number == len(segments) - 1
                tasks = [
                    Task(number, part, self.folder / self.plan.key(number, address), is_last)
                    for part, address in given
                ]
                missing = [task for task in tasks if not State(task.target).is_there]
                left = len(missing)
                for task in do(missing, self.watcher.should_stop):
                    left -= 1
                    self.watcher.done(f"{number}:{task.target.name}")
                    share = (number + 1 - left / max(1, len(tasks))) / len(segments)
                    self.watcher.progress(round(total * share), total)
                if left:
                    self.watcher.stop()
                states = [State(task.target) for task in tasks]
                finished.append(states)
                if not is_last:
                    decision = decide(segment.barrier, states, self.plan)
                    decisions.append(decision)
                    given = list(self._slices(number, states, decision))
        return self._result(parts, finished, decisions)

    def _address(self, part: Part) -> str:
        return f"{part.digest}:{part.first}:{part.line}:{part.origin}:{part.prefix}"

    def _slices(
        self, number: int, states: Sequence[State], decision: Decision
    ) -> Iterator[tuple[Slice, str]]:
        """The parts of the next segment: the chosen rows, cut anew."""
        before = hashlib.sha256("|".join(s.folder.name for s in states).encode())
        before.update(decision.chosen.tobytes())
        limits = tuple(sorted(decision.limits.items())) if decision.is_scouted else ()
        before.update(repr(limits).encode() if limits else b"")
        address = before.hexdigest()[:24]
        folder = self.folder / f"chosen-{address}"
        selection = folder / "chosen.npy"
        if not selection.is_file():
            draft = folder.with_name(f".draft-{folder.name}")
            draft.mkdir(parents=True, exist_ok=True)
            np.save(draft / selection.name, decision.chosen)
            publish(draft, folder)
        folders = tuple(str(state.folder) for state in states)
        size = self.plan.part_rows
        for start in range(0, max(1, len(decision.chosen)), size):
            end = min(start + size, len(decision.chosen))
            yield Slice(folders, selection, start, end, limits), f"{number}:{address}:{start}"

    def _result(
        self,
        parts: Sequence[Part],
        finished: Sequence[Sequence[State]],
        decisions: Sequence[Decision],
    ) -> Result:
        counts, traces = Counts(), Traces()
        entries: list[dict[str, Any]] = []
        seconds: dict[str, float] = {}
        for states in finished:
            for state in states:
                about = state.about()
                part = Counts.from_data(about["counts"])
                part.kept = part.kept if states is finished[-1] else 0
                counts.add(part)
                entries += about["entries"]
                traces.add(about["traces"], self.plan.handling.trace_num)
                for label, spent in about["seconds"].items():
                    seconds[label] = seconds.get(label, 0.0) + spent
        for decision in decisions:
            if decision.label:
                counts.step(decision.label).dropped += decision.dropped
                counts.step(decision.label).made += decision.made
                traces.examples.update(decision.examples)
        firsts = [part.first for part in parts]
        for entry in entries:
            part = parts[bisect.bisect_right(firsts, entry["row"]) - 1]
            entry["file"], entry["line"] = part.origin, part.line + entry["row"] - part.first
        entries.sort(key=lambda entry: (entry["row"], entry["operator"]))
        counts.check()
        self._say(counts, seconds)
        return Result(tuple(finished[-1]), counts, entries, traces, tuple(decisions), seconds)

    def _say(self, counts: Counts, seconds: dict[str, float]) -> None:
        total = len(self.plan.steps)
        for step in self.plan.steps:
            count = counts.step(step.label)
            spent = seconds.get(step.label, 0.0)
            self.watcher.note(
                f"[{step.place + 1}/{total}] OP [{step.operator.name}] Done in {spent:.3f}s."
                f" Left {count.left} samples."
            )


def write_counts(path: Path, counts: Counts) -> None:
    """Write the books into a file."""
    write_json(path, counts.as_data())
