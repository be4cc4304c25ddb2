"""One trial: a run with some settings chosen, followed while it works, and stopped when it lags.

    trials/0007-a1b2/
      trial.json     what it is: parameters, config, owner; and how it ended
      config.yaml    the settings of its stage
      command.txt    the command that runs the same again
      metrics.jsonl  the numbers it reported, without those a resume made void
      run/           an ordinary run folder

The folder's name ends in letters of the study's own, so that a new study of that name never goes
on with another's checkpoints. A retried trial keeps its folder: its run goes on from where it was.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fovea.config import Resolved, to_yaml
from fovea.errors import ArtifactError, ConfigError
from fovea.runs.durable import write_json, write_text
from fovea.runs.lock import end_leftovers, owner
from fovea.runs.run import Run, execute
from fovea.tuning.outcome import OUT_OF_MEMORY, Outcome, answer, ended_by
from fovea.tuning.plan import Plan
from fovea.tuning.space import Values
from fovea.tuning.target import StageTarget
from fovea.tuning.tracks.card import End
from fovea.tuning.tracks.follow import follow
from fovea.tuning.watch import Reported, Watch


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
    trial: Reported | None = None,
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
    _claim(folder, about)
    settings = plan.space.settings(values)
    note = dict(about) | {"parameters": plan.space.asked(values), "started": time.time()}
    note |= {"settings": settings, "checkpoints": plan.target.checkpoints}
    write_json(folder / "trial.json", {"schema": 1, "state": "running"} | note)
    watch = Watch(plan, trial, folder, asked_to_stop=asked_to_stop)
    with follow(plan, folder, note) as following:
        try:
            outcome = _work(plan, settings, folder, about.get("number", 0), watch)
        except ConfigError as error:
            outcome = Outcome("failed", failure="config", message=str(error))
        seconds = round(time.monotonic() - began, 3)
        ended = {
            "state": outcome.state,
            "failure": outcome.failure,
            "message": outcome.message,
            "values": list(outcome.values),
            "seconds": seconds,
            "ended": time.time(),
        }
        write_json(folder / "result.json", ended)
        write_json(folder / "trial.json", {"schema": 1} | note | ended)
        following.end(End(outcome.state, outcome.values, outcome.failure, seconds))
    return Outcome(
        outcome.state,
        outcome.values,
        outcome.failure,
        outcome.message,
        dict(watch.latest),
        seconds,
        outcome.signal,
    )


def _work(plan: Plan, settings: Values, folder: Path, number: int, watch: Watch) -> Outcome:
    """Run the target with these settings, followed by the watch."""
    if not isinstance(plan.target, StageTarget):
        from fovea.tuning.foreign import work  # which answers in this module's words

        return work.run(plan, plan.target, settings, folder, number, watch)
    source = f"study {plan.file.study} #{number}"
    recipe = plan.target.recipe_of(plan.target.config_of(settings, source=source).config)
    write_text(folder / "config.yaml", to_yaml(recipe.steps[0].config))
    write_text(folder / "command.txt", f"{_command(plan.target, folder)}\n")
    done = execute(
        recipe,
        folder=folder / "run",
        isolation=plan.file.trial.isolation,
        watch=watch,
        asked_to_stop=watch.asked_to_stop,
    )
    return _outcome(plan, done, watch)


def end_lost(folder: Path) -> None:
    """End what a trial whose process was lost has left running."""
    for place in (folder, folder / "run"):
        end_leftovers(owner(place))


def forget_checkpoints(folder: Path) -> None:
    """Drop what a trial only needed to go on; numbers, settings and outputs stay."""
    about: dict[str, Any] = json.loads((folder / "trial.json").read_text())
    for checkpoints in folder.glob(about.get("checkpoints") or "run/stages/*/ckpt"):
        shutil.rmtree(checkpoints)


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuse a folder in which another study has worked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trial.json"
    there: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if there and there.get("study_id") != about.get("study_id"):
        raise ArtifactError(
            f"{folder} holds a trial of another study (id {there.get('study_id')}, this one is "
            f"{about.get('study_id')}). Move it away, or give the study another --folder."
        )


def _command(target: StageTarget, folder: Path) -> str:
    if ":" in target.use:
        return f"fovea run {folder / 'run' / 'recipe.yaml'}"
    return f"fovea {target.name.replace('.', ' ')} --config {folder / 'config.yaml'}"


def _outcome(plan: Plan, done: Run, watch: Watch) -> Outcome:
    """What a run's end means for the study."""
    stage = done.stages[0]
    if done.state == "done":
        watch.finish()
        watch.latest |= stage.scores
        return answer(plan, stage.scores, watch, seen=sorted(watch.latest))
    if watch.reason == "interrupted" or (done.state != "failed" and not watch.reason):
        number = done.manifest.get("signal") or 0
        return Outcome("interrupted", failure="interrupted", signal=number)
    if watch.reason:
        return ended_by(plan, watch)
    code, message = (stage.error.code, stage.error.message) if stage.error else ("error", "")
    is_memory = code == "oom" or any(sign in message for sign in OUT_OF_MEMORY)
    return Outcome("failed", failure="oom" if is_memory else code, message=message)
