"""A config run with several seeds: the mean is what counts, the deviation is kept beside it.

The first seed works in the trial's own folder, and pruning follows it; each other one in
`seed-K/` below. A seed that is done is not run again when the trial goes on after a kill.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fovea.runs.durable import write_json
from fovea.tuning.outcome import Outcome
from fovea.tuning.watch import Watch

SCORES = "scores.json"
Piece = Callable[[int | None, Path, Watch], Outcome]
"""Does the work with a seed, in a folder, followed by a watch."""


def run(seeds: Sequence[int], folder: Path, watch: Watch, work: Piece) -> Outcome:
    """Do the work with each seed; the first that does not complete is how the trial ended."""
    if not seeds:
        return work(None, folder, watch)
    found: list[Outcome] = []
    for seed in seeds:
        place = folder if seed == seeds[0] else folder / f"seed-{seed}"
        place.mkdir(exist_ok=True)
        mine = watch if place == folder else watch.besides(place)
        done = _done(place, mine) or _work(seed, place, mine, work)
        if done.state != "complete":
            return done
        found.append(done)
    return _mean(seeds, found, watch)


def _work(seed: int, place: Path, watch: Watch, work: Piece) -> Outcome:
    done = work(seed, place, watch)
    if done.state == "complete":
        told = {"values": list(done.values), "metrics": dict(watch.latest), "seed": seed}
        write_json(place / SCORES, told)
        return Outcome("complete", done.values, metrics=dict(watch.latest))
    return done


def _done(place: Path, watch: Watch) -> Outcome | None:
    """How a seed ended before the trial was broken off; its points are reported again."""
    path = place / SCORES
    if not path.is_file():
        return None
    watch.finish()
    told: dict[str, Any] = json.loads(path.read_text())
    return Outcome("complete", tuple(told["values"]), metrics=told["metrics"])


def _mean(seeds: Sequence[int], found: Sequence[Outcome], watch: Watch) -> Outcome:
    columns = zip(*(one.values for one in found), strict=True)
    values = tuple(statistics.fmean(column) for column in columns)
    names = set(found[0].metrics).intersection(*(one.metrics for one in found))
    series: Mapping[str, list[float]] = {
        name: [one.metrics[name] for one in found] for name in sorted(names)
    }
    watch.latest = {name: statistics.fmean(column) for name, column in series.items()}
    spread = {
        name: statistics.stdev(column) if len(column) > 1 else 0.0
        for name, column in series.items()
    }
    return Outcome("complete", values, seeds=tuple(seeds), spread=spread)
