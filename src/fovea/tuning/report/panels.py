"""Pictures of two parameters or two goals at a time: contours, ranks, fronts, hypervolume.

A contour is worked out between the trials by weighting each with its distance (Shepard 1968, power
3, distances in a unit square): it passes through every trial and promises nothing far from them. It
is drawn as a small picture of a few colours, so that its bands read as contours.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fovea.tuning import history
from fovea.tuning.charts import Mark, Scale, color, nothing

if TYPE_CHECKING:
    from fovea.tuning.goal import Goal
    from fovea.tuning.history import Record
    from fovea.tuning.report.view import View

CELL, GAP, EDGE = 220, 14, 4
PIXELS, BANDS = 88, 9
MOST = 4


def matrix(view: View, names: Sequence[str]) -> str:
    """The most important parameters against each other: contours below, ranks above.

    Args:
        view: the study.
        names: the parameters, the important ones first; numbers only are shown.
    """
    from fovea.tuning.report.view import position, words

    columns = [c for c in (view.column(name) for name in names) if not c.choices][:MOST]
    shown = [r for r in view.records if r.state in ("complete", "pruned") and r.values]
    rows = [
        (record, [position(column, record.parameters) for column in columns]) for record in shown
    ]
    rows = [(record, at) for record, at in rows if None not in at]
    if len(columns) < 2 or len(rows) < 4:
        return nothing("four finished trials and two parameters that are numbers are needed")
    axes = [
        Scale.over([float(at[i] or 0.0) for _, at in rows], 0, 1, log=columns[i].log)
        for i in range(len(columns))
    ]
    unit = np.array([[axes[i](float(at[i] or 0)) for i in range(len(columns))] for _, at in rows])
    is_whole = np.array([record.state == "complete" for record, _ in rows])
    ranks = np.array([_rank(view, record) for record, _ in rows])
    parts: list[str] = []
    for i in range(len(columns)):
        for j in range(len(columns)):
            x, y = EDGE + j * (CELL + GAP), 4 + i * (CELL + GAP)
            if i == j:
                column = [float(at[i] or 0.0) for _, at in rows]
                parts += _name_cell(x, y, columns[i].name, (min(column), max(column)))
                continue
            if i > j and is_whole.sum() >= 3:
                code = _contour(unit[is_whole][:, [j, i]], ranks[is_whole])
                parts.append(
                    f'<image class="contour" x="{x}" y="{y}" width="{CELL}" height="{CELL}" '
                    f'preserveAspectRatio="none" href="data:image/png;base64,{code}"/>'
                )
            parts.append(
                f'<rect class="cell" x="{x}" y="{y}" width="{CELL}" height="{CELL}" rx="4"/>'
            )
            for (record, _), at, rank in zip(rows, unit, ranks, strict=True):
                px, py = x + at[j] * CELL, y + (1 - at[i]) * CELL
                fill = "" if i > j else f' style="fill:{color(float(rank))}"'
                kind = view.kind(record) if i > j else "ranked"
                parts.append(
                    f'<circle class="mark {kind}" data-t="{record.number}" cx="{px:.1f}" '
                    f'cy="{py:.1f}" r="{3 if i > j else 5}"{fill}>'
                    f"<title>{escape(words(record))}</title></circle>"
                )
    side = EDGE + len(columns) * (CELL + GAP)
    label = "contours below the diagonal, ranks above"
    return (
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _rank(view: View, record: Record) -> float:
    """From 0 to 1 among all that have a number, pruned ones too."""
    shown = [r.values[0] for r in view.records if r.values and r.state in ("complete", "pruned")]
    worse = sum(view.goal.is_better(record.values[0], value) for value in shown)
    return worse / max(1, len(shown) - 1)


def _name_cell(x: float, y: float, name: str, ends: tuple[float, float]) -> list[str]:
    middle = x + CELL / 2
    leaf = name.rpartition(".")
    texts = [(leaf[0], y + CELL / 2 - 16, "dim"), (leaf[2], y + CELL / 2 + 4, "title")]
    texts.append((f"{ends[0]:.3g} to {ends[1]:.3g}", y + CELL / 2 + 24, "dim"))
    return [
        f'<text class="{kind}" x="{middle:.0f}" y="{at:.0f}" text-anchor="middle">'
        f"{escape(text)}</text>"
        for text, at, kind in texts
        if text
    ]


def _contour(at: np.ndarray, ranks: np.ndarray) -> str:
    """The picture of a surface through these trials, as base64 of a PNG."""
    grid = (np.arange(PIXELS) + 0.5) / PIXELS
    x, y = np.meshgrid(grid, grid[::-1])
    distance = np.hypot(x[..., None] - at[:, 0], y[..., None] - at[:, 1])
    weights = 1.0 / (distance + 0.02) ** 3
    surface = (weights * ranks).sum(-1) / weights.sum(-1)
    low, high = float(surface.min()), float(surface.max())
    bands = np.round((surface - low) / ((high - low) or 1.0) * (BANDS - 1)).astype(np.uint8)
    picture = Image.fromarray(bands, mode="P")
    palette: list[int] = []
    for band in range(BANDS):
        palette += [int(word) for word in color(band / (BANDS - 1))[4:-1].split(",")]
    picture.putpalette(palette)
    file = io.BytesIO()
    picture.resize((2 * PIXELS, 2 * PIXELS), Image.Resampling.NEAREST).save(
        file, "PNG", optimize=True
    )
    return base64.b64encode(file.getvalue()).decode()


def front_marks(
    view: View, first: int, second: int
) -> tuple[list[Mark], list[tuple[float, float]]]:
    """The trials by two goals, and the corners of the front between them."""
    from fovea.tuning.report.view import words

    kept = {record.number for record in view.front}
    marks = [
        Mark(
            record.values[first],
            record.values[second],
            "best" if record.number in kept else "good",
            words(record),
            trial=record.number,
        )
        for record in view.complete
    ]
    corners = sorted((r.values[first], r.values[second]) for r in view.front)
    return marks, corners


def hypervolumes(records: Sequence[Record], goals: Sequence[Goal]) -> list[tuple[int, float]]:
    """The share of the box between the worst and the best values that the front so far covers.

    Of several goals only: by trial, from 0 to 1.
    """
    found = history.complete(records)
    if len(goals) < 2 or len(found) < 2:
        return []
    values = np.array([record.values for record in found], float)
    values = np.where([goal.is_max for goal in goals], -values, values)
    low, high = values.min(0), values.max(0)
    unit = (values - low) / np.where(high > low, high - low, 1.0)
    steps: list[tuple[int, float]] = []
    for count, record in enumerate(found, 1):
        steps.append((record.number, dominated(unit[:count])))
    return steps


def dominated(points: np.ndarray) -> float:
    """The volume below 1 in every direction that some point dominates; smaller is better.

    By slicing along the last goal: between two neighbouring values the cut is the volume that the
    points below it dominate in the goals left.
    """
    inside = points[(points < 1.0).all(1)]
    if len(inside) == 0:
        return 0.0
    if points.shape[1] == 1:
        return float(1.0 - inside.min())
    ordered = inside[np.argsort(inside[:, -1])]
    cuts = [*ordered[:, -1], 1.0]
    return sum(
        (cuts[at + 1] - cuts[at]) * dominated(ordered[: at + 1, :-1])
        for at in range(len(ordered))
        if cuts[at + 1] > cuts[at]
    )
