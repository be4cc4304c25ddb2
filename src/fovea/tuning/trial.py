"""One trial: a run with some settings chosen, followed while it works, and stopped when it lags.

    trials/0007-a1b2/
      trial.json     what it is: parameters, config, owner; and how it ended
      config.yaml    the settings of its stage
      command.txt    the command that runs the same again
      metrics.jsonl  the numbers it reported, without those a resume made void
      run/           an ordinary run folder
      seed-3/        where there are several seeds: the work of another one

The folder's name ends in letters of the study's own, so that a new study of that name never goes
on with another's checkpoints. A retried trial keeps its folder: its run goes on from where it was.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fovea.config import Resolved
from fovea.errors import ArtifactError, ConfigError
from fovea.runs.durable import DiskFullError, write_json
from fovea.runs.lock import end_leftovers, owner
from fovea.tuning import seeds, stage_work
from fovea.tuning.outage import Reports
from fovea.tuning.outcome import Outcome
from fovea.tuning.plan import Plan
from fovea.tuning.space import Values
from fovea.tuning.target import StageTarget
from fovea.tuning.tracks.card import End
from fovea.tuning.tracks.follow import follow
from fovea.tuning.watch import Watch


def resolve(
    plan: Plan, parameters: Mapping[str, Any], *, number: int | None = None
) -> Resolved[Any]:
    """The Config of a trial with these parameters, by the same resolver as every other door.

    Raises:
        ConfigError: the parameters do not fit the space, or the stage does not take them.
    """
    assert isinstance(plan.target, StageTarget), "a command has no Config"
    name = f"study {plan.file.study}" + ("" if number is None else f" #{number}")
    settings = plan.space.settings(plan.space.complete(parameters))
    return plan.target.config_of(settings, source=name)


def shown(plan: Plan, parameters: Mapping[str, Any]) -> str:
    """What a trial with these parameters would run, for people.

    Raises:
        ConfigError: they do not fit the space, or the stage does not take them.
    """
    settings = plan.space.settings(plan.space.complete(parameters))
    return plan.target.shown(settings, source=f"study {plan.file.study}")


def run(
    plan: Plan,
    values: Values,
    folder: Path,
    about: Mapping[str, Any],
    *,
    trial: Reports | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run one trial in its folder, from where it was if it had begun, and say how it ended.

    Args:
        plan: the study.
        values: those of its space, as `Space.walk` gives them.
        folder: of the trial.
        about: what else is known of it: study, study_id, number, owner.
        trial: who is told of the objective, and decides on pruning.
        asked_to_stop: whether a person wants the study to stop.

    Raises:
        ArtifactError: the folder belongs to another study.
    """
    began = time.monotonic()
    try:
        return _run(plan, values, folder, about, trial, asked_to_stop, began)
    except DiskFullError as error:
        seconds = round(time.monotonic() - began, 3)
        return Outcome("failed", failure="disk", message=str(error), seconds=seconds)


def _run(
    plan: Plan,
    values: Values,
    folder: Path,
    about: Mapping[str, Any],
    trial: Reports | None,
    asked_to_stop: Callable[[], bool],
    began: float,
) -> Outcome:
    _claim(folder, about)
    settings = plan.space.settings(values)
    note = dict(about) | {"parameters": plan.space.asked(values), "started": time.time()}
    note |= {"settings": settings, "checkpoints": plan.target.checkpoints}
    # The storage is what lasts: these need to outlive a kill, not a power cut.
    write_json(folder / "trial.json", {"schema": 1, "state": "running"} | note, is_synced=False)
    number, peak_mb = about.get("number", 0), _peak_mb()
    watch = Watch(plan, trial, folder, asked_to_stop=asked_to_stop)

    def work(seed: int | None, place: Path, watch: Watch) -> Outcome:
        return _work(plan, settings, place, number, watch, seed)

    with follow(plan, folder, note) as following:
        try:
            ended = seeds.run(plan.file.seed_list, folder, watch, work)
        except ConfigError as error:
            ended = Outcome("failed", failure="config", message=str(error))
        seconds = round(time.monotonic() - began, 3)
        peak = _peak_mb() if ended.failure == "oom" and _peak_mb() > peak_mb else None
        ended = dataclasses.replace(
            ended, metrics=dict(watch.latest), seconds=seconds, peak_mb=ended.peak_mb or peak
        )
        result = _result(ended, number)
        write_json(folder / "result.json", result, is_synced=False)
        write_json(folder / "trial.json", {"schema": 1} | note | result, is_synced=False)
        following.end(End(ended.state, ended.values, ended.failure, seconds))
    return ended


def _work(
    plan: Plan, settings: Values, folder: Path, number: int, watch: Watch, seed: int | None
) -> Outcome:
    """Run the target once with these settings, followed by the watch."""
    if isinstance(plan.target, StageTarget):
        if seed is not None:
            settings = settings | {"seed": seed}
        return stage_work.run(plan, plan.target, settings, folder, number, watch)
    from fovea.tuning.foreign import work

    return work.run(plan, plan.target, settings, folder, number, watch, seed or 0)


def answered(folder: Path, number: int, study_id: str) -> Outcome | None:
    """How a trial ended that could not say so any more; None where it had not come to its end."""
    paths = [folder / "result.json", folder / "trial.json"]
    if not all(path.is_file() for path in paths):
        return None
    try:
        result, note = (json.loads(path.read_text()) for path in paths)
    except ValueError:
        return None  # a power cut left it empty
    is_it = note.get("study_id") == study_id and note.get("number") == result.get("number")
    if not is_it or number != result.get("number") or result["state"] == "interrupted":
        return None
    return Outcome(
        result["state"],
        tuple(result["values"]),
        result["failure"],
        result["message"],
        result["metrics"],
        result["seconds"],
        seeds=tuple(result["seeds"]),
        spread=result["spread"],
    )


def end_lost(folder: Path) -> None:
    """End what a trial whose process was lost has left running."""
    for place in (folder, folder / "run", *folder.glob("seed-*"), *folder.glob("seed-*/run")):
        end_leftovers(owner(place))


def forget_checkpoints(folder: Path) -> None:
    """Drop what a trial only needed to go on; numbers, settings and outputs stay."""
    path = folder / "trial.json"
    if not path.is_file():
        return  # another machine's
    about: dict[str, Any] = json.loads(path.read_text() or "{}")
    pattern = about.get("checkpoints") or "run/stages/*/ckpt"
    for place in (folder, *folder.glob("seed-*")):
        for checkpoints in place.glob(pattern):
            shutil.rmtree(checkpoints, ignore_errors=True)


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuse a folder in which another study has worked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trial.json"
    there: dict[str, Any] = json.loads(path.read_text() or "{}") if path.is_file() else {}
    if there and there.get("study_id") != about.get("study_id"):
        raise ArtifactError(
            f"{folder} holds a trial of another study (id {there.get('study_id')}, this one is "
            f"{about.get('study_id')}). Move it away, or give the study another --folder."
        )


def _result(ended: Outcome, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "state": ended.state,
        "failure": ended.failure,
        "message": ended.message,
        "values": list(ended.values),
        "metrics": dict(ended.metrics),
        "seeds": list(ended.seeds),
        "spread": dict(ended.spread),
        "seconds": ended.seconds,
        "ended": time.time(),
    }


def _peak_mb() -> float:
    """The most memory that one child of this process has held, of those that have ended."""
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)
