"""The benchmark of load, small: nothing is lost and nothing is done twice, whatever is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOAD = Path(__file__).parents[2] / "benchmarks" / "service" / "load.py"


def under_load(*options: str) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, str(LOAD), "--clients", "4", *options],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one service", "several machines"])
def test_every_accepted_job_is_finished_once_though_the_service_is_killed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    options = ["--jobs", "10"]
    if kind == "several machines":
        for server in ("redis_server", "postgres_server"):  # skips where a program is missing
            request.getfixturevalue(server)
        options += ["--shared"]
    row = under_load(*options)
    assert row["killed"] == (["server", "worker"] if row["shared"] else ["server"])
    assert row["states"] == {"succeeded": 10}
    assert (row["accepted"], row["runs"], row["lost"]) == (10, 10, 0)
    assert row["finished_more_than_once"] == 0
    assert row["wrong_results"] == 0
