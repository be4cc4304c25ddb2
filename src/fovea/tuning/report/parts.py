"""The parts of the page that are words and tables."""

from __future__ import annotations

import base64
import time
from collections import Counter
from html import escape

from fovea.tuning import history
from fovea.tuning.charts import number
from fovea.tuning.history import Record
from fovea.tuning.report.facts import failures as by_cause
from fovea.tuning.report.facts import versions
from fovea.tuning.report.view import View, duration, is_of_test, spread

MOST_PICTURE_BYTES = 1_500_000


def head(view: View) -> str:
    """The title, the numbers that count, and what must be said about them."""
    goals = ", ".join(f"{'max' if g.is_max else 'min'} {g.metric}" for g in view.goals)
    boxes = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in _tiles(view)
    )
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes(view))
    return (
        f"<header><h1>{escape(view.name)}</h1><p>{escape(view.study.use)} &middot; "
        f"{escape(goals)}</p></header>"
        f'<div class="tiles">{boxes}</div>{said}'
    )


def _tiles(view: View) -> list[tuple[str, str]]:
    tiles: list[tuple[str, str]] = []
    best, base = view.best, view.base
    if best and len(view.goals) == 1:
        deviation = spread(best, view.goal)
        beside = "" if deviation is None else f" ± {deviation:.2g}"
        tiles.append((f"best {view.goal.metric}", number(best.values[0]) + beside))
        if base:
            gain = best.values[0] - base.values[0]
            tiles.append(("base settings", number(base.values[0])))
            tiles.append(("gain", f"{gain:+.4g}"))
    elif view.front:
        tiles.append(("on the front", f"{len(view.front)} of {len(view.complete)}"))
    count = Counter(record.state for record in view.records)
    tiles.append(("trials", str(len(view.records))))
    parts = ", ".join(f"{n} {s}" for s, n in count.items() if s != "complete")
    if parts:
        tiles[-1] = (f"trials, {parts}", str(len(view.records)))
    tiles.append(("time spent", duration(sum(record.seconds for record in view.records))))
    if gpu := view.gpu_seconds():
        tiles.append(("GPU-hours", f"{gpu / 3600:.2f}"))
    if saved := history.saved_seconds(view.records):
        tiles.append(("saved by pruning", f"about {duration(saved)}"))
    return tiles


def notes(view: View) -> list[str]:
    """What must be said about the numbers."""
    found: list[str] = []
    if view.finished < 2:
        found.append(
            f"{view.finished or 'No'} trial{'' if view.finished == 1 else 's'} finished so far: "
            "pictures that compare trials need two."
        )
    fixed = {**view.study.file.fixed}
    if any(is_of_test(goal.metric, fixed) for goal in view.goals):
        found.append(
            "The winner was picked on the test split, so its number flatters it: judge it on data "
            "that no trial has seen."
        )
    for number_, one in view.confirmed.items():
        found.append(
            f"Confirmed: trial {number_} on {len(one['seeds'])} new seeds has {view.goal.metric} "
            f"{one['mean']:.6g} ± {one['deviation']:.2g}; the study saw {one['was']:.6g}."
        )
    for goal in view.goals:
        if goal.reduce != "last":
            found.append(f"{goal.metric} counts as {goal.reduce} of what each trial reported.")
    return found


def leaders(view: View) -> str:
    """The best settings beside the base ones, the command, and pictures of both."""
    best, base = view.best, view.base
    if best is None:
        complete = sum(record.state == "complete" for record in view.records)
        return f'<p class="nothing">No trial to show as best: {complete} are complete.</p>'
    if len(view.goals) > 1:
        return _front_table(view)
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(number(value))}</td>"
        + (f"<td>{escape(number(base.parameters.get(name, '')))}</td>" if base else "")
        + "</tr>"
        for name, value in best.parameters.items()
    )
    heads = "<tr><th></th><th>best</th>" + ("<th>base</th>" if base else "") + "</tr>"
    command = f"fovea run {view.folder / 'best.yaml'}"
    shown = [("best", best)] + ([("base settings", base)] if base and base != best else [])
    pictures = "".join(_picture(view, name, record) for name, record in shown)
    return (
        f"<section class=full><h2>Best settings: trial {best.number}</h2>"
        f'<div class="beside"><table class="small">{heads}{rows}</table>'
        f'<div class="strip">{pictures}</div></div><pre>{escape(command)}</pre></section>'
    )


def _front_table(view: View) -> str:
    knee = history.knee(view.records, view.goals)
    heads = "".join(f"<th>{escape(goal.metric)}</th>" for goal in view.goals)
    names = view.names
    heads = f"<tr><th>trial</th>{heads}{''.join(f'<th>{escape(n)}</th>' for n in names)}</tr>"
    rows: list[str] = []
    for record in view.front:
        is_knee = knee is not None and record.number == knee.number
        cells = [number(value) for value in record.values]
        cells += [number(record.parameters.get(name, "")) for name in names]
        mark = ' class="winner"' if is_knee else ""
        note = " knee" if is_knee else ""
        rows.append(
            f'<tr{mark} data-t="{record.number}"><td>{record.number}{note}</td>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    command = f"fovea tune best {view.folder} --pick knee"
    return (
        '<section class=full><h2>The front</h2><div class="wide"><table class="small">'
        f"{heads}{''.join(rows)}</table></div><pre>{escape(command)}</pre></section>"
    )


def _picture(view: View, name: str, record: Record) -> str:
    """The last picture that a trial made."""
    found = sorted(view.study.trial_folder(record).glob("run/stages/*/pictures/*.png"))
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


def table(view: View) -> str:
    """All trials, with links to their folders."""
    best = view.best
    names = list(dict.fromkeys(name for record in view.records for name in record.parameters))
    goals = [goal.metric for goal in view.goals]
    heads = "".join(f"<th>{escape(h)}</th>" for h in ("trial", "state", *goals, *names, "time"))
    rows: list[str] = []
    for record in view.records:
        link = str(record.number)
        if record.folder:
            link = f'<a href="trials/{escape(record.folder)}/">{record.number}</a>'
        values = [number(value) for value in record.values]
        values += [record.failure if not values else ""] * (len(goals) - len(values))
        cells = [*values, *(number(record.parameters.get(name, "")) for name in names)]
        body = "".join(f"<td>{escape(cell)}</td>" for cell in [*cells, duration(record.seconds)])
        note = " base" if record.is_baseline else ""
        mark = ' class="winner"' if record == best and len(goals) == 1 else ""
        state = f'<td><span class="chip {record.state}">{record.state}</span>{note}</td>'
        rows.append(f'<tr{mark} data-t="{record.number}"><td>{link}</td>{state}{body}</tr>')
    return (
        '<section class=full><h2>Trials</h2><div class="wide"><table class="sortable">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def failures(view: View) -> str:
    """What went wrong, by cause, with the last sentence of each."""
    groups = by_cause(view)
    if not groups:
        return ""
    said = {record.number: record.message for record in view.records}
    total = sum(len(numbers) for numbers in groups.values())
    items = "".join(
        f'<dt><span class="share" style="width:{max(4, round(160 * len(numbers) / total))}px">'
        f"</span>{escape(cause)}: trial{'s' * (len(numbers) > 1)} "
        f"{', '.join(map(str, numbers))}</dt><dd>{escape(said[numbers[-1]])}</dd>"
        for cause, numbers in groups.items()
    )
    return f"<section class=full><h2>Failures by cause</h2><dl>{items}</dl></section>"


def foot(view: View) -> str:
    """Where it is, which study, when, made by what."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    when = time.strftime("%Y-%m-%d %H:%M")
    return (
        f"<footer>{escape(str(view.folder))} &middot; study {view.study.id[:8]} &middot; {when} "
        f"&middot; {escape(made)}</footer>"
    )
