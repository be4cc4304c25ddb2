"""Trials on a Ray cluster: the study asks, listens and tells here, the work is done on a node.

A trial of a stage is `fovea run` on the node, a command is the command itself; both write into the
trial's folder, which all nodes see under the same path. A trial whose node is lost is tried again
as one whose process was lost, from its last checkpoint.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from fovea.runs.child import STOP_FILE
from fovea.runs.durable import write_json, write_text
from fovea.runs.events import Follower
from fovea.runs.lock import me
from fovea.runs.processes import tail
from fovea.runs.ray import Cluster, RemoteTree
from fovea.runs.recipe import Recipe
from fovea.runs.run import Run
from fovea.tuning.definition import Resources
from fovea.tuning.outcome import Outcome
from fovea.tuning.plan import Plan
from fovea.tuning.watch import Watch

POLL_S = 0.25
LOST_STATUS = -9
PATH = "PYTHONPATH"
"""Where stages of one's own are found; a node has to look there too."""


@functools.cache
def cluster(address: str) -> Cluster:
    """The cluster at an address; joined once, and left with this process."""
    return Cluster(address)


def execute(plan: Plan, recipe: Recipe, folder: Path, watch: Watch) -> Run | Outcome:
    """Run a recipe on a node, in the trial's folder; an outcome where that came to no end.

    Raises:
        BackendError: no cluster answers.
    """
    folder = folder.absolute()
    run, path = folder / "run", folder / "recipe.yaml"
    write_text(path, recipe.to_yaml())
    follower = Follower.from_end(run / "events.jsonl")
    call = [sys.executable, "-m", "fovea", "run", str(path), "--run", str(run)]
    tree = RemoteCommand(
        plan.file.resources,
        (*call, "--log-format", "lines"),
        folder=folder,
        cwd=Path.cwd(),
        environment={PATH: os.environ[PATH]} if PATH in os.environ else {},
        grace_s=plan.file.trial.grace,
    )
    with tree:
        while not tree.ended():
            for event in follower.new():
                watch(event)
            if watch.asked_to_stop() and run.is_dir():
                (run / STOP_FILE).touch()
                tree.ask_to_stop()
            time.sleep(POLL_S)
    for event in follower.new():
        watch(event)
    if tree.is_lost and watch.reason != "interrupted":
        text = "the node of the cluster was lost"
        return Outcome("failed", failure="node_lost", message=text)
    if tree.is_lost:
        return Outcome("interrupted", failure="interrupted")
    if not (run / "run.json").is_file() or Run(run).manifest["state"] == "running":
        text = f"the run on the node came to no end; its last words:\n{tail(tree.console)}"
        return Outcome("failed", failure="error", message=text)
    return Run(run)


class RemoteCommand:
    """A command on a node, with the words of a `ProcessTree` of this machine."""

    def __init__(
        self,
        resources: Resources,
        argv: tuple[str, ...],
        *,
        folder: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        grace_s: float,
    ) -> None:
        """Start it as soon as a node has room.

        Raises:
            BackendError: no cluster answers.
        """
        self.console = folder / "console.log"
        self.is_lost = False
        threads = 1.0 if resources.threads == "auto" else float(resources.threads)
        self._tree: RemoteTree = cluster(resources.cluster).start(
            argv,
            cwd=cwd,
            console=self.console,
            environment={"FOVEA_TRIAL_DIR": str(folder), **(environment or {})},
            cpus=threads,
            gpus=resources.gpus_per_trial if _has_gpus(resources.cluster) else 0,
            grace_s=grace_s,
        )
        write_json(folder / "owner.json", me() | {"token": self._tree.token})
        self._was_asked = False

    @property
    def token(self) -> str:
        """What its processes carry."""
        return self._tree.token

    def ended(self) -> bool:
        """Whether it has ended, or its node was lost."""
        state = self._tree.look()
        self.is_lost = state == "lost"
        return state in ("ended", "lost")

    def ask_to_stop(self, grace_s: float = 0.0) -> None:
        """Ask it once to save and leave, within the grace it was started with."""
        if not self._was_asked:
            self._was_asked = True
            self._tree.ask_to_stop()

    def kill(self) -> None:
        """End all of it now."""
        self._tree.kill()

    def finish(self) -> int:
        """Its exit status."""
        (self.console.parent / "owner.json").unlink(missing_ok=True)
        return LOST_STATUS if self._tree.status is None else self._tree.status

    def ran_out_of_memory(self) -> bool:
        """Whether the node's kernel has ended a process for want of memory meanwhile."""
        return self._tree.out_of_memory

    def trim_console(self, most: int = 0) -> bool:
        """A console on a node is left as it is."""
        return False

    def __enter__(self) -> RemoteCommand:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.kill()
        self.finish()


def _has_gpus(address: str) -> bool:
    return any(node.gpus for node in cluster(address).nodes() if node.is_alive)
