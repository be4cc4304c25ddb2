"""What is known of a study as data: `report.json` and `trials.csv`."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import math
import platform
import time
from typing import Any

from fovea.tuning import history
from fovea.tuning.report.panels import hypervolumes
from fovea.tuning.report.view import View, spread

PACKAGES = ("fovea-vision", "optuna", "numpy", "torch")


def data(view: View) -> dict[str, Any]:
    """All that is known of a study, as plain data."""
    records, best, base = view.records, view.best, view.base
    is_single = len(view.goals) == 1
    gain = best.values[0] - base.values[0] if best and base and is_single else None
    steps = hypervolumes(view.records, view.goals)
    return {
        "schema": 2,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "study": view.name,
        "id": view.study.id,
        "stage": view.study.use,
        "objectives": [vars(goal) for goal in view.goals],
        "best": best.number if best else None,
        "baseline": base.number if base else None,
        "gain": gain,
        "front": [record.number for record in view.front],
        "hypervolume": steps[-1][1] if steps else None,
        "seconds": round(sum(record.seconds for record in records), 3),
        "gpu_hours": round(view.gpu_seconds() / 3600, 4),
        "saved_seconds": round(history.saved_seconds(records), 3),
        "importances": view.importances,
        "fanova": view.fanova,
        "confirmed": view.confirmed,
        "failures": failures(view),
        "versions": versions(),
        "trials": [
            {
                "number": record.number,
                "state": record.state,
                "values": record.values,
                "spread": spread(record, view.goal),
                "parameters": dict(record.parameters),
                "points": {str(step): _finite(value) for step, value in record.points.items()},
                "started": record.started,
                "seconds": record.seconds,
                "failure": record.failure,
                "message": record.message,
                "folder": f"trials/{record.folder}" if record.folder else "",
                "baseline": record.is_baseline,
                "retry_of": record.retry_of,
                "feasible": record.is_feasible,
            }
            for record in records
        ],
    }


def csv_text(view: View) -> str:
    """A row a trial."""
    names = list(dict.fromkeys(name for record in view.records for name in record.parameters))
    goals = [goal.metric for goal in view.goals]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", *goals, *names, "seconds", "failure", "folder"])
    for record in view.records:
        values = list(record.values) or [""] * len(goals)
        parameters = [record.parameters.get(name, "") for name in names]
        row = [record.number, record.state, *values, *parameters]
        writer.writerow([*row, record.seconds, record.failure, record.folder])
    return file.getvalue()


def failures(view: View) -> dict[str, list[int]]:
    """The trials that failed, by cause, the commonest first."""
    groups: dict[str, list[int]] = {}
    for record in view.records:
        if record.state == "failed":
            groups.setdefault(record.failure or "error", []).append(record.number)
    return dict(sorted(groups.items(), key=lambda pair: -len(pair[1])))


def versions() -> dict[str, str]:
    """Of what made the page."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
