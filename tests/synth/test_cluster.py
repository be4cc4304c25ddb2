"""The same cleaning on a real Ray cluster: the same bytes, also where a worker is killed."""

import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from servers import free_port

from fovea.errors import BackendError, DataError

pytest.importorskip("ray", reason="needs the package ray")
os.environ.setdefault("RAY_agent_register_timeout_ms", "300000")  # a busy machine is slow to begin
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of sockets and of what it will change
]
PROCESS = [
    {"words_num_filter": {"min_num": 3}},
    {"image_deduplicator": {"consider_text": True}},
    {"replace_content_mapper": {"pattern": "word1", "repl": "one"}},
    {"random_selector": {"select_ratio": 0.5}},
    {"image_shape_filter": {"max_width": 50}},
]
SLOW_OPERATOR = """
import time
from pathlib import Path
from fovea.config import setting
from fovea.synth.operator import TextMapper
from fovea.synth.operators import register

@register("slow_mapper")
class Slow(TextMapper):
    '''Says who is at work, and takes its time over it.'''
    marks: str = setting("", "folder of marks")

    def change(self, text):
        import os
        (Path(self.marks) / str(os.getpid())).touch()
        time.sleep(0.02)
        return text
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of one node with room for two workers.

    Its agents are given their ports, so that a busy machine need not wait for them to choose.
    """
    from ray.cluster_utils import Cluster as Nodes

    agents = ("metrics_agent", "metrics_export", "dashboard_agent_listen", "runtime_env_agent")
    ports = {f"{agent}_port": free_port() for agent in agents}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Any = Nodes(
            initialize_head=True,
            head_node_args={"num_cpus": 2, "include_dashboard": False, **ports},
        )
    yield made.address
    made.shutdown()


def test_a_cluster_gives_the_bytes_of_one_process(cleaning, captions: Path, address: str) -> None:
    plain = cleaning(captions, PROCESS, name="plain", shard_rows=6)
    ray = {"executor_type": "ray", "ray_address": address, "shard_rows": 6}
    assert cleaning(captions, PROCESS, name="ray", **ray).content() == plain.content()
    parts = list((cleaning.folder / "ray" / "parts").glob("*/about.json"))
    times = [part.stat().st_mtime_ns for part in parts]
    again = cleaning(captions, PROCESS, name="ray", **ray)
    assert again.content() == plain.content()
    assert times == [part.stat().st_mtime_ns for part in parts], "what is done is taken up"


def test_a_worker_that_is_killed_costs_nothing(
    cleaning, captions: Path, address: str, tmp_path: Path
) -> None:
    source, marks = tmp_path / "own.py", tmp_path / "marks"
    source.write_text(SLOW_OPERATOR)
    marks.mkdir()
    process = [{"slow_mapper": {"marks": str(marks)}}, {"document_deduplicator": None}]
    own = {"custom_operator_paths": [str(source)], "shard_rows": 20}
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for mark in marks.iterdir():
                os.kill(int(mark.name), signal.SIGKILL)
                killed.append(int(mark.name))
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    done = cleaning(
        captions, process, name="killed", executor_type="ray", ray_address=address, **own
    )
    thread.join()
    assert killed
    assert not psutil.pid_exists(killed[0])
    assert len(list(marks.iterdir())) > 1, "another process went on"
    plain = cleaning(captions, process, name="plain", **own)
    assert done.content() == plain.content()
    assert not list((cleaning.folder / "killed").glob("parts/.draft-*/about.json"))


def test_a_row_that_stops_the_run_stops_it_with_its_own_words(
    cleaning, captions: Path, address: str
) -> None:
    (captions.parent / "images" / "007.png").unlink()
    with pytest.raises(DataError, match=r"007\.png does not exist"):
        cleaning(
            captions, [{"image_shape_filter": None}], skip_op_error=False,
            executor_type="ray_partitioned", ray_address=address,
        )  # fmt: skip


def test_no_cluster_is_told_at_once(cleaning, captions: Path) -> None:
    with pytest.raises(BackendError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        cleaning(captions, [], executor_type="ray", ray_address="127.0.0.1:1")


def test_what_a_worker_is_told_is_small(captions: Path) -> None:
    from fovea.synth.plan import plan_of
    from fovea.synth.settings.clean import CleanConfig

    config = CleanConfig(dataset_path=captions, process=PROCESS)
    plan = plan_of(config, seed=0, root=captions.parent)
    assert len(pickle.dumps(plan)) < 20_000
