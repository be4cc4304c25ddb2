"""The page of a study: one file that works from a disk, without network and without script.

What it shows stands in `data`, which `report.json` holds as well.
"""

from __future__ import annotations

import base64
import csv
import importlib.metadata
import io
import math
import platform
import time
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from fovea.tuning import charts, history
from fovea.tuning.charts import Column, Mark, number
from fovea.tuning.history import Record
from fovea.tuning.parameter import Form
from fovea.tuning.study import Study

MOST_PICTURE_BYTES = 1_500_000
PACKAGES = ("fovea-vision", "optuna", "numpy", "torch")
STYLE = Path(__file__).with_name("report.css")


def data(study: Study) -> dict[str, Any]:
    """All that is known of a study, as plain data."""
    records, best = study.records, study.best
    return {
        "schema": 1,
        "study": study.file.study,
        "id": study.id,
        "stage": study.use,
        "objectives": [vars(goal) for goal in study.goals],
        "best": best.number if best else None,
        "front": [record.number for record in history.front(records, study.goals)],
        "seconds": round(sum(record.seconds for record in records), 3),
        "saved_seconds": round(history.saved_seconds(records), 3),
        "importances": study.importances(),
        "versions": _versions(),
        "trials": [
            {
                "number": record.number,
                "state": record.state,
                "values": record.values,
                "parameters": dict(record.parameters),
                "points": {str(step): _finite(value) for step, value in record.points.items()},
                "seconds": record.seconds,
                "failure": record.failure,
                "message": record.message,
                "folder": f"trials/{record.folder}" if record.folder else "",
                "baseline": record.is_baseline,
                "retry_of": record.retry_of,
                "feasible": record.is_feasible,
            }
            for record in records
        ],
    }


def csv_text(study: Study) -> str:
    """A row a trial."""
    names = _names(study.records)
    goals = [goal.metric for goal in study.goals]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", *goals, *names, "seconds", "failure", "folder"])
    for record in study.records:
        values = list(record.values) or [""] * len(goals)
        parameters = [record.parameters.get(name, "") for name in names]
        row = [record.number, record.state, *values, *parameters]
        writer.writerow([*row, record.seconds, record.failure, record.folder])
    return file.getvalue()


def page(study: Study) -> str:
    """The page, whole."""
    records = study.records
    title = escape(study.file.study)
    sections = [_head(study, records), _leaders(study, records)]
    for heading, text, picture in _pictures(study, records):
        sections.append(f"<section><h2>{heading}</h2><p>{escape(text)}</p>{picture}</section>")
    sections += [_table(study, records), _failures(records), _foot(study)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Whatever else may stand in a study, this page fetches nothing and runs nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{title}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


# The parts of the page


def _head(study: Study, records: Sequence[Record]) -> str:
    count = Counter(record.state for record in records)
    goals = ", ".join(f"{'max' if g.is_max else 'min'} {g.metric}" for g in study.goals)
    tiles = [("trials", ", ".join(f"{n} {s}" for s, n in count.items()) or "none")]
    best = study.best
    base = next((r for r in records if r.is_baseline and r.state == "complete"), None)
    if best and len(study.goals) == 1:
        tiles.insert(0, ("best", number(best.values[0])))
        if base:
            gain = best.values[0] - base.values[0]
            tiles.insert(1, ("base settings", number(base.values[0])))
            tiles.insert(2, ("gain", f"{gain:+.4g}"))
    tiles.append(("time spent", _duration(sum(record.seconds for record in records))))
    if saved := history.saved_seconds(records):
        tiles.append(("saved by pruning", f"about {_duration(saved)}"))
    boxes = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{name}</span></div>'
        for name, value in tiles
    )
    note = ""
    if any(goal.metric.startswith("test/") for goal in study.goals):
        note = (
            '<p class="note">The winner was picked on the test split: judge it on data that no '
            "trial has seen.</p>"
        )
    return (
        f"<header><h1>{escape(study.file.study)}</h1><p>{escape(study.use)}: {escape(goals)}</p>"
        f'</header><div class="tiles">{boxes}</div>{note}'
    )


def _leaders(study: Study, records: Sequence[Record]) -> str:
    """The best settings beside the base ones, the command, and pictures of both."""
    best = study.best
    if best is None:
        complete = sum(record.state == "complete" for record in records)
        return f'<p class="nothing">No trial to show as best: {complete} are complete.</p>'
    base = next((r for r in records if r.is_baseline and r.state == "complete"), None)
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(number(value))}</td>"
        + (f"<td>{escape(number(base.parameters.get(name, '')))}</td>" if base else "")
        + "</tr>"
        for name, value in best.parameters.items()
    )
    heads = "<tr><th></th><th>best</th>" + ("<th>base</th>" if base else "") + "</tr>"
    command = f"fovea run {study.folder / 'best.yaml'}"
    if len(study.goals) > 1:
        command = f"fovea tune best {study.folder} --pick trial:{best.number}"
    shown = [("best", best)] + ([("base settings", base)] if base and base != best else [])
    pictures = "".join(_picture(study, name, record) for name, record in shown)
    return (
        f"<section><h2>Best settings: trial {best.number}</h2>"
        f'<div class="beside"><table class="small">{heads}{rows}</table>'
        f'<div class="strip">{pictures}</div></div><pre>{escape(command)}</pre></section>'
    )


def _picture(study: Study, name: str, record: Record) -> str:
    """The last picture that a trial made."""
    found = sorted(study.trial_folder(record).glob("run/stages/*/pictures/*.png"))
    found = [path for path in found if path.stat().st_size < MOST_PICTURE_BYTES]
    if not found:
        return ""
    last = max(found, key=lambda path: path.stem.rpartition("-")[2])
    code = base64.b64encode(last.read_bytes()).decode()
    value = f", {number(record.values[0])}" if record.values else ""
    words = escape(f"{name}: trial {record.number}{value}")
    return (
        f'<figure><img alt="{words}" src="data:image/png;base64,{code}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _pictures(study: Study, records: Sequence[Record]) -> list[tuple[str, str, str]]:
    goal = study.goals[0]
    many = len(study.goals) > 1
    found = [
        (
            "History",
            "Each mark is a trial; the line is the best so far. Hollow marks were pruned.",
            _history(study, records),
        ),
        (
            "While they ran",
            f"{goal.metric} by {study.file.prune.unit}; lines that end early were pruned.",
            _curves(study, records),
        ),
        (
            "Importance",
            "How much of the difference between good trials and the rest each parameter explains "
            "(PED-ANOVA).",
            charts.bars(study.importances()),
        ),
        (
            "Parallel coordinates",
            "Each line is a complete trial; bright lines are the best.",
            _parallel(study, records),
        ),
        ("One parameter at a time", "Complete trials only.", _slices(study, records)),
        ("Timeline", "When trials worked.", _timeline(records)),
    ]
    if many:
        found[1] = ("Front", "No other trial beats the bright ones in both goals.", _front(study))
        del found[2]
    return found


def _history(study: Study, records: Sequence[Record]) -> str:
    goal, best = study.goals[0], study.best
    marks = [
        Mark(record.number, record.values[0], _kind(record, best), _words(record))
        for record in records
        if record.values
    ]
    steps: list[tuple[float, float]] = []
    for record in history.complete(records):
        if not steps or goal.is_better(record.values[0], steps[-1][1]):
            steps.append((record.number, record.values[0]))
    return charts.scatter(marks, x_name="trial", y_name=goal.metric, steps=steps)


def _curves(study: Study, records: Sequence[Record]) -> str:
    best = study.best
    ranked = sorted(records, key=lambda record: record == best)
    lines = [
        (_kind(record, best), _words(record), sorted(record.points.items())) for record in ranked
    ]
    unit = study.file.prune.unit
    return charts.curves(lines, x_name=unit, y_name=study.goals[0].metric)


def _parallel(study: Study, records: Sequence[Record]) -> str:
    found = history.complete(records)
    ranks = _ranks(study, found)
    names = _names(found)
    columns = [_column(study, found, name) for name in names]
    rows = [
        (
            [
                *(_position(column, record.parameters.get(column.name)) for column in columns),
                record.values[0],
            ],
            ranks[record.number],
            _words(record),
        )
        for record in found
    ]
    return charts.parallel([*columns, Column(study.goals[0].metric)], rows)


def _slices(study: Study, records: Sequence[Record]) -> str:
    found, best = history.complete(records), study.best
    ranks = _ranks(study, found)
    pictures: list[str] = []
    for name in _names(found):
        column = _column(study, found, name)
        marks = [
            Mark(
                position,
                record.values[0],
                "best" if record == best else "good",
                _words(record),
                charts.color(ranks[record.number]),
            )
            for record in found
            if (position := _position(column, record.parameters.get(name))) is not None
        ]
        pictures.append(
            charts.scatter(
                marks,
                x_name=name,
                y_name=study.goals[0].metric,
                log_x=column.log,
                labels_x=column.choices,
                height=220,
                width=320,
            )
        )
    return f'<div class="slices">{"".join(pictures)}</div>' if pictures else charts.nothing("none")


def _timeline(records: Sequence[Record]) -> str:
    spans = [
        (record.started, record.ended, record.state, _words(record))
        for record in records
        if record.started and record.ended
    ]
    return charts.timeline(spans)


def _front(study: Study) -> str:
    found = history.complete(study.records)
    front = {record.number for record in history.front(found, study.goals)}
    marks = [
        Mark(r.values[0], r.values[1], "best" if r.number in front else "good", _words(r))
        for r in found
    ]
    first, second = study.goals[:2]
    return charts.scatter(marks, x_name=first.metric, y_name=second.metric)


def _table(study: Study, records: Sequence[Record]) -> str:
    best, names = study.best, _names(records)
    goals = [goal.metric for goal in study.goals]
    heads = "".join(f"<th>{escape(h)}</th>" for h in ("trial", "state", *goals, *names, "time"))
    rows: list[str] = []
    for record in records:
        link = str(record.number)
        if record.folder:
            link = f'<a href="trials/{escape(record.folder)}/">{record.number}</a>'
        values = [number(value) for value in record.values]
        values += [record.failure if not values else ""] * (len(goals) - len(values))
        cells = [*values, *(number(record.parameters.get(name, "")) for name in names)]
        body = "".join(f"<td>{escape(cell)}</td>" for cell in [*cells, _duration(record.seconds)])
        note = " base" if record.is_baseline else ""
        mark = ' class="winner"' if record == best else ""
        state = f'<td><span class="chip {record.state}">{record.state}</span>{note}</td>'
        rows.append(f"<tr{mark}><td>{link}</td>{state}{body}</tr>")
    return (
        f'<section><h2>Trials</h2><div class="wide"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _failures(records: Sequence[Record]) -> str:
    failed = [record for record in records if record.state == "failed"]
    if not failed:
        return ""
    groups: dict[str, list[Record]] = {}
    for record in failed:
        groups.setdefault(record.failure or "error", []).append(record)
    items = "".join(
        f"<dt>{escape(cause)}: trials {', '.join(str(r.number) for r in group)}</dt>"
        f"<dd>{escape(group[-1].message)}</dd>"
        for cause, group in groups.items()
    )
    return f"<section><h2>Failures</h2><dl>{items}</dl></section>"


def _foot(study: Study) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    when = time.strftime("%Y-%m-%d %H:%M")
    return (
        f"<footer>{escape(str(study.folder))}; study {study.id[:8]}; {when}; {escape(versions)}"
        f"</footer>"
    )


# Small questions


def _kind(record: Record, best: Record | None) -> str:
    if best is not None and record.number == best.number:
        return "best"
    if record.is_baseline and record.state == "complete":
        return "base"
    return {"complete": "good", "pruned": "pruned"}.get(record.state, "failed")


def _words(record: Record) -> str:
    values = ", ".join(number(value) for value in record.values) or record.failure
    parameters = "\n".join(f"{name} = {number(v)}" for name, v in record.parameters.items())
    return f"trial {record.number} ({record.state}): {values}\n{parameters}"


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.parameters))


def _ranks(study: Study, records: Sequence[Record]) -> dict[int, float]:
    goal = study.goals[0]
    ranked = sorted(records, key=lambda one: one.values[0], reverse=not goal.is_max)
    last = max(1, len(ranked) - 1)
    return {record.number: at / last for at, record in enumerate(ranked)}


def _column(study: Study, records: Sequence[Record], name: str) -> Column:
    values = [record.parameters[name] for record in records if name in record.parameters]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        form: Form | None = study.file.space.get(name)
        return Column(name, log=bool(form and (form.log or form.logspace)))
    return Column(name, choices=tuple(dict.fromkeys(str(value) for value in values)))


def _position(column: Column, value: Any) -> float | None:
    if value is None or (column.choices and str(value) not in column.choices):
        return None
    return float(column.choices.index(str(value))) if column.choices else float(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
