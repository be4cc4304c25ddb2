"""What the analysis says must be what a cleaning with the same limits does."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fovea.runs.stage import Context
from fovea.synth.analyze import analyze
from fovea.synth.settings.analyze import AnalyzeConfig
from fovea.synth.stages import ANALYZE
from fovea.synth.stats import Measured, correlations, described, what_if

PROCESS = [
    {"words_num_filter": {"min_num": 8, "max_num": 30}},
    {"text_length_filter": {"min_len": "q0.2"}},
    {"image_shape_filter": {"max_width": 45}},
]


def analysed(folder: Path, data: Path, process=(), **settings) -> Path:
    config = AnalyzeConfig(dataset_path=data, process=list(process), np=1, pictures=3, **settings)
    context = Context.local(ANALYZE, config, folder)
    analyze(config, context)
    return context.out


def test_it_says_what_a_cleaning_keeps(cleaning, captions: Path, tmp_path: Path) -> None:
    out = analysed(tmp_path / "analysis", captions, PROCESS)
    report = json.loads((out / "report.json").read_text())
    cleaned = cleaning(captions, PROCESS)
    assert report["kept"] == len(cleaned.ids)
    left = [step["out"] for step in cleaned.report["operators"]]
    assert [found["left"] for found in report["filters"].values()] == left


def test_every_limit_of_the_table_keeps_what_it_says(
    cleaning, captions: Path, tmp_path: Path
) -> None:
    out = analysed(tmp_path / "analysis", captions, PROCESS)
    rows = list(csv.DictReader((out / "whatif.csv").read_text().splitlines()))
    for row in [r for r in rows if r["measurement"] == "num_words"][::25]:
        limit = float(row["limit"])
        least = cleaning(captions, [{"words_num_filter": {"min_num": limit}}], name=f"a{limit}")
        most = {"words_num_filter": {"min_num": 0, "max_num": limit}}
        largest = cleaning(captions, [most], name=f"b{limit}")
        assert (len(least.ids), len(largest.ids)) == (int(row["kept_min"]), int(row["kept_max"]))


def test_another_limit_measures_nothing_again(captions: Path, tmp_path: Path) -> None:
    cache = {"ds_cache_dir": str(tmp_path / "cache")}
    analysed(tmp_path / "first", captions, PROCESS, **cache)
    before = sorted((tmp_path / "cache").iterdir())
    other = [{"words_num_filter": {"min_num": 2, "max_num": 12}}, *PROCESS[1:]]
    analysed(tmp_path / "second", captions, other, **cache)
    assert sorted((tmp_path / "cache").iterdir()) == before


def test_without_operators_everything_cheap_is_measured(captions: Path, tmp_path: Path) -> None:
    out = analysed(tmp_path / "analysis", captions)
    head = (out / "overall.csv").read_text().splitlines()[0]
    for name in ("text_len", "num_words", "stopwords_ratio", "aspect_ratios", "image_width"):
        assert name in head


def test_measured_rows_are_taken_over(cleaning, captions: Path, tmp_path: Path) -> None:
    out = analysed(tmp_path / "a", captions, PROCESS, export_original_dataset=True)
    rows = [json.loads(line) for line in (out / "dataset/res.jsonl").read_text().splitlines()]
    assert rows[3]["__dj__stats__"]["num_words"] == 6
    plain, taken = cleaning(captions, PROCESS, name="p"), cleaning(out / "dataset", PROCESS)
    assert taken.ids == plain.ids


def test_the_page_is_whole_and_fetches_nothing(captions: Path, tmp_path: Path) -> None:
    text = (analysed(tmp_path / "analysis", captions, PROCESS) / "analysis.html").read_text()
    assert text.endswith("</html>\n")
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/webp") >= 6
    assert "goes: " in text
    assert "stays: " in text


def test_limits_along_a_distribution_keep_all_and_then_less() -> None:
    values = np.random.default_rng(0).normal(size=500)
    table = what_if(values, 500)
    assert (table[0][2], table[-1][3]) == (500, 500)
    kept = [row[2] for row in table]
    assert kept == sorted(kept, reverse=True)
    for _, limit, least, most in table:
        assert (least, most) == ((values >= limit).sum(), (values <= limit).sum())


def test_numbers_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).uniform(size=50)
    found = described(values, [0.25])
    assert found["std"] == pytest.approx(values.std(ddof=1))
    assert found["25%"] == pytest.approx(np.quantile(values, 0.25))
    other = values * 2 + 1
    measured = Measured({"a": values, "b": other, "flat": np.ones(50)}, 50)
    grid = correlations(measured, ["a", "b", "flat"])
    assert grid[0, 1] == pytest.approx(1)
    assert np.isnan(grid[2, 0])
