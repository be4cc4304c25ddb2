"""Worker processes: started once, told the plan once, given parts until all are done."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.errors import JobError
from fovea.runs.child import die_with_parent
from fovea.synth.plan import Plan, load_custom
from fovea.synth.shard import Outcome, Pass, batches
from fovea.synth.source import Part
from fovea.synth.state import Slice, StateWriter, batches_of

LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Task:
    """One part of one segment, and where its rows go."""

    segment: int
    part: Part | Slice
    target: Path
    is_last: bool


_plan: Plan | None = None


def work(plan: Plan, task: Task) -> None:
    """Do a part: read it, put it through its segment, write its state."""
    segment = plan.segments[task.segment]
    if isinstance(task.part, Slice):
        segment = segment.settled(dict(task.part.limits))
    outcome = Outcome()
    through = Pass(plan, segment, outcome)
    rows = (
        batches(task.part, plan, through)
        if isinstance(task.part, Part)
        else batches_of(task.part, plan.handling)
    )
    with StateWriter(task.target, plan.handling, is_last=task.is_last) as writer:
        for batch in rows:
            done, keys = through.through(batch)
            writer.write(done, keys)
            outcome.counts.kept += len(done)
        writer.publish(outcome)


def begin(custom: Sequence[str], packed: bytes) -> Plan:
    """What a worker does before its first part: it takes the plan, and operators of one's own."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    load_custom(custom)
    return pickle.loads(packed)


def _begin(custom: Sequence[str], packed: bytes, parent: int) -> None:
    global _plan
    die_with_parent(parent)
    _plan = begin(custom, packed)


def _do(task: Task) -> None:
    assert _plan is not None, "the worker was told the plan when it began"
    work(_plan, task)


Doer = Callable[[Sequence[Task], Callable[[], bool]], Iterator[Task]]
"""Does tasks, gives each when it is done, and stops giving when asked to."""


@contextmanager
def workers(plan: Plan, count: int) -> Generator[Doer]:
    """Processes that do tasks; with a count of 1, this one does them."""
    if count <= 1:
        yield lambda tasks, stopped: _here(plan, tasks, stopped)
        return
    packed = pickle.dumps(plan)
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(plan.custom, packed, os.getpid()),
    )
    try:
        yield lambda tasks, stopped: _spread(pool, tasks, stopped, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _here(plan: Plan, tasks: Sequence[Task], stopped: Callable[[], bool]) -> Iterator[Task]:
    for task in tasks:
        if stopped():
            return
        work(plan, task)
        yield task


def _spread(
    pool: ProcessPoolExecutor, tasks: Sequence[Task], stopped: Callable[[], bool], count: int
) -> Iterator[Task]:
    left = list(reversed(tasks))
    at_work: dict[Future[None], Task] = {}
    while left or at_work:
        while left and len(at_work) < count + 1 and not stopped():
            task = left.pop()
            at_work[pool.submit(_do, task)] = task
        if not at_work:
            return
        done, _ = wait(at_work, LOOK_EVERY_S, FIRST_COMPLETED)
        for future in done:
            task = at_work.pop(future)
            _raise_if_failed(future)
            yield task
        if stopped() and not at_work:
            return


def _raise_if_failed(future: Future[Any]) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise JobError(
            "a worker process died, most likely for want of memory. What is done is kept: run the"
            " same command again, with a smaller np or shard_rows."
        ) from error
