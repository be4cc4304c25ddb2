"""Jobs on a Ray cluster: the same threads with one job at hand each, whose processes run there.

A node that is lost takes its jobs' processes with it; the threads see that, and start those jobs
once more where there is room, from their checkpoints. Nothing there outlives this service.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from fovea.runs.ray import Cluster, RemoteTree
from fovea.service.attempt import Workplace
from fovea.service.executors.local import Threads
from fovea.service.places import Work, command
from fovea.service.processes import MARK
from fovea.service.settings import ServeConfig
from fovea.service.table import Job

PASSED_ON = ("PYTHONPATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
END_WITHIN_S = 10.0


class RayThreads(Threads):
    """Threads whose jobs work on a cluster.

    Raises:
        BackendError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, workplace: Workplace) -> None:
        settings = workplace.settings
        cluster = Cluster(settings.queue.address or "local")
        super().__init__(dataclasses.replace(workplace, place=OnCluster(settings, cluster)))


class OnCluster:
    """The nodes of a cluster, as a place of work."""

    outlives = False

    def __init__(self, settings: ServeConfig, cluster: Cluster) -> None:
        self.settings = settings
        self.cluster = cluster
        self._trees: dict[str, RemoteTree] = {}

    def begin(self, job: Job, recipe: Path, folder: Path, own: Path) -> Work:
        """Start the work on a node that has room, now or when one has."""
        has_gpus = any(node.gpus for node in self.cluster.nodes())
        tree = self.cluster.start(
            command(self.settings, recipe, folder),
            cwd=own,
            console=own / "console.log",
            environment={
                **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
                MARK: job.id,
                "PYTHONUNBUFFERED": "1",
            },
            gpus=1.0 if has_gpus and self.settings.gpu.device != "cpu" else 0.0,
            grace_s=self.settings.queue.grace_s,
        )
        self._trees[job.id] = tree
        return OnNode(tree)

    def find(self, job: Job, folder: Path) -> Work | None:
        """None: nothing outlives the service that started it."""
        return None

    def end(self, job: str) -> int:
        """Kill the job's tree."""
        tree = self._trees.pop(job, None)
        if tree is None or tree.look() in ("ended", "lost"):
            return 0
        tree.kill()
        deadline = time.monotonic() + END_WITHIN_S
        while tree.look(0.2) not in ("ended", "lost"):
            if time.monotonic() > deadline:
                return 1
        return 0

    def close(self) -> None:
        """Leave the cluster."""
        self.cluster.close()


class OnNode:
    """Work on a node."""

    def __init__(self, tree: RemoteTree) -> None:
        self._tree = tree

    @property
    def status(self) -> int | None:
        """With which it left; None where it was lost with its node."""
        return self._tree.status

    def has_ended(self) -> bool:
        """Whether it has left or is lost."""
        return self._tree.look() in ("ended", "lost")

    def ask_to_stop(self) -> None:
        """Ask the leash on the node to pass it on."""
        self._tree.ask_to_stop()
