"""`events.compare`: scores of several detectors side by side, with what was gained.

Each scores file carries tags, `{"model": "student", "seed": "1"}`. Files that differ in one of
them, the seed, are one row: mean and spread. A gain is counted between rows of the same seed, so
that luck of the seed drops out of it.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.events.settings.compare import CompareConfig
from fovea.runs.durable import write_text
from fovea.runs.stage import Context
from fovea.scene import page
from fovea.tuning import charts

Tags = tuple[tuple[str, str], ...]
"""The tags of a row without the one it is averaged over, in order of their names."""
Gains = Mapping[Tags, "Gain"]

COLUMNS = {
    "AP": ("AP", "{}"),
    "AP_50": ("AP50", "{}"),
    "AP_75": ("AP75", "{}"),
    "gain": ("gain", "{}"),
    "closed": ("of the gap closed", "{}"),
    "runs": ("runs", "{}"),
}


@dataclass(frozen=True)
class Scored:
    """The scores of one detector."""

    tags: Mapping[str, str]
    scores: Mapping[str, float]
    path: Path


@dataclass(frozen=True)
class Row:
    """Detectors that differ in their seed alone."""

    tags: Tags
    by_seed: Mapping[str, Mapping[str, float]]

    @property
    def name(self) -> str:
        """`student, ratio 0.05`."""
        known = dict(self.tags)
        first = known.pop("model", "")
        rest = [f"{name} {value}" for name, value in known.items()]
        return ", ".join([first, *rest] if first else rest) or "all"

    def has(self, marks: Mapping[str, str]) -> bool:
        """Whether it carries all these tags."""
        return set(marks.items()) <= set(self.tags)

    def values(self, metric: str) -> list[float]:
        """The metric for each seed."""
        return [scores[metric] for scores in self.by_seed.values() if metric in scores]

    def mean(self, metric: str) -> float:
        """Over the seeds; not a number where none has it."""
        values = self.values(metric)
        return statistics.fmean(values) if values else math.nan

    def spread(self, metric: str) -> float:
        """Standard deviation over the seeds; 0 for one."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Gain:
    """What a row has over the base, seed by seed."""

    points: Sequence[float] = ()
    closed: Sequence[float] = ()
    """Which part of the gap between base and goal."""


def compare(config: CompareConfig, context: Context) -> dict[str, float]:
    """Write the table, the page and the gains."""
    scored = [read_scores(path) for path in config.scores]
    rows = rows_of(scored, config.average)
    gains = {row.tags: gains_of(row, rows, config) for row in rows}
    _write_table(context.output("table"), rows, gains)
    write_text(context.output("gains"), json.dumps(_document(rows, gains), indent=2) + "\n")
    write_text(context.output("page"), _page(rows, gains, config))
    return _summary(rows, gains, config)


def read_scores(path: Path) -> Scored:
    """The scores and tags of one file.

    Raises:
        DataError: it is not what events.evaluate writes.
    """
    try:
        document = mapping(json.loads(path.read_text(encoding="utf-8")))
        scores = {str(k): float(v) for k, v in document["scores"].items() if v is not None}
        tags = {str(k): str(v) for k, v in document["tags"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} holds no scores of events.evaluate: {type(error).__name__} {error}. Give its"
            " scores.json."
        ) from error
    return Scored(tags, scores, path)


def rows_of(scored: Sequence[Scored], average: str) -> list[Row]:
    """Scores that differ in one tag alone, together; in the order in which they came.

    Raises:
        DataError: two files have the same tags.
    """
    found: dict[Tags, dict[str, Mapping[str, float]]] = defaultdict(dict)
    for each in scored:
        tags = tuple(sorted((k, v) for k, v in each.tags.items() if k != average))
        seed = each.tags.get(average, "")
        if seed in found[tags]:
            raise DataError(
                f"two scores have the same tags, {dict(each.tags)}, the second in {each.path}."
                f" Give events.evaluate other tags, or another tag {average}."
            )
        found[tags][seed] = each.scores
    return [Row(tags, by_seed) for tags, by_seed in found.items()]


def gains_of(row: Row, rows: Sequence[Row], config: CompareConfig) -> Gain:
    """What a row gained over the base of like tags, and which part of the gap to the goal."""
    base, goal = (_like(row, rows, marks) for marks in (config.base, config.goal))
    if base is None or base is row:
        return Gain()
    points: list[float] = []
    closed: list[float] = []
    for seed, scores in row.by_seed.items():
        if seed not in base.by_seed:
            continue
        start = base.by_seed[seed][config.metric]
        points.append(scores[config.metric] - start)
        top = goal.by_seed.get(seed, {}).get(config.metric) if goal else None
        if top is not None and goal is not row and top > start:
            closed.append(points[-1] / (top - start))
    return Gain(points, closed)


def _like(row: Row, rows: Sequence[Row], marks: Mapping[str, str]) -> Row | None:
    """The row with these marks that agrees with this one in most of its other tags."""
    own = row.tags
    fitting = [each for each in rows if marks and each.has(marks)]
    return max(fitting, key=lambda each: len(set(each.tags) & set(own)), default=None)


def _summary(rows: Sequence[Row], gains: Gains, config: CompareConfig) -> dict[str, float]:
    """Of base and goal their score, of the last other row, the newest student, also its gain."""
    summary: dict[str, float] = {}
    for row in rows:
        mean = row.mean(config.metric)
        if config.base and row.has(config.base):
            summary["base"] = mean
        elif config.goal and row.has(config.goal):
            summary["goal"] = mean
        else:
            summary["score"] = mean
            gain = gains[row.tags]
            if gain.points:
                summary["gain"] = statistics.fmean(gain.points)
            if gain.closed:
                summary["closed"] = statistics.fmean(gain.closed)
    return summary


def _document(rows: Sequence[Row], gains: Gains) -> dict[str, Any]:
    return {
        "rows": [
            {"tags": dict(row.tags), "runs": row.by_seed}
            | {"gain": gains[row.tags].points, "closed": gains[row.tags].closed}
            for row in rows
        ]
    }


def _write_table(path: Path, rows: Sequence[Row], gains: Gains) -> None:
    """A line a row: tags, mean and spread of every score, gains."""
    names = list(dict.fromkeys(name for row in rows for name, _ in row.tags))
    metrics = list(dict.fromkeys(m for row in rows for s in row.by_seed.values() for m in s))
    heads = [name for metric in metrics for name in (metric, f"{metric}_spread")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "runs", *heads, "gain", "closed"])
        for row in rows:
            tags = dict(row.tags)
            values = [v for metric in metrics for v in (row.mean(metric), row.spread(metric))]
            gained = [_mean(values) for values in vars(gains[row.tags]).values()]
            writer.writerow([*(tags.get(n, "") for n in names), len(row.by_seed), *values, *gained])


def _mean(values: Sequence[float]) -> float | str:
    return statistics.fmean(values) if values else ""


def _page(rows: Sequence[Row], gains: Gains, config: CompareConfig) -> str:
    written = {row.name: _written(row, gains[row.tags]) for row in rows}
    note = (
        f"Mean over {config.average}s and, behind ±, their standard deviation; in points of 100."
        f" A gain is that over {_words(config.base)}, counted {config.average} by"
        f" {config.average}; the gap is the one to {_words(config.goal)}."
    )
    each = {
        f"{row.name}, {config.average} {seed}": {k: f"{100 * v:.1f}" for k, v in scores.items()}
        for row in rows
        for seed, scores in row.by_seed.items()
    }
    names = list(dict.fromkeys(name for scores in each.values() for name in scores))
    return page.page(
        "Detectors side by side",
        page.section("Scores", page.table(written, COLUMNS), note),
        *_curves(rows, config),
        page.section(
            "Each run", page.folded(page.table(each, {name: (name, "{}") for name in names}))
        ),
        lead=f"{sum(len(row.by_seed) for row in rows)} evaluations in {len(rows)} rows",
    )


def _written(row: Row, gain: Gain) -> dict[str, str]:
    cells = {
        metric: f"{100 * row.mean(metric):.1f} ± {100 * row.spread(metric):.1f}"
        for metric in ("AP", "AP_50", "AP_75")
        if row.values(metric)
    }
    if gain.points:
        cells["gain"] = f"{100 * statistics.fmean(gain.points):+.1f}"
    if gain.closed:
        cells["closed"] = f"{100 * statistics.fmean(gain.closed):.0f}%"
    return cells | {"runs": str(len(row.by_seed))}


def _words(marks: Mapping[str, str]) -> str:
    return ", ".join(marks.values()) or "nothing"


def _curves(rows: Sequence[Row], config: CompareConfig) -> list[str]:
    """A line for each set of rows that differ in the tag of the x axis alone."""
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        tags = dict(row.tags)
        place = tags.pop(config.x, None)
        if place is None or not _is_number(place):
            continue
        name = Row(tuple(tags.items()), {}).name
        lines[name].append((float(place), 100 * row.mean(config.metric)))
    if not any(len(points) > 1 for points in lines.values()):
        return []
    drawn = [(f"s{n % 8}", name, sorted(points)) for n, (name, points) in enumerate(lines.items())]
    svg = charts.curves(drawn, x_name=config.x, y_name=f"{config.metric} x 100")
    return [page.section("Curves", page.legend((kind, name) for kind, name, _ in drawn) + svg)]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
