"""Commands on a real Ray cluster of several nodes, all on this machine."""

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fovea.runs import processes
from fovea.runs.lock import TOKEN
from fovea.runs.ray import Cluster, RemoteTree

pytest.importorskip("ray", reason="needs the package ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of sockets and of what it will change
]
FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("begun", flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of a head without room for work, to which tests add nodes."""
    from ray.cluster_utils import Cluster as Nodes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Nodes(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def cluster(nodes: Any) -> Iterator[Cluster]:
    nodes.add_node(num_cpus=2)
    with Cluster(nodes.address) as joined:
        yield joined


def family(cluster: Cluster, folder: Path, seconds: float, status: int, **more: Any) -> RemoteTree:
    argv = [sys.executable, "-c", FAMILY, str(seconds), str(status)]
    return cluster.start(argv, cwd=folder, console=folder / "console.log", **more)


def until(is_so: Callable[[], bool], patience_s: float = 90.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def begun(folder: Path) -> bool:
    path = folder / "console.log"
    return path.is_file() and "begun" in path.read_text()


def test_a_command_ends_with_its_status_and_leaves_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    tree = family(cluster, tmp_path, 0.1, 7)
    until(lambda: tree.look(0.5) not in ("waiting", "running"))
    assert (tree.look(), tree.status) == ("ended", 7)
    assert tree.node
    assert tree.peak_mb > 1
    until(lambda: processes.carrying(TOKEN, tree.token) == [])


def test_a_command_that_is_not_there_says_so(cluster: Cluster, tmp_path: Path) -> None:
    tree = cluster.start(["no-such-command"], cwd=tmp_path, console=tmp_path / "console.log")
    until(lambda: tree.look(0.5) == "ended")
    assert tree.status == 127
    assert "no-such-command cannot be started" in (tmp_path / "console.log").read_text()


def test_it_stops_when_it_is_asked_to(cluster: Cluster, tmp_path: Path) -> None:
    tree = family(cluster, tmp_path, 600, 0)
    until(lambda: tree.look(0.1) == "running" and begun(tmp_path))
    tree.ask_to_stop()
    until(lambda: tree.look(0.5) == "ended")
    assert tree.status == -15
    until(lambda: processes.carrying(TOKEN, tree.token) == [])


def test_a_kill_ends_the_tree_on_its_node(cluster: Cluster, tmp_path: Path) -> None:
    tree = family(cluster, tmp_path, 600, 0)
    until(lambda: begun(tmp_path))
    assert processes.carrying(TOKEN, tree.token)
    tree.kill()
    until(lambda: tree.look(0.5) == "lost")
    until(lambda: processes.carrying(TOKEN, tree.token) == [])


def test_what_finds_no_room_waits(cluster: Cluster, tmp_path: Path) -> None:
    tree = family(cluster, tmp_path, 0, 0, resources={"seat": 1})
    assert tree.look(1.0) == "waiting"
    tree.kill()


def test_a_node_that_dies_takes_its_trees_with_it(
    nodes: Any, cluster: Cluster, tmp_path: Path
) -> None:
    doomed = nodes.add_node(num_cpus=1, resources={"doomed": 1})
    tree = family(cluster, tmp_path, 600, 0, resources={"doomed": 1})
    until(lambda: tree.look(0.1) == "running" and begun(tmp_path))
    assert tree.pid is not None
    assert psutil.pid_exists(tree.pid)
    nodes.remove_node(doomed, allow_graceful=False)
    until(lambda: tree.look(0.5) == "lost")
    assert tree.status is None
    until(lambda: processes.carrying(TOKEN, tree.token) == [])


def test_an_address_where_nobody_is_is_refused() -> None:
    script = (
        "from fovea.runs.ray import Cluster\n"
        "from fovea.errors import BackendError\n"
        "try: Cluster('127.0.0.1:1')\n"
        "except BackendError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "no Ray cluster answers at '127.0.0.1:1'" in said.stdout
