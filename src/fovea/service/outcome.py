"""What became of a job, read from its run's folder, which is the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.errors import BackendError, BusyError, ConfigError
from fovea.runs.processes import tail
from fovea.runs.record import StageRecord
from fovea.runs.run import Run

LOST = {"code": "worker_lost", "message": "its process was ended from outside each time it ran"}
_CODES = {
    ConfigError.exit_code: ConfigError.code,
    BackendError.exit_code: BackendError.code,
    BusyError.exit_code: BusyError.code,
}


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: with a result, with an error, or before its end."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    is_lost: bool = False
    """The work can go on in another attempt."""


def outcome(folder: Path, status: int | None, console: Path) -> Outcome:
    """What became of the run in a folder.

    Args:
        folder: the run's.
        status: with which its process left; unknown when it was another's child.
        console: what the process printed.
    """
    if not (folder / "run.json").is_file():
        return _never_begun(status, console)
    run = Run.open(folder)
    if run.state == "done":
        return Outcome(result=result(run))
    if run.state == "failed" and run.failures:
        failed = run.failures[0]
        failure = vars(failed.error) if failed.error else {"code": "job", "message": "it failed"}
        return Outcome(error={"stage": failed.key} | failure)
    return Outcome(is_lost=True, error=LOST)


def result(run: Run) -> dict[str, Any]:
    """What a finished run made, for the caller."""
    stages = run.stages
    worked = [stage for stage in stages if stage.state == "done"]
    return {
        "run": run.folder.name,
        "cached": bool(worked) and all(stage.reused_from for stage in worked),
        "stages": [
            {
                "key": stage.key,
                "use": stage.use,
                "state": stage.state,
                "seconds": stage.seconds,
                "scores": stage.scores,
                "problems": list(stage.problems),
                "reused_from": stage.reused_from,
            }
            for stage in stages
        ],
        "artifacts": [
            {"name": f"{stage.key}.{name}", "stage": stage.key} | made
            for stage in worked
            for name, made in stage.outputs.items()
        ],
    }


def cost(folder: Path) -> dict[str, Any]:
    """What a run has taken so far: `bytes` of the disk, and `gpu_s`, seconds times GPUs."""
    files = (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else ()
    size = sum(path.stat().st_size for path in files)
    records = [StageRecord.read(path.parent) for path in folder.glob("stages/*/stage.json")]
    gpu_s = sum(
        record.seconds * (1 + record.device.count(","))
        for record in records
        if record and record.device.startswith("cuda") and not record.reused_from
    )
    return {"bytes": size, "gpu_s": round(gpu_s, 3)}


def find_artifact(result: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The artifact `fit.scene`, or `scene` where only one stage makes one of that name."""
    made = result["artifacts"]
    exact = [one for one in made if one["name"] == name]
    short = [one for one in made if one["name"] == f"{one['stage']}.{name}"]
    found = exact or short
    return found[0] if len(found) == 1 else None


def _never_begun(status: int | None, console: Path) -> Outcome:
    if status is None or status < 0:
        return Outcome(is_lost=True, error=LOST)
    lines = tail(console)
    said = [line for line in lines.splitlines() if line.startswith("error: ")]
    message = said[-1].removeprefix("error: ") if said else f"it left with status {status}"
    error = {"code": _CODES.get(status, "job"), "message": message, "tail": lines}
    return Outcome(error=error, is_lost=status == BusyError.exit_code)
