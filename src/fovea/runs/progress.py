"""Showing how a run goes, from its events: a live area on a terminal, lines in a pipe, or JSON.

In a pipe a stage speaks every ten seconds or twentieth of its way, whichever comes first. What is
left is reckoned from the middle of the last paces, so that one slow step does not frighten.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fovea import console
from fovea.runs.events import encode
from fovea.runs.run import Run
from fovea.runs.stage import Event

SPEAK_EVERY_S = 10.0
SPEAK_EVERY_PART = 0.0499
LogFormat = Literal["auto", "lines", "json"]


class Display(Protocol):
    """Shows events as they come."""

    def show(self, event: Event) -> None:
        """Take one event."""
        ...

    def close(self) -> None:
        """Leave the screen as it is to stay."""
        ...


def display(log_format: LogFormat = "auto") -> Display:
    """The display that fits where standard output goes."""
    if log_format == "json" or console.style.as_json:
        return JsonLines()
    if log_format == "auto" and sys.stdout.isatty() and not console.style.quiet:
        return Live()
    return Lines()


class JsonLines:
    """Every event as a line of JSON."""

    def show(self, event: Event) -> None:
        """Take one event."""
        sys.stdout.write(encode(event).decode())
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing is left to do."""


@dataclass
class Pace:
    """How fast a stage goes, and how long it has still to go."""

    done: float = 0
    total: float = 0
    began: float = field(default_factory=lambda: time.monotonic())
    _times: deque[float] = field(default_factory=lambda: deque[float](maxlen=20))
    _last: float = field(default_factory=lambda: time.monotonic())

    def step(self, done: float, total: float) -> None:
        """Note that so much is done now."""
        now = time.monotonic()
        if done < self.done or (self.total and total != self.total):
            self._times.clear()  # another part of the stage, counted in other units
        elif done > self.done:
            self._times.append((now - self._last) / (done - self.done))
        self.done, self.total, self._last = done, total, now

    @property
    def part(self) -> float:
        """How much of the way is gone, in 0..1."""
        return self.done / self.total if self.total else 0.0

    @property
    def left_s(self) -> float | None:
        """The time still needed, or None when nothing is known yet."""
        if len(self._times) < 2:
            return None
        ordered = sorted(self._times)
        cut = len(ordered) // 10
        return statistics.fmean(ordered[cut : len(ordered) - cut]) * (self.total - self.done)


class Lines:
    """Plain lines, few of them."""

    def __init__(self, say: Callable[[str], None] = console.say) -> None:
        self.say = say
        self.paces: dict[str, Pace] = {}
        self._spoken: dict[str, tuple[float, float]] = {}

    def show(self, event: Event) -> None:
        """Take one event."""
        stage = event["stage"]
        if event["kind"] == "progress":
            self._progress(stage, event)
        elif text := sentence(event):
            self.say(f"{stage or '':12} {text}".rstrip() if stage else text)

    def close(self) -> None:
        """Nothing is left to do."""

    def _progress(self, stage: str, event: Event) -> None:
        pace = self.paces.setdefault(stage, Pace())
        pace.step(event["done"], event["total"])
        when, part = self._spoken.get(stage, (pace.began, 0.0))
        now = time.monotonic()
        is_last = event["done"] >= event["total"]
        far = pace.part - part >= SPEAK_EVERY_PART and now - when >= 1.0
        if now - when >= SPEAK_EVERY_S or far or is_last:
            self._spoken[stage] = (now, pace.part)
            self.say(f"{stage:12} {how_far(event, pace)}")


class Live:
    """A live area with a bar for each stage at work; what stays is printed above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        terminal = Console(no_color=not console.has_color())
        self._bars = Progress(
            TextColumn("{task.fields[stage]:12}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            console=terminal,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._paces: dict[str, Pace] = {}
        self._bars.start()

    def show(self, event: Event) -> None:
        """Take one event."""
        stage = event["stage"]
        if event["kind"] == "progress":
            pace = self._paces.setdefault(stage, Pace())
            pace.step(event["done"], event["total"])
            text = how_far(event, pace)
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task("", stage=stage, text=text)
            self._bars.update(
                self._tasks[stage], completed=event["done"], total=event["total"], text=text
            )
            return
        if event["kind"] == "state" and event["state"] != "running" and stage in self._tasks:
            self._bars.remove_task(self._tasks.pop(stage))
        if text := sentence(event):
            line = f"{stage:12} {text}" if stage else text
            self._bars.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the screen as it is to stay."""
        self._bars.stop()


def sentence(event: Event) -> str:
    """What a person reads of an event that is not progress; often nothing."""
    if event["kind"] == "log":
        return event["message"] if event["level"] == "info" else f"warning: {event['message']}"
    if event["kind"] == "rewind" and event["step"] > 0:
        return f"goes on from step {event['step']}"
    if event["kind"] != "state" or event["stage"] is None:
        return ""
    if event["state"] == "running":
        again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
        return f"{event['use']} begins on {event['device']}{again} ({event['why']})"
    but = f", but for {len(event['problems'])}" if event.get("problems") else ""
    if event.get("reused"):
        return f"reused{but}{scores_text(event['scores'])}"
    took = f" after {duration(event['seconds'])}" if event["seconds"] else ""
    return f"{event['state']}{took}{but}{scores_text(event['scores'])}"


def how_far(event: Event, pace: Pace) -> str:
    """`1200/3000 steps  40 %  psnr 27.1  1m12s left`."""
    left = pace.left_s
    ending = f"  {duration(left)} left" if left is not None and left >= 1 else ""
    shown = "".join(f"  {name} {number(value)}" for name, value in event["shown"].items())
    where = f"{event['done']}/{event['total']} {event['unit']}"
    return f"{where}  {pace.part:.0%}{shown}{ending}"


def scores_text(scores: Mapping[str, float]) -> str:
    """The scores in a row, `  psnr 27.1  ssim 0.91`."""
    return "".join(f"  {name} {number(value)}" for name, value in scores.items())


def number(value: float) -> str:
    """A number in four digits."""
    is_whole = abs(value) < 1e15 and value == int(value)
    return f"{value:.0f}" if is_whole or abs(value) >= 1e5 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """`0.8 s`, `42 s`, `3m05s`, `2h07m`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(count: float) -> str:
    """`812 B`, `3.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def summary(run: Run) -> str:
    """What is printed at the end: what was made and where, how long it took, and the scores."""
    manifest, stages = run.manifest, run.stages
    wide = max(len(stage.key) for stage in stages)
    total = sum(stage.seconds for stage in stages if not stage.reused_from)
    lines = [f"{manifest['name']}: {run.state}, {duration(total)} of work"]
    for stage in stages:
        took = "reused" if stage.reused_from else duration(stage.seconds)
        what = f"{took:>8}" if stage.state == "done" else stage.state
        lines.append(f"  {stage.key:{wide}}  {what}{scores_text(stage.scores)}")
        for output in stage.outputs.values():
            path = run.folder / output["path"]
            lines.append(f"  {'':{wide}}            {path}  ({size(output['size'])})")
    lines.append(f"Everything is in {run.folder}")
    return "\n".join(lines)
