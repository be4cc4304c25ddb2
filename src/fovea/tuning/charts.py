"""The pictures of a study's page, as SVG that needs no script: hovering shows a mark's own words.

Colours come from the page's style sheet by class (`good`, `best`, `pruned`, `failed`), so that they
follow a light or a dark screen. A value's rank is a colour on a ramp from blue to orange. What
shows a trial carries its number as `data-t`, so that a page's script finds it in all pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 34
RAMP = ((62, 72, 158), (138, 66, 158), (206, 84, 118), (244, 148, 62))
"""The colours of ranks, from the worst to the best: they differ in lightness too."""


UNITS = ((3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Mark:
    """One trial in a picture."""

    x: float
    y: float
    kind: str
    """The class of the style sheet: `good`, `best`, `pruned`, `failed`, `base`."""
    words: str
    color: str = ""
    trial: int | None = None


@dataclass(frozen=True)
class Scale:
    """Numbers to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, log: bool = False) -> Scale:
        """A scale that shows all these values with some air around them."""
        low, high = min(values), max(values)
        log = log and low > 0
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        if not log:
            air = (high - low) * 0.05
            low, high = low - air, high + air
        return cls(low, high, start, end, log)

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 2)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers to write beside the axis."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            powers = [10.0**i for i in range(first, last + 1)]
            return (
                powers[:: max(1, len(powers) // most)] if len(powers) > 1 else [self.low, self.high]
            )
        rough = (self.high - self.low) / most
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def color(part: float) -> str:
    """The colour of a rank: 0 is worst, 1 is best."""
    at = min(1.0, max(0.0, part)) * (len(RAMP) - 1)
    left = min(int(at), len(RAMP) - 2)
    ends = zip(RAMP[left], RAMP[left + 1], strict=True)
    mixed = [round(a + (b - a) * (at - left)) for a, b in ends]
    return f"rgb({mixed[0]},{mixed[1]},{mixed[2]})"


def number(value: Any) -> str:
    """A value in few letters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def scatter(
    marks: Sequence[Mark],
    *,
    x_name: str,
    y_name: str,
    steps: Sequence[tuple[float, float]] = (),
    log_x: bool = False,
    labels_x: Sequence[str] = (),
    height: int = 280,
    width: int = WIDTH,
    path: Sequence[tuple[float, float]] = (),
) -> str:
    """Trials as marks; `steps` are the corners of a line such as the best so far, `path` a line."""
    finite = [mark for mark in marks if math.isfinite(mark.y)]
    if not finite:
        return nothing("no value to show yet")
    x = Scale.over([mark.x for mark in marks], LEFT, width - RIGHT, log=log_x)
    y = Scale.over([mark.y for mark in finite], height - BOTTOM, TOP)
    parts = _axes(x, y, x_name, y_name, labels_x)
    if steps:
        corners = [(x(steps[0][0]), y(steps[0][1]))]
        for at, value in steps[1:]:
            corners += [(x(at), corners[-1][1]), (x(at), y(value))]
        corners.append((width - RIGHT, corners[-1][1]))
        parts.append(_line(corners, "steps", ""))
    if path:
        parts.append(_line([(x(a), y(b)) for a, b in path], "steps", ""))
    parts += [_mark(mark, x(mark.x), y(mark.y)) for mark in finite]
    return _svg(parts, height, f"{y_name} over {x_name}", width)


def curves(
    lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]],
    *,
    x_name: str,
    y_name: str,
    height: int = 280,
    trials: Sequence[int] = (),
) -> str:
    """A line a trial: its class, its words, and its points; `trials` are their numbers."""
    lines = [
        (kind, words, [point for point in points if math.isfinite(point[1])])
        for kind, words, points in lines
    ]
    numbers = trials or [None] * len(lines)
    points = [point for _, _, line in lines for point in line]
    if not points:
        return nothing("no trial reported a value while it ran")
    x = Scale.over([point[0] for point in points], LEFT, WIDTH - RIGHT)
    y = Scale.over([point[1] for point in points], height - BOTTOM, TOP)
    parts = _axes(x, y, x_name, y_name, ())
    for (kind, words, line), trial in zip(lines, numbers, strict=True):
        pixels = [(x(a), y(b)) for a, b in line]
        if len(pixels) == 1:
            parts.append(_mark(Mark(0, 0, kind, words, trial=trial), *pixels[0]))
        elif pixels:
            parts.append(_line(pixels, f"curve {kind}", words, trial=trial))
    return _svg(parts, height, f"{y_name} over {x_name}")


def bars(shares: Mapping[str, float], second: Mapping[str, float] | None = None) -> str:
    """Names with bars from 0 to 1; `second` is another reading of the same, as thinner bars."""
    if not shares:
        return nothing("at least four complete trials with different values are needed")
    parts: list[str] = []
    room, step = WIDTH - 250, 32 if second else 26
    for row, (name, share) in enumerate(shares.items()):
        top = 6 + row * step
        width = max(1, share * room)
        parts += [
            _text(190, top + 14, name, "end"),
            f'<rect class="bar" x="200" y="{top}" width="{width:.1f}" height="18" rx="3"/>',
            _text(206 + share * room, top + 14, f"{share:.0%}", "start", "dim"),
        ]
        if second:
            thin = max(1, second.get(name, 0.0) * room)
            parts.append(
                f'<rect class="bar thin" x="200" y="{top + 20}" width="{thin:.1f}" height="5" '
                f'rx="2"/>'
            )
    return _svg(parts, 12 + step * len(shares), "importance of the parameters")


@dataclass(frozen=True)
class Column:
    """One axis of parallel coordinates."""

    name: str
    log: bool = False
    choices: tuple[str, ...] = ()
    """The words of a choice; its values are then positions among them."""


def parallel(
    columns: Sequence[Column],
    rows: Sequence[tuple[Sequence[float | None], float, str]],
    *,
    trials: Sequence[int] = (),
    width: int = WIDTH,
) -> str:
    """A line a trial through all its parameters: values, rank from 0 to 1, words."""
    height, top, bottom = 310, 46, 282
    numbers = trials or [None] * len(rows)
    if len(columns) < 2 or not rows:
        return nothing("no complete trial yet")
    scales: list[Scale | None] = []
    for at, column in enumerate(columns):
        values = [v for row, _, _ in rows if (v := row[at]) is not None]
        values = list(range(len(column.choices))) if column.choices else values
        scales.append(Scale.over(values, bottom, top, log=column.log) if values else None)
    gap = (width - 2 * 60) / (len(columns) - 1)
    parts = [
        _line(
            [
                (60 + gap * at, scale(value))
                for at, (value, scale) in enumerate(zip(row, scales, strict=True))
                if value is not None and scale
            ],
            "thread",
            words,
            color(rank),
            trial,
        )
        for (row, rank, words), trial in sorted(
            zip(rows, numbers, strict=True), key=lambda pair: pair[0][1]
        )
    ]
    for at, (column, scale) in enumerate(zip(columns, scales, strict=True)):
        x = 60 + gap * at
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(x, 16 if at % 2 == 0 else 29, column.name, "middle", "name"))
        ticks = list(enumerate(column.choices)) if column.choices else []
        ticks = ticks or [(t, f"{t:.3g}") for t in (scale.ticks(4) if scale else [])]
        parts += [_text(x + 5, scale(v) + 4, w, "start", "dim") for v, w in ticks if scale]
    return _svg(parts, height, "parallel coordinates: each line a trial, bright ones best", width)


@dataclass(frozen=True)
class Span:
    """One trial at work."""

    begin: float
    end: float
    kind: str
    words: str
    lane: str = ""
    """Who worked on it."""
    trial: int | None = None


def timeline(spans: Sequence[Span], *, width: int = WIDTH) -> str:
    """When trials worked, a lane a worker."""
    if not spans:
        return nothing("no trial has worked yet")
    begin = min(span.begin for span in spans)
    lengths = [span.end - begin for span in spans]
    x = Scale(0, max(*lengths, 1e-3), LEFT, width - RIGHT)
    lanes = list(dict.fromkeys(span.lane for span in sorted(spans, key=lambda s: s.begin)))
    parts: list[str] = []
    for span in spans:
        top = 8 + 26 * lanes.index(span.lane)
        left, right = x(span.begin - begin), x(span.end - begin)
        parts.append(
            f'<rect class="span {span.kind}"{_number(span.trial)} x="{left}" y="{top}" rx="2" '
            f'width="{max(1.5, right - left - 0.8):.2f}" height="20">'
            f"<title>{escape(span.words)}</title></rect>"
        )
    bottom = 8 + 26 * len(lanes)
    if len(lanes) > 1:
        parts += [
            _text(LEFT - 6, 22 + 26 * row, lane, "end", "dim") for row, lane in enumerate(lanes)
        ]
    unit, word = next((u, w) for u, w in UNITS if x.high >= 2 * u or u == 1)
    ticks = Scale(0, x.high / unit, 0, 1).ticks(6)
    parts += [_text(x(t * unit), bottom + 12, f"{t:g} {word}", "middle", "dim") for t in ticks]
    return _svg(parts, bottom + 24, "when trials worked", width)


def nothing(why: str) -> str:
    """What stands where a picture cannot be drawn."""
    return f'<p class="nothing">{escape(why)}</p>'


def _axes(x: Scale, y: Scale, x_name: str, y_name: str, labels_x: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for tick in y.ticks():
        parts.append(
            f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y(tick)}" y2="{y(tick)}"/>'
        )
        parts.append(_text(x.start - 6, y(tick) + 4, f"{tick:.5g}", "end", "dim"))
    ticks = list(enumerate(labels_x)) or [(t, f"{t:.3g}") for t in x.ticks()]
    parts += [_text(x(t), y.start + 15, words, "middle", "dim") for t, words in ticks]
    parts.append(_text((x.start + x.end) / 2, y.start + 31, x_name, "middle", "name"))
    parts.append(_text(4, TOP - 3, y_name, "start", "name"))
    return parts


def _mark(mark: Mark, x: float, y: float) -> str:
    title = f"<title>{escape(mark.words)}</title>"
    fill = f' style="fill:{mark.color}"' if mark.color else ""
    number = _number(mark.trial)
    if mark.kind == "failed":
        cross = f"M{x - 4} {y - 4}l8 8m0 -8l-8 8"
        return f'<path class="mark failed"{number} d="{cross}">{title}</path>'
    radius = 6 if mark.kind in ("best", "base") else 4
    return (
        f'<circle class="mark {mark.kind}"{number} cx="{x}" cy="{y}" r="{radius}"{fill}>'
        f"{title}</circle>"
    )


def _number(trial: int | None) -> str:
    return "" if trial is None else f' data-t="{trial}"'


def _line(
    points: Sequence[tuple[float, float]],
    kind: str,
    words: str,
    stroke: str = "",
    trial: int | None = None,
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f' style="stroke:{stroke}"' if stroke else ""
    title = f"<title>{escape(words)}</title>" if words else ""
    return f'<polyline class="{kind}"{_number(trial)} points="{path}"{style}>{title}</polyline>'


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def _svg(parts: Sequence[str], height: int, label: str, width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
