"""`vlm.compare`: does one data set make a better model than another, and how sure is that?

Models of several seeds answered the same questions. Scores are averaged over the seeds question by
question, and the difference between the sides is judged by the paired bootstrap. The challenge's
score is the mean, over the benchmarks, of a side's accuracy over the base's.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.metrics.bootstrap import Difference, paired_bootstrap
from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context
from fovea.scene import page
from fovea.vlm.answers_page import NAMES
from fovea.vlm.settings.compare import CompareConfig


@dataclass(frozen=True)
class Scored:
    """One model's scores on one benchmark."""

    task: str
    side: str
    seed: str
    questions: Mapping[str, float]
    path: Path

    @property
    def accuracy(self) -> float:
        """The mean over its questions."""
        return statistics.fmean(self.questions.values())


@dataclass(frozen=True)
class Verdict:
    """What a side has over the base on one benchmark."""

    task: str
    side: str
    difference: Difference
    ratio: float | None
    """The side's accuracy over the base's; none where the base answered nothing right."""


def compare(config: CompareConfig, context: Context) -> dict[str, float]:
    """Write verdicts and a page."""
    scored = [read_scores(path, config) for path in config.scores]
    tasks = list(dict.fromkeys(one.task for one in scored))
    sides = [s for s in dict.fromkeys(one.side for one in scored) if s != config.base]
    sides = sides or [config.base]  # one side alone gains nothing over itself, and is told so
    verdicts = [_verdict(scored, task, side, config, context) for task in tasks for side in sides]
    ratios = {side: _challenge(verdicts, side) for side in sides}
    for verdict in verdicts:
        sentence = f"{NAMES[verdict.task]}, {verdict.side} over {config.base}: "
        context.note(sentence + verdict.difference.sentence())
    document = {
        "verdicts": [
            {"task": v.task, "side": v.side, "ratio": v.ratio, **asdict(v.difference)}
            for v in verdicts
        ],
        "challenge": ratios,
        "sides": {f"{s.task} {s.side} {s.seed}": s.accuracy for s in scored},
    }
    write_json(context.output("verdict"), document)
    write_text(context.output("page"), _page(scored, verdicts, ratios, config))
    best = max(verdicts, key=lambda verdict: verdict.difference.mean)
    return {
        "gain": best.difference.mean,
        "gain_low": best.difference.low,
        "ratio": max(ratios.values()),
    }


def read_scores(path: Path, config: CompareConfig) -> Scored:
    """The scores of one model on one benchmark.

    Raises:
        DataError: it is not what vlm.evaluate writes, or its tag is missing.
    """
    try:
        document = mapping(json.loads(path.read_text(encoding="utf-8")))
        tags = {str(k): str(v) for k, v in document["tags"].items()}
        found = {str(k): float(v) for k, v in document["questions"].items()}
        task = str(document["task"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} holds no scores of vlm.evaluate: {type(error).__name__} {error}. Give its "
            "scores.json."
        ) from error
    if config.by not in tags:
        raise DataError(
            f"scores are told apart by their tag {config.by}; {path} has {tags or 'no tags'}. "
            f"Evaluate with tags.{config.by}=NAME."
        )
    return Scored(task, tags[config.by], tags.get(config.average, ""), found, path)


def _verdict(
    scored: Sequence[Scored], task: str, side: str, config: CompareConfig, context: Context
) -> Verdict:
    ours = [one for one in scored if one.task == task and one.side == side]
    base = [one for one in scored if one.task == task and one.side == config.base]
    if not base or not ours:
        there = sorted({one.side for one in scored if one.task == task})
        raise DataError(
            f"gains on {task} are counted from {config.by}={config.base}; there is "
            f"{', '.join(there)}. Set base to one of them."
        )
    keys = list(base[0].questions)
    for one in (*base, *ours):
        if set(one.questions) != set(keys):
            raise DataError(
                f"models are compared on the same questions; {one.path} has "
                f"{len(one.questions)} and {base[0].path} {len(keys)}, not the same ones. "
                "Evaluate both on one file."
            )
    a, b = (np.array([[one.questions[key] for key in keys] for one in of]) for of in (base, ours))
    difference = paired_bootstrap(
        a,
        b,
        np.random.default_rng(config.seed),
        draws=config.draws,
        confidence=config.confidence,
    )
    ratio = float(b.mean() / a.mean()) if a.mean() > 0 else None
    return Verdict(task, side, difference, ratio)


def _challenge(verdicts: Sequence[Verdict], side: str) -> float:
    """The mean ratio over the benchmarks that have one; 0 without any."""
    ratios = [v.ratio for v in verdicts if v.side == side and v.ratio is not None]
    return statistics.fmean(ratios) if ratios else 0.0


def _page(
    scored: Sequence[Scored],
    verdicts: Sequence[Verdict],
    ratios: Mapping[str, float],
    config: CompareConfig,
) -> str:
    sentences = [
        [NAMES[v.task], v.side, f"{100 * v.difference.mean:+.1f}", _interval(v.difference),
         f"{v.difference.p:.2g}", "real" if v.difference.is_real else "may be chance",
         "none" if v.ratio is None else f"{v.ratio:.3f}"]
        for v in verdicts
    ]  # fmt: skip
    heads = ("benchmark", config.by, "points", "interval", "p", "verdict", "ratio")
    note = (
        f"Points of 100 over {config.base}, averaged over {config.average}s; intervals of "
        f"{config.confidence:.0%} by {config.draws:,} draws of the questions."
    )
    tiles = {f"challenge score, {side}": f"{ratio:.3f}" for side, ratio in ratios.items()}
    return page.page(
        "One data set against another",
        page.tiles(tiles),
        page.section("What was gained", page.listing(heads, sentences), note),
        page.section("Each model", page.table(_rows(scored), _columns(scored)), _spread_note()),
        lead=f"{len(scored)} evaluations; the challenge's score is the mean ratio to "
        f"{config.base}.",
    )


def _rows(scored: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in scored:
        rows[f"{one.side}, {one.seed}" if one.seed else one.side][one.task] = 100 * one.accuracy
    return rows


def _columns(scored: Sequence[Scored]) -> dict[str, tuple[str, str]]:
    return {one.task: (NAMES[one.task], "{:.1f}") for one in scored}


def _spread_note() -> str:
    return "Accuracy in points of 100, a row a model."


def _interval(difference: Difference) -> str:
    return f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
