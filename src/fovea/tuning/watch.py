"""Listening to a trial while it works: what is passed on, and when it should stop, and why."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from fovea.runs.durable import saying_when_full
from fovea.runs.events import encode, read_events
from fovea.runs.stage import Event
from fovea.tuning.outage import Reports
from fovea.tuning.plan import Plan


class Watch:
    """Listens to a run: passes on the objective, and says when the run should stop, and why."""

    def __init__(
        self,
        plan: Plan,
        trial: Reports | None,
        folder: Path,
        *,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan = plan
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

    def besides(self, folder: Path) -> Watch:
        """The watch of another seed's work: it prunes nothing, and the trial's time goes on."""
        other = Watch(self.plan, None, folder, asked_to_stop=self.asked_by_person)
        other._began = self._began
        return other

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
        if self.trial is not None:
            self.trial.hand_on()
        is_cut_off = self.trial is not None and self.trial.line.is_lost()
        if not self.reason and (is_cut_off or self.asked_by_person()):
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
        line = {"time": event.get("time") or round(time.time(), 3)}
        line |= {"step": event["step"], "epoch": event.get("epoch"), "metrics": event["metrics"]}
        with saying_when_full("metrics.jsonl", self.path), self.path.open("ab") as file:
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


def _events(folder: Path) -> list[Event]:
    path = folder / "events.jsonl"
    return list(read_events(path)) if path.is_file() else []
