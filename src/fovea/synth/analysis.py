"""The page of `synth.analyze`: what was measured, what limits keep, and what goes and stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.errors import DataError
from fovea.scene import page
from fovea.synth import charts
from fovea.synth.pictures import Pictures
from fovea.synth.sample import Fields, Sample
from fovea.synth.state import State, loaded
from fovea.synth.stats import Measured, Verdict, correlations, described, what_if

CAPTION_LETTERS = 90


class Reader:
    """Single rows of finished parts, and their pictures."""

    def __init__(self, states: Sequence[State], fields: Fields, root: Path) -> None:
        self.states = states
        self.fields = fields
        self.pictures = Pictures(root, allows_truncated=True)
        self.bounds = np.cumsum([0, *(state.rows() for state in states)])

    def row(self, number: int) -> Sample:
        """The row at this place."""
        state = int(np.searchsorted(self.bounds, number, side="right")) - 1
        _, ends = self.states[state].places()
        at = number - int(self.bounds[state])
        with (self.states[state].folder / "rows.jsonl").open("rb") as file:
            file.seek(int(ends[at]))
            return loaded(file.read(int(ends[at + 1] - ends[at])))

    def figure(self, number: int, words: str, width_px: int) -> str:
        """The row's first picture with its caption, or its text alone."""
        row = self.row(number)
        text = self.fields.without_tokens(row.get(self.fields.text) or "")
        text = text if len(text) <= CAPTION_LETTERS else f"{text[: CAPTION_LETTERS - 1]}…"
        caption = f"{words} · {text}" if words else text
        images = row.get(self.fields.images) or ()
        if not images:
            return f"<figure><figcaption>{escape(caption)}</figcaption></figure>"
        try:
            picture = self.pictures.decoded(images[0])
        except DataError:
            return f"<figure><figcaption>no picture: {escape(caption)}</figcaption></figure>"
        self.pictures.release()
        small = picture.copy()
        small.thumbnail((2 * width_px, 2 * width_px), Image.Resampling.LANCZOS)
        return page.figure(np.asarray(small), caption, width_px=width_px)


def analysis_page(
    measured: Measured,
    found: Sequence[Verdict],
    reader: Reader,
    *,
    percentiles: Sequence[float],
    bins: int,
    pictures: int,
    picture_px: int,
    title: str,
    lead: str,
    lost: Mapping[str, int],
) -> str:
    """The whole page."""
    names = measured.numeric()
    kept = found[-1].left if found else measured.rows
    tiles = page.tiles(
        {
            "rows": f"{measured.rows:,}",
            "measurements": str(len(names)),
            "filters": str(len(found)),
            "rows that all filters keep": f"{kept:,}",
            "of all rows": f"{kept / measured.rows:.1%}" if measured.rows else "",
            "rows that could not be measured": f"{sum(lost.values()):,}",
        }
    )
    parts = [tiles]
    if found:
        note = "Alone: of all rows. In order: behind the filters above it."
        parts.append(page.section("What the filters do", _verdict_table(found, measured), note))
    by_stat = {verdict.operator.measured()[0]: verdict for verdict in found}
    for name in names:
        parts.append(
            _stat_section(
                name,
                measured,
                by_stat.get(name),
                reader,
                percentiles=percentiles,
                bins=bins,
                pictures=pictures,
                picture_px=picture_px,
            )
        )
    varied = [n for n in names if len(v := measured.values(n)) and v.std() > 0]
    if len(varied) > 1:
        svg = charts.heat(varied, correlations(measured, varied))
        parts.append(page.section("What goes together", svg, "Pearson's correlation by row."))
    if lost:
        rows = [(escape(what), f"{count:,}") for what, count in lost.items()]
        parts.append(page.section("What failed", page.listing(("operator: error", "rows"), rows)))
    return page.page(title, *parts, lead=lead)


def _verdict_table(found: Sequence[Verdict], measured: Measured) -> str:
    rows: list[tuple[str, ...]] = []
    before = measured.rows
    for verdict in found:
        alone = int(verdict.keeps.sum())
        rows.append(
            (
                escape(f"{verdict.step.place + 1}. {verdict.operator.name}"),
                escape(verdict.limits),
                f"{measured.rows - alone:,}",
                f"{(measured.rows - alone) / max(1, measured.rows):.1%}",
                f"{before - verdict.left:,}",
                f"{verdict.left:,}",
                f"{verdict.left / max(1, measured.rows):.1%}",
            )
        )
        before = verdict.left
    heads = ("filter", "limits", "drops alone", "", "drops in order", "left", "of all")
    return page.listing(heads, rows)


def _stat_section(
    name: str,
    measured: Measured,
    verdict: Verdict | None,
    reader: Reader,
    *,
    percentiles: Sequence[float],
    bins: int,
    pictures: int,
    picture_px: int,
) -> str:
    values = measured.values(name)
    passes = _passes(values, verdict)
    table = what_if(values, measured.rows)
    body = charts.histogram(values, name=name, bins=bins, passes=passes)
    body += page.legend([(charts.KEPT, "stays"), (charts.LOST, "goes")]) if verdict else ""
    body += charts.kept_curves(table, name=name, rows=measured.rows)
    body += page.legend([("s0", "kept as least value"), ("s1", "kept as largest value")])
    numbers = described(values, percentiles)
    body += page.listing(list(numbers), [[charts.number(value) for value in numbers.values()]])
    if verdict and pictures:
        body += _sheets(name, measured, verdict, reader, pictures, picture_px)
    heading = f"{name} ({verdict.operator.name})" if verdict else name
    said = f"{verdict.limits} keeps {int(verdict.keeps.sum()):,} rows alone." if verdict else ""
    return page.section(heading, body, said)


def _passes(values: np.ndarray, verdict: Verdict | None) -> np.ndarray | None:
    """Which single values lie within the limits; None where no filter looks at one alone."""
    if verdict is None or len(verdict.operator.measured()) > 1:
        return None
    return verdict.operator.keep({verdict.operator.measured()[0]: values})


def _sheets(
    name: str,
    measured: Measured,
    verdict: Verdict,
    reader: Reader,
    count: int,
    width_px: int,
) -> str:
    """Samples that go, and of those that stay the ones nearest to going."""
    by_row = measured.by_row(name)
    parts = ""
    for where, heading in ((~verdict.keeps, "goes"), (verdict.keeps, "stays")):
        chosen = _chosen(by_row, where, count)
        figures = [reader.figure(n, charts.number(float(by_row[n])), width_px) for n in chosen]
        if figures:
            parts += f"<h3>{heading}: {int(where.sum()):,}</h3>" + page.strip(figures)
    return parts


def _chosen(values: np.ndarray, where: np.ndarray, count: int) -> list[int]:
    """Some rows, evenly over the order of their values."""
    rows = np.flatnonzero(where & np.isfinite(values))
    ordered = rows[np.argsort(values[rows], kind="stable")]
    places = np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int))
    return ordered[places].tolist() if len(ordered) else []


def overall_rows(
    measured: Measured, percentiles: Sequence[float]
) -> Iterator[tuple[str, dict[str, float]]]:
    """A row of numbers for each measurement."""
    for name in measured.numeric():
        yield name, described(measured.values(name), percentiles)
