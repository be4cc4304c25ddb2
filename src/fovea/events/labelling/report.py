"""What an audit found, as a page that works from a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from fovea.events.labelling.judgement import INPAINTED, KEPT, REMOVED, Judgement
from fovea.events.labelling.quality import IOUS, SHORT_NAMES
from fovea.scene import page
from fovea.tuning import charts

BY_CLASS = {
    "precision": ("right", "{:.3f}"), "recall": ("found", "{:.3f}"),
    "kept": ("boxes kept", "{:d}"), "truth": ("true boxes", "{:d}"),
    "removed": ("removed", "{:d}"), "wasted": ("removed, right", "{:.3f}"),
} | {
    f"{key}{round(100 * least)}": (f"{key}@{round(100 * least)}", "{:.3f}")
    for least in IOUS
    for key in ("AP", "AR")
}  # fmt: skip
BY_REASON = {
    "boxes": ("boxes", "{:d}"), "right": ("right", "{:.3f}"), "score": ("mean score", "{:.3f}"),
    "length": ("median track", "{:.0f}"),
}  # fmt: skip
REASONS = {
    "long": "kept: track long enough",
    "unfinished": "kept: track not over at the end",
    "anchored": "kept: track holds ground truth",
    "backward": "kept: read backwards, one of these",
    "unfiltered": "kept: no filter",
    "unknown": "kept",
    "short": "removed: track too short, both ways",
    "ignored": "removed before, or filled in",
}
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Lower ends of the lengths of tracks that are told together."""
STEPS = 41


def tables(found: Judgement, published: Mapping[str, float], classes: Sequence[str]) -> Any:
    """Everything that the page shows, as plain values."""
    return {
        "classes": {
            name: _of_class(found.of_class(number), published, SHORT_NAMES.get(name, name))
            for number, name in enumerate(classes)
        },
        "reasons": by_reason(found),
        "lengths": by_length(found),
        "thresholds": by_score(found),
    }


def _of_class(own: Judgement, published: Mapping[str, float], name: str) -> dict[str, Any]:
    removed = own.boxes.where(own.boxes.fate == REMOVED)
    row: dict[str, Any] = {
        "kept": len(own.kept), "truth": len(own.trues), "removed": len(removed),
        "precision": own.kept.precision, "recall": own.trues.recall(),
    }  # fmt: skip
    if len(removed):
        row["wasted"] = removed.precision
    for least in IOUS:
        at = round(100 * least)
        for key in ("AP", "AR"):
            value = published.get(f"ssod/teacher_{key}@{at}_{name}")
            if value is not None:
                row[f"{key}{at}"] = value
    return row


def by_reason(found: Judgement) -> dict[str, dict[str, Any]]:
    """Why boxes were kept or taken away, and how right that was."""
    rows: dict[str, dict[str, Any]] = {}
    for reason, words in REASONS.items():
        own = found.boxes.where((found.boxes.reason == reason) & (found.boxes.fate != INPAINTED))
        if len(own):
            rows[words] = {
                "boxes": len(own), "right": own.precision, "score": float(own.score.mean()),
                "length": float(np.median(own.length)),
            }  # fmt: skip
    filled = found.boxes.where(found.boxes.fate == INPAINTED)
    if len(filled):
        rows["filled in: gap of a track"] = {"boxes": len(filled), "right": filled.precision}
    return rows


def by_length(found: Judgement) -> list[dict[str, float]]:
    """By the length of tracks: boxes, and which share is right; removed ones included."""
    real = found.boxes.where((found.boxes.fate != INPAINTED) & (found.boxes.length > 0))
    bins = np.digitize(real.length, LENGTHS)
    return [
        {"from": LENGTHS[number - 1], "boxes": float(np.sum(bins == number))}
        | {"right": real.where(bins == number).precision}
        for number in np.unique(bins).tolist()
    ]


def by_score(found: Judgement) -> list[dict[str, float]]:
    """Precision and recall of the kept boxes by the threshold on both scores."""
    rows: list[dict[str, float]] = []
    for score in np.linspace(0, 1, STEPS).tolist():
        if not (found.kept.score >= score).any():
            break
        precision, recall = found.at(score)
        rows.append({"score": score, "precision": precision, "recall": recall})
    return rows


def report(
    found: Judgement,
    listed: Mapping[str, Any],
    said: Sequence[str],
    figures: Iterable[str],
    *,
    title: str,
    lead: str,
) -> str:
    """The page.

    Args:
        found: all boxes.
        listed: of `tables`.
        said: advice.
        figures: pictures with captions, as markup.
        title: of the page.
        lead: what was audited.
    """
    advice = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    reasons = page.table(listed["reasons"], BY_REASON, corner="what became of a box, and why")
    shown = list(figures)
    parts = [
        page.tiles(_numbers(found)),
        page.section("What to do", f"<ul>{advice}</ul>"),
        page.section(
            "Classes",
            page.table(listed["classes"], BY_CLASS, corner="class"),
            "Right is the share of kept boxes that cover a true one of their class, found the share"
            " of true boxes that are covered. AP and AR are means over frames, as published.",
        ),
        page.section(
            "Thresholds",
            page.legend([("s0", "precision"), ("s1", "recall")]) + _curves(listed["thresholds"]),
            "Of the kept boxes with both scores at least as high.",
        ),
        page.section(
            "What the filter took away",
            reasons,
            "Whether boxes were right was not known to the filter; it saw their tracks alone.",
        ),
    ]
    if listed["lengths"]:
        parts.append(
            page.section(
                "Tracks",
                _lengths(listed["lengths"]),
                "Share of right boxes by the frames that their track spans, before the filter.",
            )
        )
    if shown:
        parts.append(
            page.section(
                "Pictures",
                page.strip(shown, is_wide=True),
                "Truth black, right boxes green, wrong ones red; grey is removed or filled in.",
            )
        )
    return page.page(title, *parts, lead=lead)


def _numbers(found: Judgement) -> dict[str, str]:
    fates = {fate: int(np.sum(found.boxes.fate == fate)) for fate in (KEPT, REMOVED, INPAINTED)}
    return {
        "of the kept boxes are right": f"{found.kept.precision:.1%}",
        "of the truth is found": f"{found.trues.recall():.1%}",
        "of the truth was found before the filter": f"{_share(found.trues.is_seen):.1%}",
        "boxes kept": f"{fates[KEPT]}",
        "removed": f"{fates[REMOVED]}",
        "filled in": f"{fates[INPAINTED]}",
        "true boxes, hidden": f"{len(found.trues)}",
    }


def _share(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _curves(rows: Sequence[Mapping[str, float]]) -> str:
    lines = [
        (kind, name, [(row["score"], row[name]) for row in rows])
        for kind, name in (("s0", "precision"), ("s1", "recall"))
    ]
    return charts.curves(lines, x_name="threshold on both scores", y_name="share")


def _lengths(rows: Sequence[Mapping[str, float]]) -> str:
    marks = [
        charts.Mark(
            row["from"], row["right"], "s0",
            f"{row['boxes']:.0f} boxes on tracks of {row['from']} frames and more:"
            f" {row['right']:.2f} right",
        )
        for row in rows
    ]  # fmt: skip
    table = page.table(
        {f"{row['from']} and more": dict(row) for row in rows},
        {"boxes": ("boxes", "{:.0f}"), "right": ("right", "{:.3f}")},
        corner="frames of the track",
    )
    chart = charts.scatter(marks, x_name="frames of the track", y_name="right", log_x=True)
    return chart + page.folded(table, "the same as a table")
