"""Workers on a Ray cluster: actors that are told the plan once and given parts until all are done.

A part is done by the same function as in a process of this machine, so that the bytes are the same.
An actor whose process died is started again by Ray and its part is done anew; what stands in the
folder of finished parts is done, whoever did it. All nodes see the same files under the same paths.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fovea.errors import JobError
from fovea.runs.ray import Cluster
from fovea.synth.needs import Needs
from fovea.synth.plan import Plan
from fovea.synth.workers import LOOK_EVERY_S, Doer, Task, begin, work

TRIES = 3
"""So often a part is begun again whose worker died."""


class _Worker:
    """Told the plan when it starts; lives in an actor of the cluster."""

    def __init__(self, custom: Sequence[str], packed: bytes, folder: str) -> None:
        with suppress(OSError):
            os.chdir(folder)
        self.plan = begin(custom, packed)

    def do(self, task: Task) -> None:
        work(self.plan, task)


@contextmanager
def on_cluster(
    plan: Plan, address: str, *, count: int, parts: int, needs: Needs | None = None
) -> Generator[Doer]:
    """Actors that do tasks.

    Args:
        plan: what to do.
        address: of the cluster: `auto`, `host:6379` or `local`.
        count: actors; 0 takes as many as the cluster has room for.
        parts: how many there are to do; no more actors are started.
        needs: of one actor.

    Raises:
        BackendError: Ray is not installed, or no cluster answers.
    """
    needs = needs or Needs()
    with Cluster(address) as cluster:
        room = sum(node.cpus for node in cluster.nodes() if node.is_alive) // needs.cpus
        count = max(1, min(count or int(room), parts))
        pool = _Pool(plan, count, needs)
        try:
            yield pool.spread
        finally:
            pool.close()


class _Pool:
    def __init__(self, plan: Plan, count: int, needs: Needs) -> None:
        import ray

        self._ray: Any = ray
        made: Any = ray.remote(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory_bytes,
            max_restarts=-1,
            max_task_retries=TRIES,
        )(_Worker)
        told = plan.custom, pickle.dumps(plan), str(Path.cwd())
        self._actors = [made.remote(*told) for _ in range(count)]

    def spread(self, tasks: Sequence[Task], stopped: Callable[[], bool]) -> Iterator[Task]:
        """Give each actor a part, and the next one as soon as it is done."""
        left = list(reversed(tasks))
        idle = list(self._actors)
        at_work: dict[Any, tuple[Task, Any]] = {}
        while True:
            while left and idle and not stopped():
                actor, task = idle.pop(), left.pop()
                at_work[actor.do.remote(task)] = task, actor
            if not at_work:
                return
            done, _ = self._ray.wait(list(at_work), timeout=LOOK_EVERY_S)
            for answer in done:
                task, actor = at_work.pop(answer)
                self._raise_if_failed(answer)
                idle.append(actor)
                yield task

    def _raise_if_failed(self, answer: Any) -> None:
        try:
            self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except self._ray.exceptions.RayError as error:
            raise JobError(
                f"a part was begun {TRIES + 1} times on the cluster and its worker died each time,"
                " most likely for want of memory. What is done is kept: run the same command again,"
                " with a smaller np or shard_rows."
            ) from error

    def close(self) -> None:
        """Let the actors go."""
        for actor in self._actors:
            self._ray.kill(actor)
