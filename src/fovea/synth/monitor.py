"""What a run took of the machine: samples of processor and memory, and the seconds of operators.

Operators are fused, so that the samples are of all of them together; what each took is counted in
the processes that did it.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil

from fovea.runs.durable import write_json, write_text
from fovea.scene import page
from fovea.synth import charts
from fovea.synth.engine import Result
from fovea.synth.plan import Step

EVERY_S = 0.5
SAMPLED = {"CPU util.": "cores at work", "Used mem.": "MB of all processes"}


class Monitor:
    """Looks at this process and those it started while it is entered."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self.samples: list[dict[str, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)
        self._began = 0.0
        self._known: dict[int, psutil.Process] = {}
        self.wall_s = 0.0

    def __enter__(self) -> Monitor:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wall_s = time.monotonic() - self._began
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        self._look()
        while not self._ended.wait(self.every_s):
            self._look()
        self._look()

    def _look(self) -> None:
        cores, used = 0.0, 0
        me = self._known.setdefault(0, psutil.Process())
        for process in [me, *(self._known.setdefault(p.pid, p) for p in me.children(True))]:
            with suppress(psutil.Error):  # it ended between the two looks
                cores += process.cpu_percent() / 100
                used += process.memory_info().rss
        memory = psutil.virtual_memory()
        at = {"timestamp": time.time(), "CPU count": float(psutil.cpu_count() or 1)}
        self.samples.append(at | {
            "CPU util.": cores, "Used mem.": used / 2**20,
            "Available mem.": memory.available / 2**20, "Mem. util.": memory.percent / 100,
        })  # fmt: skip

    def write(self, folder: Path, steps: Sequence[Step], result: Result) -> None:
        """Write `monitor.json`, and `monitor.html` to look at."""
        folder.mkdir(parents=True, exist_ok=True)
        operators: list[dict[str, Any]] = []
        for step in steps:
            count, spent = result.counts.step(step.label), result.seconds.get(step.label, 0.0)
            rate = count.seen / spent if spent else None
            operators.append(
                {"operator": step.label, "time": spent, "in": count.seen, "out": count.left,
                 "rows_per_s": rate}
            )  # fmt: skip
        names = [name for name in self.samples[0] if name not in ("timestamp", "CPU count")]
        told = {
            "time": self.wall_s,
            "sampling interval": self.every_s,
            "operators": operators,
            "resource": self.samples,
            "resource_analysis": {name: _described(self._column(name)) for name in names},
        }
        write_json(folder / "monitor.json", told)
        write_text(folder / "monitor.html", self._page(operators))

    def _column(self, name: str) -> list[float]:
        return [sample[name] for sample in self.samples]

    def _page(self, operators: Sequence[dict[str, Any]]) -> str:
        at = np.asarray(self._column("timestamp")) - self.samples[0]["timestamp"]
        drawn = [
            page.section(words, charts.curve(
                at, np.asarray(self._column(name)), name=words, x_name="seconds"
            ))
            for name, words in SAMPLED.items()
        ]  # fmt: skip
        rows = [
            (escape(o["operator"]), f"{o['time']:.3f}", f"{o['in']:,}", f"{o['out']:,}")
            for o in operators
        ]
        table = page.listing(("operator", "seconds", "rows in", "rows out"), rows)
        note = "In all processes together; a run that was taken up counts what was done before."
        lead = f"{self.wall_s:.1f} s, looked at every {self.every_s:g} s."
        return page.page(
            "What the run took", page.section("Operators", table, note), *drawn, lead=lead
        )


def _described(values: Sequence[float]) -> dict[str, float]:
    return {"max": max(values), "min": min(values), "avg": statistics.fmean(values)}
