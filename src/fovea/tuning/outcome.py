"""How a trial ended, and what that is worth: a failure is a failure and never a number."""

from __future__ import annotations

import difflib
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fovea.tuning.definition import StudyFile
from fovea.tuning.goal import Goal
from fovea.tuning.plan import Plan
from fovea.tuning.watch import Watch

OUT_OF_MEMORY = ("out of memory", "OutOfMemoryError", "Cannot allocate memory")


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
    seeds: tuple[int, ...] = ()
    """Those it was run with, where they are several; the values are means."""
    spread: Mapping[str, float] = field(default_factory=dict[str, float])
    """The standard deviation over the seeds, by metric."""
    peak_mb: float | None = None
    """The most memory that one of its processes held, where it ran out of it."""

    def noted(self) -> dict[str, Any]:
        """What a storage has no column for."""
        told: dict[str, Any] = {
            "failure": self.failure,
            "message": self.message,
            "seconds": self.seconds,
            "metrics": {name: f"{value:.9g}" for name, value in self.metrics.items()},
            "ended": round(time.time(), 3),
        }
        if self.seeds:
            told["seeds"] = list(self.seeds)
            told["spread"] = {name: f"{value:.6g}" for name, value in self.spread.items()}
        return told | ({} if self.peak_mb is None else {"peak_mb": self.peak_mb})


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


def excesses(file: StudyFile, outcome: Outcome) -> dict[str, float]:
    """By how much a trial breaks each constraint; one that was not measured is broken.

    A trial that ran out of memory has no measure of it, and breaks the constraints on memory.
    """
    found: dict[str, float] = {}
    for constraint in file.constraints:
        value = outcome.metrics.get(constraint.metric, math.nan)
        is_known = not math.isnan(value)
        if outcome.state == "complete" or is_known or "mem" in constraint.metric:
            found[constraint.metric] = constraint.excess(value) if is_known else 1.0
    return found if outcome.state == "complete" or outcome.failure == "oom" else {}
