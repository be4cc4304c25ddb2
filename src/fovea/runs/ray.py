"""Process trees on the nodes of a Ray cluster: started, asked to stop, ended, and their end seen.

Ray only finds the place. The work is an ordinary command, `fovea run ...` or any trainer, in a
session of its own on the node that was chosen; an actor there holds its leash (`runs/leash.py`), so
that nothing of it outlives the actor, the driver, or the node's membership in the cluster.

    with Cluster("auto") as cluster:
        tree = cluster.start(["fovea", "run", "recipe.yaml"], cwd=folder, console=folder / "log")
        while tree.look() in ("waiting", "running"):
            time.sleep(0.25)
        tree.status                      # the command's exit status; None where the node was lost

Nodes see the same files as the driver, under the same paths, and have the same packages.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fovea.errors import BackendError
from fovea.runs.lock import TOKEN

State = Literal["waiting", "running", "ended", "lost"]
"""Waiting for a free place, at work, ended by itself or by us, or lost with its node."""
GRACE_S = 30.0
LOOK_S = 2.0
KNOCK_S = 5.0
"""So long a call waits on the node for the end, before it says that there is none yet."""


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    id: str
    host: str
    is_alive: bool
    cpus: float
    gpus: float


class Cluster:
    """A Ray cluster that this process has joined as a driver. Close it, or use it in a `with`."""

    def __init__(self, address: str = "auto") -> None:
        """Join the cluster.

        Args:
            address: `auto` for the one of this machine, `host:6379`, or `local` for one of its own.

        Raises:
            BackendError: Ray is not installed, or no cluster answers there.
        """
        self.address = address
        self._ray = _ray()
        try:
            _knock(address)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what Ray will change one day
                self._ray.init(
                    address=address,
                    namespace="fovea",
                    ignore_reinit_error=True,
                    log_to_driver=False,
                    logging_level="error",
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise BackendError(
                f"no Ray cluster answers at '{address}': {error}. Start one with 'ray start "
                "--head', give its address as host:6379, or say local."
            ) from None

    def nodes(self) -> list[Node]:
        """The machines that are or were part of it."""
        return [
            Node(
                node["NodeID"],
                node["NodeManagerHostname"],
                bool(node["Alive"]),
                float(node["Resources"].get("CPU", 0)),
                float(node["Resources"].get("GPU", 0)),
            )
            for node in self._ray.nodes()
        ]

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        console: Path,
        environment: Mapping[str, str] | None = None,
        token: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        resources: Mapping[str, float] | None = None,
        grace_s: float = GRACE_S,
    ) -> RemoteTree:
        """Start a command on a node that has room for it, now or when there is some.

        Args:
            argv: the command; no shell reads it.
            cwd: where it works.
            console: the file that its output is appended to.
            environment: variables over those of the node.
            token: the mark that its processes carry; a new one when left out.
            cpus: how many cores it takes from the node.
            gpus: how many GPUs; it sees only those.
            resources: further resources of the cluster's own naming.
            grace_s: how long it has to save and leave once it was asked to.
        """
        token = token or uuid.uuid4().hex
        marks = ":".join(filter(None, [(environment or {}).get(TOKEN), token]))
        order = {"argv": list(argv), "cwd": str(cwd), "console": str(console)}
        order |= {"token": token, "grace_s": grace_s}
        made: Any = self._ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            resources=dict(resources or {}),
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
        )(_Holder)
        holder = made.remote(order, {**(environment or {}), TOKEN: marks})
        return RemoteTree(self._ray, holder, token)

    def close(self) -> None:
        """Leave the cluster; what is still at work there ends."""
        self._ray.shutdown()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()


class RemoteTree:
    """A command at work on some node, with all that it starts."""

    def __init__(self, ray: Any, holder: Any, token: str) -> None:
        self.token = token
        self.node = ""
        """The host it works on, once that is known."""
        self.pid: int | None = None
        """Of its leash, on that host."""
        self.status: int | None = None
        """The exit status once it has ended: negative for a signal, None where it was lost."""
        self.out_of_memory = False
        self.peak_mb = 0.0
        """The most memory that one of its processes held."""
        self._ray, self._holder = ray, holder
        self._state: State = "waiting"
        self._asked = holder.start.remote()

    def look(self, patience_s: float = 0.0) -> State:
        """How it stands; waits so long for news at most."""
        if self._state in ("ended", "lost"):
            return self._state
        news, _ = self._ray.wait([self._asked], timeout=patience_s)
        if not news:
            return self._state
        try:
            told: dict[str, Any] = self._ray.get(self._asked)
        except self._ray.exceptions.RayError:
            self._state = "lost"
            return self._state
        self.node, self.pid = told["host"], told["pid"]
        if "status" in told:
            self.status, self.out_of_memory = told["status"], told["out_of_memory"]
            self.peak_mb, self._state = told["peak_mb"], "ended"
            self._ray.kill(self._holder)
        else:
            self._state = "running"
            self._asked = self._holder.look.remote()
        return self._state

    def ask_to_stop(self) -> None:
        """Ask it to save and leave; after its grace it is killed."""
        if self._state in ("waiting", "running"):
            self._holder.ask_to_stop.remote()

    def kill(self) -> None:
        """End all of it at once. `look` says `lost` afterwards, and `status` stays None."""
        self._ray.kill(self._holder)


class _Holder:
    """The actor on the node: it holds the leash, which ends the tree when it is let go."""

    def __init__(self, order: dict[str, Any], environment: dict[str, str]) -> None:
        self._order, self._environment = order, environment
        self._leash: subprocess.Popen[str] | None = None
        self._where: dict[str, Any] = {}

    def start(self) -> dict[str, Any]:
        self._leash = subprocess.Popen(
            [sys.executable, "-m", "fovea.runs.leash", json.dumps(self._order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )
        self._where = {"host": socket.gethostname(), **self._line()}
        return self._where

    def look(self) -> dict[str, Any]:
        """Wait a moment for the end."""
        assert self._leash is not None
        assert self._leash.stdout is not None
        ready, _, _ = select.select([self._leash.stdout], [], [], LOOK_S)
        return self._where | (self._line() if ready else {})

    def ask_to_stop(self) -> None:
        assert self._leash is not None
        assert self._leash.stdin is not None
        with suppress(BrokenPipeError):
            self._leash.stdin.write("stop\n")
            self._leash.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self._leash is not None
        assert self._leash.stdout is not None
        line = self._leash.stdout.readline()
        killed = {"pid": self._leash.pid, "status": -signal.SIGKILL}
        return json.loads(line) if line else killed | {"out_of_memory": False, "peak_mb": 0.0}


def _knock(address: str) -> None:
    """Look whether anybody listens there: Ray itself would wait for minutes.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "//" not in address:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise BackendError(
            "work on a Ray cluster needs Ray, which is not installed. Run: pip install "
            "'fovea-vision[ray]'."
        ) from None
    return ray
