"""`synth.analyze`: a data set is measured once, and what limits would keep of it is shown.

Filters measure and drop nothing; mappers change texts as they would in `synth.clean`; what compares
rows with one another is left out. Without operators, everything cheap is measured.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context
from fovea.synth.analysis import Reader, analysis_page, overall_rows
from fovea.synth.clean import run_engine, say_idle, write_lines
from fovea.synth.ledger import summary
from fovea.synth.operator import Deduplicator, Selector
from fovea.synth.plan import Plan, operators_of, plan_of
from fovea.synth.result import write_result
from fovea.synth.settings.analyze import AnalyzeConfig
from fovea.synth.source import root_of
from fovea.synth.stats import Measured, verdicts, what_if

CHEAP = (
    "text_length_filter", "words_num_filter", "alphanumeric_filter", "special_characters_filter",
    "character_repetition_filter", "word_repetition_filter", "average_line_length_filter",
    "stopwords_filter", "flagged_words_filter", "image_aspect_ratio_filter", "image_shape_filter",
    "image_size_filter",
)  # fmt: skip
"""What is measured where nothing is named."""


def analyze(config: AnalyzeConfig, context: Context) -> dict[str, float]:
    """Measure, and write the page and the tables.

    Raises:
        ConfigError: the recipe is not valid.
    """
    if config.auto:
        config = config.model_copy(
            update={"process": [], "operators": {}, "max_sample_num": config.auto_num}
        )
    root = root_of(config.dataset_path, config.image_root)
    plan = measuring(config, context, plan_of(
        config, seed=context.seed, root=root, keeps_stats=config.export_original_dataset
    ))  # fmt: skip
    say_idle(config, plan, context)
    result = run_engine(config, plan, context)
    measured = Measured.of(result.states)
    found = verdicts(plan.steps, measured) if config.process else []
    if config.export_original_dataset:
        write_result(context.output("dataset"), result.states, plan.handling)
    _tables(config, context, measured)
    write_lines(context.output("errors"), result.entries)
    lost = summary(result.entries)
    reader = Reader(result.states, plan.handling.fields, root)
    title = f"What is in {', '.join(path.name for path in config.dataset_path)}"
    text = analysis_page(
        measured,
        found,
        reader,
        percentiles=config.percentiles,
        bins=config.bins,
        pictures=config.pictures,
        picture_px=config.picture_px,
        title=title,
        lead=_lead(plan, measured),
        lost=lost,
    )
    write_text(context.output("page"), text)
    kept = found[-1].left if found else measured.rows
    scores = {"rows": measured.rows, "kept": kept, "measurements": len(measured.columns)}
    by_step = {v.step.label: {"alone": int(v.keeps.sum()), "left": v.left} for v in found}
    write_json(context.output("report"), {**scores, "filters": by_step, "lost_by": lost})
    return {name: float(value) for name, value in scores.items()}


def measuring(config: AnalyzeConfig, context: Context, plan: Plan) -> Plan:
    """The plan with everything that only measures or changes single rows."""
    if not config.process:
        steps, _ = operators_of(CHEAP, {})
        for step in steps:
            step.operator.bind(
                plan.handling.fields, plan.handling.compat, seed=context.seed, place=step.place
            )
        return replace(plan, steps=steps, only_measures=True)
    skipped = [s for s in plan.steps if isinstance(s.operator, Deduplicator | Selector)]
    if skipped:
        names = ", ".join(step.operator.name for step in skipped)
        context.note(f"left out here, for they compare rows: {names}")
    steps = tuple(step for step in plan.steps if step not in skipped)
    return replace(plan, steps=steps, only_measures=True)


def _lead(plan: Plan, measured: Measured) -> str:
    return (
        f"{measured.rows:,} rows, measured by {len(plan.steps)} operators. Hover over a curve to"
        " read what a limit keeps; whatif.csv has the same as numbers."
    )


def _tables(config: AnalyzeConfig, context: Context, measured: Measured) -> None:
    """`overall.csv` and `overall.md`, and `whatif.csv` with the rows kept by every limit."""
    rows = dict(overall_rows(measured, config.percentiles))
    heads = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [["", *rows], *([h, *(_cell(row.get(h)) for row in rows.values())] for h in heads)]
    write_text(context.output("overall"), _csv(lines))
    write_text(context.output("table"), _markdown(lines))
    limits: list[Sequence[str]] = [("measurement", "quantile", "limit", "kept_min", "kept_max")]
    for name in measured.numeric():
        for part, limit, least, most in what_if(measured.values(name), measured.rows):
            limits.append((name, f"{part:g}", f"{limit:.10g}", str(least), str(most)))
    write_text(context.output("whatif"), _csv(limits))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _csv(lines: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    rule = f"|{' --- |' * len(lines[0])}"
    return "\n".join([head, rule, *body, ""])
