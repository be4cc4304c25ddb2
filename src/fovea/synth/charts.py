"""The pictures of the analysis, as SVG: distributions, rows kept by limit, correlations.

Hovering shows a mark's own words, so that any limit can be read off without a script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from fovea.tuning.charts import Scale

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

WIDTH, HEIGHT = 640, 190
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 30
KEPT, LOST = "s2", "s5"


def number(value: float) -> str:
    """A value in few letters."""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def histogram(
    values: Float64[np.ndarray, " n"],
    *,
    name: str,
    bins: int,
    passes: Bool[np.ndarray, " n"] | None = None,
) -> str:
    """How often values are, in bars: green what stays, red what goes."""
    if not len(values):
        return '<p class="nothing">no value was measured</p>'
    edges = _edges(values, bins)
    kept = np.ones(len(values), bool) if passes is None else passes
    stays, goes = (np.histogram(values[where], edges)[0] for where in (kept, ~kept))
    most = int((stays + goes).max())
    x = Scale(float(edges[0]), float(edges[-1]), LEFT, WIDTH - RIGHT)
    y = Scale(0, most, HEIGHT - BOTTOM, TOP)
    parts = _frame(x, y, name, "values")
    for k in range(len(edges) - 1):
        left, right = x(float(edges[k])), x(float(edges[k + 1]))
        span = f"{number(float(edges[k]))} to {number(float(edges[k + 1]))}"
        total = 0
        for count, kind, word in ((int(stays[k]), KEPT, "stay"), (int(goes[k]), LOST, "go")):
            if count:
                top, bottom = y(total + count), y(total)
                words = f"{span}: {count} {word}"
                parts.append(
                    f'<rect class="mark {kind}" x="{left:.1f}" y="{top:.1f}" '
                    f'width="{max(1.0, right - left - 0.6):.1f}" '
                    f'height="{max(0.8, bottom - top):.1f}"><title>{escape(words)}</title></rect>'
                )
                total += count
    return _svg(parts, HEIGHT, f"distribution of {name}")


def _edges(values: Float64[np.ndarray, " n"], bins: int) -> Float64[np.ndarray, " b"]:
    """Where bars begin and end; counts get bars around whole numbers."""
    low, high = float(values.min()), float(values.max())
    if np.array_equal(values, np.round(values)) and high - low >= 1:
        width = math.ceil((high - low + 1) / bins)
        return np.arange(low - 0.5, high + width, width)
    return np.linspace(low, high if high > low else low + 1, bins + 1)


def kept_curves(table: Sequence[tuple[float, float, int, int]], *, name: str, rows: int) -> str:
    """Rows that a least value keeps, and rows that a largest value keeps."""
    if not table:
        return ""
    limits = [limit for _, limit, _, _ in table]
    low, high = min(limits), max(limits)
    x = Scale(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT)
    y = Scale(0, max(1, *(max(least, most) for _, _, least, most in table)), HEIGHT - BOTTOM, TOP)
    parts = _frame(x, y, f"limit of {name}", "values kept")
    for column, kind, sign in ((2, "s0", "≥"), (3, "s1", "≤")):
        points = " ".join(f"{x(row[1]):.1f},{y(float(row[column])):.1f}" for row in table)
        parts.append(f'<polyline class="curve {kind}" points="{points}"/>')
        for row in table:
            kept = int(row[column])
            words = f"{sign} {number(row[1])} keeps {kept} of {rows} (q{row[0]:g})"
            parts.append(
                f'<circle class="mark {kind}" cx="{x(row[1]):.1f}" cy="{y(float(kept)):.1f}" '
                f'r="2.6"><title>{escape(words)}</title></circle>'
            )
    return _svg(parts, HEIGHT, f"rows kept by limits of {name}")


def curve(
    at: Float64[np.ndarray, " n"], values: Float64[np.ndarray, " n"], *, name: str, x_name: str
) -> str:
    """Values one after the other, as a line."""
    last = float(at[-1])
    x = Scale(0, last if last > 0 else 1, LEFT, WIDTH - RIGHT)
    y = Scale(0, max(float(values.max()), 1e-9) * 1.05, HEIGHT - BOTTOM, TOP)
    pairs = zip(at.tolist(), values.tolist(), strict=True)
    points = " ".join(f"{x(t):.1f},{y(value):.1f}" for t, value in pairs)
    line = f'<polyline class="curve s0" points="{points}"/>'
    return _svg([*_frame(x, y, x_name, name), line], HEIGHT, name)


def heat(names: Sequence[str], values: Float64[np.ndarray, "k k"]) -> str:
    """Correlations as squares: blue against one another, orange with one another."""
    side, head = 34, 190
    parts: list[str] = []
    for row, name in enumerate(names):
        top = 8 + row * side
        parts.append(
            f'<text class="dim" x="{head - 8}" y="{top + 21}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
        for column in range(row + 1):
            value = float(values[row, column])
            words = f"{name} and {names[column]}: {value:.2f}"
            color = "s1" if value >= 0 else "s0"
            depth = 0.0 if math.isnan(value) else min(1.0, abs(value)) * 0.85 + 0.05
            left = head + column * side
            parts.append(
                f'<rect class="mark {color}" x="{left}" y="{top}" width="{side - 2}" '
                f'height="{side - 2}" rx="4" fill-opacity="{depth:.2f}">'
                f"<title>{escape(words)}</title></rect>"
            )
            said = "" if math.isnan(value) else f"{value:.2f}"
            parts.append(
                f'<text x="{left + side / 2 - 1:.0f}" y="{top + 21}" text-anchor="middle">'
                f"{said}</text>"
            )
    height = 16 + side * len(names)
    return _svg(parts, height, "correlations", head + side * len(names) + 12)


def _frame(x: Scale, y: Scale, x_name: str, y_name: str) -> list[str]:
    parts: list[str] = []
    for tick in y.ticks(4):
        parts.append(
            f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y(tick)}" y2="{y(tick)}"/>'
            f'<text class="dim" x="{x.start - 6}" y="{y(tick) + 4}" text-anchor="end">'
            f"{number(tick)}</text>"
        )
    for tick in x.ticks(6):
        parts.append(
            f'<text class="dim" x="{x(tick):.1f}" y="{y.start + 14}" text-anchor="middle">'
            f"{number(tick)}</text>"
        )
    middle = (x.start + x.end) / 2
    parts.append(
        f'<text class="name" x="{middle:.0f}" y="{y.start + 28}" text-anchor="middle">'
        f"{escape(x_name)}</text>"
    )
    parts.append(f'<text class="name" x="4" y="{TOP - 3}">{escape(y_name)}</text>')
    return parts


def _svg(parts: Sequence[str], height: int, label: str, width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
