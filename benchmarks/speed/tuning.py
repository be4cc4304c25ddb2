"""What a trial costs beside plain Optuna: the same 60 trials of the same command.

    python benchmarks/speed/tuning.py --out benchmarks/results/tuning-CPU.json

The objective is a child process that writes one number. Plain Optuna starts it with
`subprocess.run`, reads the number and returns it; fovea follows it, writes its folder, its config
and its numbers, scans for what it left running, and knows how to go on after a kill. Both ask TPE
and store in SQLite. Rounds are interleaved; times are wall and CPU times of this process, without
the child's; what is not the child's own start and end is overhead.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from record import write_record

from fovea import dialect
from fovea.tuning.plan import load
from fovea.tuning.study import Study

CHILD = """
import json, os, sys
x = float(sys.argv[1])
path = os.path.join(os.environ.get("FOVEA_TRIAL_DIR", "."), "end.json")
with open(path, "w") as file:
    json.dump({"loss": (x - 2) ** 2}, file)
"""


def child(folder: Path, x: float) -> list[str]:
    """The command of one trial."""
    return [sys.executable, "-SE", str(folder / "child.py"), repr(x)]


def alone(folder: Path, trials: int) -> list[float]:
    """Seconds that the child alone takes, started and waited for."""
    times: list[float] = []
    for number in range(trials):
        began = time.perf_counter()
        subprocess.run(child(folder, number / trials), cwd=folder, check=True)
        times.append(time.perf_counter() - began)
    return times


def plain(folder: Path, trials: int) -> None:
    """The trials with Optuna as its tutorial has it."""

    def objective(trial: optuna.Trial) -> float:
        subprocess.run(child(folder, trial.suggest_float("x", -5, 5)), cwd=folder, check=True)
        return json.loads((folder / "end.json").read_text())["loss"]

    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True)
    study = optuna.create_study(storage=f"sqlite:///{folder}/plain.db", sampler=sampler)
    study.optimize(objective, n_trials=trials)


def ours(folder: Path, trials: int) -> None:
    """The same trials as a study of fovea."""
    argv = [*child(folder, 0.0)[:-1], "{param:x}"]
    command = {"argv": argv, "metrics": [{"json": "end.json", "final": True}]}
    data = {
        "study": "speed",
        "target": {"command": command},
        "objective": {"metric": "loss", "goal": "min"},
        "space": {"x": {"float": [-5, 5]}},
        "budget": {"trials": trials},
        "resources": {"min_free": 0},
        "track": {"tensorboard": False},
    }
    (folder / "study.yaml").write_text(dialect.dump(data))
    plan = load(folder / "study.yaml")
    with Study.create(plan, folder / "study") as study:
        ending = study.run(plan)
        assert ending.exit_code == 0, ending


def measured(work: Any, trials: int) -> dict[str, float]:
    """Wall and CPU milliseconds a trial of one round in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "child.py").write_text(CHILD)
        wall, cpu = time.perf_counter(), time.process_time()
        work(Path(folder), trials)
        return {
            "wall": 1e3 * (time.perf_counter() - wall) / trials,
            "cpu": 1e3 * (time.process_time() - cpu) / trials,
        }


def main() -> int:
    """Measure, say it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    works = {"child alone": alone, "plain Optuna": plain, "fovea": ours}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    measured(ours, 2)  # imports
    for _ in range(options.rounds):
        for name, work in works.items():
            found[name].append(measured(work, options.trials))
    rows = [
        {
            "what": name,
            "wall_ms_a_trial": round(statistics.median(one["wall"] for one in rounds), 1),
            "cpu_ms_a_trial": round(statistics.median(one["cpu"] for one in rounds), 1),
        }
        for name, rounds in found.items()
    ]
    by_name = {row["what"]: row for row in rows}
    over = {
        "wall_ms_over_optuna": round(
            by_name["fovea"]["wall_ms_a_trial"] - by_name["plain Optuna"]["wall_ms_a_trial"], 1
        ),
        "cpu_ms_over_optuna": round(
            by_name["fovea"]["cpu_ms_a_trial"] - by_name["plain Optuna"]["cpu_ms_a_trial"], 1
        ),
    }
    sys.stdout.write(json.dumps({"rows": rows, **over}, indent=1) + "\n")
    write_record(options.out, "speed/tuning", rows, trials=options.trials, **over)
    return 0


if __name__ == "__main__":
    sys.exit(main())
