"""The stages of the room `synth`, declared: image-text data cleaned, looked at and sent on.

Only declarations stand here, and their settings in `settings/`, so that help costs no numpy.
"""

from __future__ import annotations

from fovea.runs.stage import Output, Stage
from fovea.synth.settings.analyze import AnalyzeConfig
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.settings.export import ExportConfig
from fovea.synth.settings.simulate import SimulateConfig

MONITOR = Output(
    "folder", "monitor", "processor and memory, seconds of each operator; open_monitor",
    optional=True,
)  # fmt: skip
CLEAN = Stage(
    name="synth.clean",
    summary="image-text data goes through operators: filtered, changed, rid of duplicates",
    config=CleanConfig,
    implementation="fovea.synth.clean:clean",
    outputs={
        "dataset": Output("samples", "dataset", "res.jsonl, and res_stats.jsonl beside it"),
        "report": Output("scores", "report.json", "rows by operator: in, dropped, failed, out"),
        "errors": Output("table", "errors.jsonl", "every row that could not be used, and why"),
        "duplicates": Output(
            "table", "duplicates.jsonl", "groups of rows that say the same", optional=True
        ),
        "trace": Output(
            "folder", "trace", "examples of what each operator did; open_tracer", optional=True
        ),
        "monitor": MONITOR,
    },
    resumable="items",
    metrics={"read": "max", "kept": "max", "errors": "min", "kept_part": "max"},
    positional=("dataset_path",),
    requires=("synth",),
)
EXPORT = Stage(
    name="synth.export",
    summary="rows become LLaVA's json with their questions, and back, or tar files; checked",
    config=ExportConfig,
    implementation="fovea.synth.export:export",
    outputs={
        "llava": Output("llava", "llava.json", "conversations; to=llava", optional=True),
        "dataset": Output("samples", "dataset", "res.jsonl; to=dj", optional=True),
        "tars": Output("folder", "tars", "shard-00000.tar ...; to=webdataset", optional=True),
        "report": Output("scores", "report.json", "rows read, written and left out"),
        "left_out": Output("table", "left_out.jsonl", "what was left out, and why", optional=True),
    },
    metrics={"read": "max", "written": "max", "left_out": "min"},
    positional=("dataset_path", "original_llava_ds_path"),
    requires=("synth",),
)
SIMULATE = Stage(
    name="synth.simulate",
    summary="drawn pictures with captions, many of them wrong, and questions with sure answers",
    config=SimulateConfig,
    implementation="fovea.synth.simulation:simulate",
    outputs={
        "pairs": Output("samples", "pairs", "pairs.jsonl and its pictures, as a crawl brings them"),
        "captions": Output("llava", "captions.json", "the same pairs as LLaVA has them"),
        "truth": Output("table", "truth.jsonl", "what is wrong with each pair"),
        "instructions": Output("llava", "instructions.json", "questions with right answers"),
        "questions": Output("file", "questions.json", "questions of TextVQA's form"),
        "choices": Output("file", "choices.tsv", "a table of MMBench's form"),
        "pictures": Output("folder", "pictures", "pictures of instructions and questions"),
    },
    metrics={"pairs": "max", "right": "max"},
    requires=("synth",),
)
ANALYZE = Stage(
    name="synth.analyze",
    summary="image-text data is measured once: what any limit would keep, on one page",
    config=AnalyzeConfig,
    implementation="fovea.synth.analyze:analyze",
    outputs={
        "page": Output("page", "analysis.html", "distributions, limits, what goes and stays"),
        "overall": Output("table", "overall.csv", "count, mean, quantiles of each measurement"),
        "table": Output("file", "overall.md", "the same to read"),
        "whatif": Output("table", "whatif.csv", "rows kept by a hundred limits of each"),
        "report": Output("scores", "report.json", "what each filter keeps, alone and in order"),
        "errors": Output("table", "errors.jsonl", "every row that could not be measured, and why"),
        "dataset": Output(
            "samples", "dataset", "rows with statistics; export_original_dataset", optional=True
        ),
        "monitor": MONITOR,
    },
    resumable="items",
    metrics={"rows": "max", "kept": "max", "measurements": "max"},
    positional=("dataset_path",),
    requires=("synth",),
)
