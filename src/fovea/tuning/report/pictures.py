"""The pictures of a study, by name: what each is called, what it says, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fovea.tuning import charts
from fovea.tuning.charts import Column, Mark, Span
from fovea.tuning.report import panels
from fovea.tuning.report.view import View, position, words

FULL = 1120
"""Width of a picture that has the page to itself."""


@dataclass(frozen=True)
class Picture:
    """One picture, drawn for one study."""

    name: str
    heading: str
    text: str
    svg: str
    is_wide: bool = False


def history_(view: View) -> Picture:
    """The goal by trial, and the best so far."""
    marks = [
        Mark(r.number, r.values[0], view.kind(r), words(r), trial=r.number)
        for r in view.records
        if r.values
    ]
    steps: list[tuple[float, float]] = []
    for record in view.complete:
        if not steps or view.goal.is_better(record.values[0], steps[-1][1]):
            steps.append((record.number, record.values[0]))
    text = "Each mark is a trial; the line is the best so far. Hollow marks were pruned."
    svg = charts.scatter(marks, x_name="trial", y_name=view.goal.metric, steps=steps)
    return Picture("history", "History", text, svg)


def curves(view: View) -> Picture:
    """The goal while the trials ran."""
    ranked = sorted(view.records, key=lambda record: record == view.best)
    lines = [(view.kind(r), words(r), sorted(r.points.items())) for r in ranked]
    unit = view.study.file.prune.unit
    svg = charts.curves(
        lines, x_name=unit, y_name=view.goal.metric, trials=[record.number for record in ranked]
    )
    text = f"{view.goal.metric} by {unit}; lines that end early were pruned."
    return Picture("curves", "While they ran", text, svg)


def importances(view: View) -> Picture:
    """How much each parameter decides."""
    text = (
        "How much of the difference between good trials and the rest each parameter explains "
        "(PED-ANOVA)."
    )
    if view.fanova:
        text += " The thin bars are f-ANOVA: how much of the variance of all trials."
    return Picture("importances", "Importance", text, charts.bars(view.importances, view.fanova))


def slices(view: View) -> Picture:
    """The goal by each parameter."""
    pictures: list[str] = []
    for name in view.names:
        column = view.column(name)
        marks = [
            Mark(
                at,
                record.values[0],
                "best" if record == view.best else "good",
                words(record),
                charts.color(view.ranks[record.number]),
                trial=record.number,
            )
            for record in view.complete
            if (at := position(column, record.parameters)) is not None
        ]
        pictures.append(
            charts.scatter(
                marks,
                x_name=name,
                y_name=view.goal.metric,
                log_x=column.log,
                labels_x=column.choices,
                height=220,
                width=320,
            )
        )
    svg = f'<div class="slices">{"".join(pictures)}</div>' if pictures else charts.nothing("none")
    return Picture("slices", "One parameter at a time", "Complete trials only.", svg, is_wide=True)


def contour(view: View) -> Picture:
    """Two parameters at a time."""
    text = (
        "The most important parameters against each other. Below the diagonal what lies between "
        "the complete trials, orange where it is good; above it every trial, coloured by its rank."
    )
    svg = panels.matrix(view, view.names)
    return Picture("contour", "Two parameters at a time", text, svg, is_wide=True)


def parallel(view: View) -> Picture:
    """All parameters at once."""
    columns = [view.column(name) for name in view.names]
    ends = [Column(goal.metric) for goal in view.goals]
    rows = [
        (
            [*(position(column, record.parameters) for column in columns), *record.values],
            view.ranks[record.number],
            words(record),
        )
        for record in view.complete
    ]
    svg = charts.parallel(
        [*columns, *ends], rows, trials=[r.number for r in view.complete], width=FULL
    )
    text = "Each line is a complete trial; orange lines are the best."
    return Picture("parallel", "Parallel coordinates", text, svg, is_wide=True)


def timeline(view: View) -> Picture:
    """When trials worked, by worker."""
    spans = [
        Span(
            record.started,
            record.ended,
            record.state,
            words(record),
            _worker(record.about.get("owner") or {}),
            record.number,
        )
        for record in view.records
        if record.started and record.ended
    ]
    text = "When trials worked, a line a worker. Grey ones were pruned, red ones failed."
    return Picture("timeline", "Timeline", text, charts.timeline(spans))


def front(view: View) -> Picture:
    """The goals against each other."""
    pictures: list[str] = []
    for second in range(1, len(view.goals)):
        marks, corners = panels.front_marks(view, 0, second)
        pictures.append(
            charts.scatter(
                marks,
                x_name=view.goal.metric,
                y_name=view.goals[second].metric,
                path=corners if len(view.goals) == 2 else (),
            )
        )
    text = "No other trial beats the orange ones in every goal."
    return Picture("front", "Front", text, "".join(pictures))


def hypervolume(view: View) -> Picture:
    """How much of what can be had the front covers, by trial."""
    steps = panels.hypervolumes(view.records, view.goals)
    text = (
        "The share of the box between the worst and the best value of each goal that the front "
        "so far covers. A line that stays flat has found what it can find."
    )
    svg = charts.curves(
        [("best", "hypervolume", [(float(at), share) for at, share in steps])],
        x_name="trial",
        y_name="hypervolume",
    )
    return Picture("hypervolume", "Hypervolume", text, svg)


SINGLE: tuple[Callable[[View], Picture], ...] = (
    history_, curves, importances, timeline, slices, contour, parallel,
)  # fmt: skip
SEVERAL: tuple[Callable[[View], Picture], ...] = (
    front, hypervolume, history_, timeline, slices, contour, parallel,
)  # fmt: skip


def pictures(view: View) -> list[Picture]:
    """All pictures of a study."""
    makers = SINGLE if len(view.goals) == 1 else SEVERAL
    return [make(view) for make in makers]


def _worker(owner: dict[str, object]) -> str:
    return f"{owner.get('host', '')}:{owner.get('pid', '')}"
