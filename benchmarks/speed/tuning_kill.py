"""A study under fire: `kill -9` of its controller, its workers and its trials, at random moments.

    python benchmarks/speed/tuning_kill.py --trials 60 --kills 100

Three workers on one SQLite; a trial is a process with a child in a session of its own. Whenever as
many kills are due as the trials that are finished allow for, one process is chosen and killed; a
killed controller is started again with the same command. At the end: the budget is exact, no
process is left, every trial that was ever seen finished still is, with its value, and none was
counted twice. It leaves with 1 where any of that is not so.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from fovea import dialect
from fovea.tuning.study import Study

TRIAL = """
import json, os, pathlib, subprocess, sys, time
folder = pathlib.Path(os.environ["FOVEA_TRIAL_DIR"])
subprocess.Popen(["sleep", "600"], start_new_session=True)
x = float(sys.argv[1])
for step in range(1, 6):
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "loss": (x - 2) ** 2 + 1 / step}) + "\\n")
    time.sleep(float(sys.argv[2]) / 5)
(folder / "end.json").write_text(json.dumps({"loss": (x - 2) ** 2}))
"""
SHARES = {"controller": 2, "worker": 4, "trial": 4}
"""How often each kind is chosen, of ten kills."""


class Fire:
    """One study and whoever shoots at it."""

    def __init__(self, folder: Path, *, trials: int, kills: int, seconds: float, seed: int) -> None:
        self.folder, self.trials, self.kills = folder, trials, kills
        self.random = random.Random(seed)
        self.shot: Counter[str] = Counter()
        self.seen: dict[int, float] = {}
        self.troubles: list[str] = []
        (folder / "trial.py").write_text(TRIAL)
        argv = [sys.executable, "-SE", "trial.py", "{param:x}", str(seconds)]
        metrics = [{"jsonl": "log.jsonl"}, {"json": "end.json", "final": True}]
        study = {
            "study": "fire",
            "target": {"command": {"argv": argv, "metrics": metrics}},
            "objective": {"metric": "loss", "goal": "min"},
            "space": {"x": {"float": [-5, 5]}},
            "search": {"method": "random", "seed": seed},
            "prune": {"method": "none"},
            "budget": {"trials": trials},
            "trial": {"abort_after": 10**6, "keep": "all"},
            "resources": {"workers": 3, "threads": 1, "min_free": 0},
            "track": {"tensorboard": False},
        }
        (folder / "study.yaml").write_text(dialect.dump(study))

    def run(self) -> int:
        """Shoot until all is done; gives the last exit status."""
        controller = self.start()
        while (status := controller.poll()) is None or status == -signal.SIGKILL:
            if status is not None:
                controller = self.start()
            time.sleep(self.random.uniform(0.02, 0.1))
            finished = self.look()
            if sum(self.shot.values()) < self.kills * (finished + 1) / self.trials:
                time.sleep(self.random.uniform(0.0, 0.5))
                self.shoot(controller)
        return status

    def start(self) -> subprocess.Popen[bytes]:
        call = [sys.executable, "-m", "fovea", "tune", "study.yaml"]
        with (self.folder / "controller.log").open("ab") as log:
            return subprocess.Popen(
                call, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def shoot(self, controller: subprocess.Popen[bytes]) -> None:
        """Kill one process, where there is one of the kind that was chosen."""
        if controller.poll() is not None or sum(self.shot.values()) >= self.kills:
            return
        kind = self.random.choices(list(SHARES), list(SHARES.values()))[0]
        try:
            tree = psutil.Process(controller.pid).children()
        except psutil.NoSuchProcess:
            return
        targets = {
            "controller": [controller.pid],
            "worker": [one.pid for one in tree if "fovea.tuning.child" in words(one)],
            "trial": self.processes(),
        }[kind]
        if not targets:
            return
        try:
            os.kill(self.random.choice(targets), signal.SIGKILL)
        except ProcessLookupError:
            return
        self.shot[kind] += 1

    def look(self) -> int:
        """Note the trials that are finished now; says how many."""
        path = self.folder / "studies/fire/study.db"
        if not path.is_file():
            return 0
        query = (
            "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
            "WHERE state = 'COMPLETE'"
        )
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60) as database:
                found = dict(database.execute(query).fetchall())
        except sqlite3.OperationalError:
            return len(self.seen)
        for number, value in self.seen.items():
            if found.get(number) != value:
                self.troubles.append(f"trial {number} had {value}, and has {found.get(number)}")
        self.seen = found
        return len(found)

    def processes(self) -> list[int]:
        """All that belongs to a trial of this study."""
        found: list[int] = []
        for process in psutil.process_iter():
            try:
                if str(self.folder) in process.environ().get("FOVEA_TRIAL_DIR", ""):
                    found.append(process.pid)
            except (psutil.Error, OSError):
                continue
        return found

    def verdict(self) -> dict[str, Any]:
        """What became of it; `troubles` is filled with what should not be."""
        with Study.open(self.folder / "studies/fire") as study:
            records = study.records
        complete = [one for one in records if one.state == "complete"]
        if len(complete) != self.trials:
            self.troubles.append(f"{len(complete)} trials are complete, not {self.trials}")
        if left := self.processes():
            self.troubles.append(f"processes are left: {left}")
        for one in complete:
            wanted = (one.parameters["x"] - 2) ** 2
            if abs(one.values[0] - wanted) > 1e-9:
                self.troubles.append(f"trial {one.number} has {one.values[0]}, not {wanted}")
        parents = {one.number: one.retry_of for one in records}
        roots: list[int] = []
        for one in complete:
            root = one.number
            while (parent := parents[root]) is not None:
                root = parent
            roots.append(root)
        if twice := [root for root, count in Counter(roots).items() if count > 1]:
            self.troubles.append(f"counted twice: {twice}")
        states = Counter(one.failure or one.state for one in records)
        return {
            "trials": self.trials,
            "kills": dict(self.shot),
            "records": dict(states),
            "retries": sum(one.retry_of is not None for one in records),
            "troubles": self.troubles,
        }


def words(process: psutil.Process) -> list[str]:
    """The command line of a process that may be gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def main() -> int:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a trial takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for the record")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fovea-fire-") as folder:
        fire = Fire(
            Path(folder),
            trials=options.trials,
            kills=options.kills,
            seconds=options.seconds,
            seed=options.seed,
        )
        status = fire.run()
        told = fire.verdict() | {"seconds": round(time.monotonic() - began, 1)}
        if status != 0:
            log = (Path(folder) / "controller.log").read_text()[-2000:]
            fire.troubles.append(f"fovea tune left with {status}: {log}")
    sys.stdout.write(dialect.dump(told))
    if options.out is not None:
        from record import write_record

        write_record(options.out, "speed/tuning-kill", [told])
    return 1 if fire.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
