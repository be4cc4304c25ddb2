"""Trials on a real Ray cluster of several nodes, all on this machine; one of them dies."""

import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fovea.tuning import remote
from fovea.tuning.ending import Ending
from fovea.tuning.plan import load
from fovea.tuning.study import Study

pytest.importorskip("ray", reason="needs the package ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of sockets and of what it will change
]
StudyFile = Callable[..., Path]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
    made.add_node(num_cpus=1)
    yield made
    if remote.cluster.cache_info().currsize:
        remote.cluster(made.address).close()
        remote.cluster.cache_clear()
    made.shutdown()


def living(folder: Path) -> list[int]:
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("FOVEA_TRIAL_DIR", ""):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_when_a_node_dies_its_trial_is_tried_on_another_and_the_budget_is_exact(
    quick_study: StudyFile, tmp_path: Path, nodes: Any
) -> None:
    doomed = nodes.add_node(num_cpus=1)
    cluster = {"executor": "ray", "cluster": nodes.address, "workers": 2}
    plan = load(quick_study(pause=4.0, budget={"trials": 4}, resources=cluster))
    trials = tmp_path / "studies/quick/trials"

    def strike() -> None:
        while len(list(trials.glob("*/log.jsonl"))) < 2:
            time.sleep(0.05)
        nodes.remove_node(doomed, allow_graceful=False)

    striker = threading.Thread(target=strike)
    with Study.create(plan) as study:
        striker.start()
        ending = study.run(plan)
        striker.join()
        records = study.records
    assert ending == Ending("all 4 trials are done")
    assert Counter(one.state for one in records)["complete"] == 4
    lost = [one for one in records if one.failure == "node_lost"]
    assert lost
    for one in lost:
        again = next(other for other in records if other.retry_of == one.number)
        assert again.parameters == one.parameters
    until = time.monotonic() + 30
    while living(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert living(tmp_path) == []


def test_a_stage_is_run_on_a_node_and_followed_from_here(study_file: StudyFile, nodes: Any) -> None:
    plan = load(
        study_file(
            fixed={"steps": 6, "pause_s": 0.2},
            prune={"method": "threshold", "lower": -1},
            enqueue=[{"x": 2.0, "depth": 3}, {"x": -5.0, "depth": 3}],
            baseline=False,
            budget={"trials": 2},
            resources={"executor": "ray", "cluster": nodes.address, "min_free": 0},
            track={"tensorboard": False},
        )
    )
    with Study.create(plan) as study:
        study.run(plan)
        records = study.records
    assert [one.state for one in records] == ["complete", "pruned"]
    assert sorted(records[0].points) == [1, 2, 3, 4, 5, 6]
    assert records[0].values[0] == 31.0
