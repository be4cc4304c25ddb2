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

import difflib
import json
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fovea.config import Resolved, to_yaml
from fovea.errors import ArtifactError, ConfigError
from fovea.runs.durable import write_json, write_text
from fovea.runs.events import encode, read_events
from fovea.runs.lock import end_leftovers, owner
from fovea.runs.run import Run, execute
from fovea.runs.stage import Event
from fovea.tuning.definition import StudyFile
from fovea.tuning.plan import Goal, Plan, StageTarget
from fovea.tuning.space import Values

OUT_OF_MEMORY = ("out of memory", "OutOfMemoryError", "Cannot allocate memory")


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


class Reported(Protocol):
    """The part of an Optuna trial that is told how its run goes."""

    def report(self, value: float, step: int) -> None:
        """A value of the objective at a step."""
        ...

    def should_prune(self) -> bool:
        """Whether to end it early."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: str
    """`complete`, `pruned`, `failed`, or `interrupted` by the person at the keyboard."""
    values: tuple[float, ...] = ()
    failure: str = ""
    """`pruned`, `nan`, `timeout`, `stall`, `no_metric`, `oom`, `error`, or an error's own word."""
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last value of every metric that was seen."""
    seconds: float = 0.0
    signal: int = 0


class Watch:
    """Listens to a run: passes on the objective, and says when the run should stop, and why."""

    def __init__(
        self,
        plan: Plan,
        trial: Reported | None,
        folder: Path,
        *,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.file = plan.file
        self.goal = plan.goal
        self.trial = trial if len(plan.goals) == 1 else None
        self.path = folder / "metrics.jsonl"
        self.asked_by_person = asked_to_stop
        self.reason = ""
        self.latest: dict[str, float] = {}
        self.series: dict[str, dict[int, float]] = {}
        self._reported: set[int] = set()
        self._began = self._heard = time.monotonic()
        self._earlier = [e for e in _events(folder / "run") if e["kind"] in ("metric", "rewind")]
        self.path.unlink(missing_ok=True)

    def __call__(self, event: Event) -> None:
        """Take in one event of the run."""
        self._heard = time.monotonic()
        if event["kind"] == "rewind":
            self._replay(event["step"])
        elif event["kind"] == "metric":
            self._take(event)
            self._judge(event)

    def asked_to_stop(self) -> bool:
        """Whether the run should stop; `reason` says why."""
        now, rules = time.monotonic(), self.file.trial
        if not self.reason and self.asked_by_person():
            self.reason = "interrupted"
        elif not self.reason and rules.timeout and now - self._began > rules.timeout:
            self.reason = "timeout"
        elif not self.reason and rules.stall and now - self._heard > rules.stall:
            self.reason = "stall"
        return bool(self.reason)

    def hear(self) -> None:
        """Note that the trial is alive, though it reported nothing."""
        self._heard = time.monotonic()

    def replay(self, event: Event) -> None:
        """Take over a point that an earlier start of this trial had reported."""
        self._take(event)

    def finish(self) -> None:
        """Take over what an earlier start had reported, where the run was done before this one."""
        self._replay(None)

    def _replay(self, until: int | None) -> None:
        """Report again what an earlier start of this trial had reported up to the checkpoint."""
        earlier, self._earlier = self._earlier, []
        points: list[Event] = []
        for event in earlier:
            if event["kind"] == "rewind":
                points = [p for p in points if p["step"] <= event["step"]]
            elif until is None or event["step"] <= until:
                points.append(event)
        for point in points:
            self._take(point)

    def _take(self, event: Event) -> None:
        step = event["step"] if self.file.prune.unit == "step" else round(event["epoch"] or 0)
        self.latest |= event["metrics"]
        for name, value in event["metrics"].items():
            self.series.setdefault(name, {})[step] = value
        line = {"step": event["step"], "epoch": event.get("epoch"), "metrics": event["metrics"]}
        with self.path.open("ab") as file:
            file.write(encode(line))
        if self.trial is not None and self.goal.metric in event["metrics"]:
            value = event["metrics"][self.goal.metric]
            if step not in self._reported:
                # An infinite value would be taken for a good one where the goal points there.
                self.trial.report(value if math.isfinite(value) else math.nan, step)
                self._reported.add(step)

    def _judge(self, event: Event) -> None:
        if self.reason or self.goal.metric not in event["metrics"]:
            return
        is_number = math.isfinite(event["metrics"][self.goal.metric])
        if not is_number and self.file.prune.nan == "prune":
            self.reason = "nan"
        elif is_number and self.trial is not None and self.trial.should_prune():
            self.reason = "pruned"


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
        track=["tensorboard"] if plan.file.track.tensorboard else [],
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


def _events(folder: Path) -> list[Event]:
    path = folder / "events.jsonl"
    return list(read_events(path)) if path.is_file() else []


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


def ended_by(plan: Plan, watch: Watch, *, percent: float | None = None) -> Outcome:
    """What became of a trial that its watch has ended.

    Args:
        plan: the study.
        watch: which knows the reason.
        percent: how far the trial said it was.
    """
    if watch.reason == "interrupted":
        return Outcome("interrupted", failure="interrupted")
    if watch.reason in ("pruned", "nan"):
        return Outcome("pruned", failure=watch.reason, message=_why_pruned(watch))
    rules = plan.file.trial
    limit: float = getattr(rules, watch.reason)
    what = "took longer than" if watch.reason == "timeout" else "said nothing for"
    far = "" if percent is None else f", at {percent:g} %"
    has_reported = watch.goal.metric in watch.series
    state = "pruned" if rules.timeout_as == "prune" and has_reported else "failed"
    return Outcome(state, failure=watch.reason, message=f"{what} {limit:g} s{far}")


def answer(
    plan: Plan,
    scores: Mapping[str, float],
    watch: Watch,
    *,
    seen: Sequence[str],
    where: str = "",
) -> Outcome:
    """The values of a finished trial; a failure where they are no numbers.

    Args:
        plan: the study.
        scores: the metrics that it ended with.
        watch: which has the series.
        seen: the names of all metrics that were there, for the sentence.
        where: what else to say about them.
    """
    values = [_final(goal, scores, watch.series) for goal in plan.goals]
    for goal, value in zip(plan.goals, values, strict=True):
        if value is None:
            listed = ", ".join(seen) or "none"
            text = f"{plan.target.name} ended without {goal.metric}. Metrics seen: {listed}."
            text += _near(goal.metric, seen) + where
            return Outcome("failed", failure="no_metric", message=text)
        if not math.isfinite(value):
            return Outcome("failed", failure="nan", message=f"{goal.metric} ended as {value}")
    return Outcome("complete", tuple(value for value in values if value is not None))


def _near(name: str, seen: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, seen, n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def _final(
    goal: Goal, scores: Mapping[str, float], series: Mapping[str, Mapping[int, float]]
) -> float | None:
    """The number that counts: the stage's final score, or what `reduce` makes of the series."""
    points = [value for _, value in sorted(series.get(goal.metric, {}).items())]
    if goal.metric in scores:
        points.append(scores[goal.metric])
    if not points:
        return None
    if goal.reduce == "best":
        finite = [value for value in points if math.isfinite(value)] or points
        return max(finite) if goal.is_max else min(finite)
    if goal.reduce.startswith("mean:"):
        return statistics.fmean(points[-int(goal.reduce[5:]) :])
    return points[-1]


def _why_pruned(watch: Watch) -> str:
    value = watch.latest.get(watch.goal.metric, math.nan)
    why = "is no number" if watch.reason == "nan" else "lags behind the other trials"
    return f"{watch.goal.metric} {value:.6g} {why}"


def excesses(file: StudyFile, metrics: Mapping[str, float]) -> dict[str, float]:
    """By how much a trial breaks each constraint; one that was not measured is broken."""
    found: dict[str, float] = {}
    for constraint in file.constraints:
        value = metrics.get(constraint.metric, math.nan)
        found[constraint.metric] = 1.0 if math.isnan(value) else constraint.excess(value)
    return found


__all__ = [
    "Outcome", "Watch", "answer", "end_lost", "ended_by", "excesses", "forget_checkpoints",
    "resolve", "run", "shown",
]  # fmt: skip
