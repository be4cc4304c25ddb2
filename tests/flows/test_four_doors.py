"""One Config through flags, a file, HTTP and a study: the same bytes, the same fingerprint."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fovea import dialect
from fovea.cli import main
from fovea.runs.run import all_runs, execute
from fovea.tuning.plan import load as load_study
from fovea.tuning.trial import resolve as resolve_trial

SAMPLE = "still_life"
SETTINGS = {
    "iterations": 2,
    "resolution": 8,
    "start": {"points": "random", "count": 150},
    "rates": {"opacities": 0.1},
    "densify": {"gradient": 1e-4},
}


def flat(settings: dict, above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in settings.items():
        path = f"{above}{key}"
        found |= flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


@pytest.fixture(scope="module")
def sample() -> Path:
    import fovea

    return Path(fovea.__file__).parent / "samples" / SAMPLE


def made_in(root: Path) -> tuple[bytes, str]:
    """The bytes of the stage's config.yaml, and its fingerprint."""
    stage = all_runs(root)[-1].stages[-1]
    assert stage.use == "relight.fit"
    return (
        all_runs(root)[-1].folder / stage.folder / "config.yaml"
    ).read_bytes(), stage.fingerprint


@pytest.fixture(scope="module")
def by_flags(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    root = tmp_path_factory.mktemp("flags")
    words = [f"--{key}={value}" for key, value in flat(SETTINGS).items()]
    assert main(["relight", "fit", str(sample), *words, "--root", str(root), "--quiet"]) == 0
    return made_in(root)


def test_a_file_says_the_same(sample: Path, tmp_path: Path, by_flags):
    (tmp_path / "fit.yaml").write_text(dialect.dump({"data": str(sample), **SETTINGS}))
    words = [
        "relight",
        "fit",
        "--config",
        str(tmp_path / "fit.yaml"),
        "--root",
        str(tmp_path / "r"),
    ]
    assert main([*words, "--quiet"]) == 0
    assert made_in(tmp_path / "r") == by_flags


def test_a_study_says_the_same(sample: Path, tmp_path: Path, by_flags):
    chosen = {"rates.opacities": 0.1, "densify.gradient": 1e-4}
    (tmp_path / "base.yaml").write_text(dialect.dump({"data": str(sample), **SETTINGS}))
    study = {
        "study": "doors",
        "target": {"stage": "relight.fit", "config": "base.yaml"},
        "objective": {"metric": "test/psnr", "goal": "max"},
        "space": {
            "rates.opacities": {"float": [0.01, 0.2]},
            "densify.gradient": {"float": [1e-5, 1e-3]},
        },
        "budget": {"trials": 1},
    }
    (tmp_path / "study.yaml").write_text(dialect.dump(study))
    plan = load_study(tmp_path / "study.yaml")
    config = resolve_trial(plan, chosen).config
    execute(plan.target.recipe_of(config), root=tmp_path / "r", device="cpu")
    assert made_in(tmp_path / "r") == by_flags


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "fovea", "serve", "--port", "0", "--device", "cpu"]
    service = subprocess.Popen(
        [*command, "--runs", "runs"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    try:
        yield service.stdout.readline().strip().rstrip("/")
    finally:
        service.terminate()
        service.wait(30)
        service.stdout.close()


def test_a_request_says_the_same(address: str, tmp_path: Path, by_flags):
    body = {"data": f"samples/{SAMPLE}", **SETTINGS}
    with httpx.Client(base_url=address, timeout=60) as client:
        answer = client.post("/v1/jobs/relight.fit", json=body)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        with client.stream("GET", f"/v1/jobs/{job}/events", timeout=120) as events:
            for _ in events.iter_lines():
                pass
        state = client.get(f"/v1/jobs/{job}").json()
    assert state["state"] == "succeeded", json.dumps(state)[:500]
    made = list(tmp_path.rglob("run.json"))
    assert len(made) == 1
    assert made_in(made[0].parent.parent) == by_flags
