"""Scores of several detectors side by side."""

import csv
import json
from pathlib import Path

import pytest

from fovea.errors import DataError
from fovea.events.compare import compare, read_scores
from fovea.events.settings.compare import CompareConfig
from fovea.runs.stage import Context, Output, Stage

STAGE = Stage(
    name="toy.compare",
    summary="",
    config=CompareConfig,
    implementation="",
    outputs={
        "table": Output("table", "table.csv", ""),
        "gains": Output("file", "gains.json", ""),
        "page": Output("page", "page.html", ""),
    },
)


def written(folder: Path, ap: float, **tags: object) -> Path:
    path = folder / ("-".join(map(str, tags.values())) + ".json")
    named = {name: str(value) for name, value in tags.items()}
    path.write_text(json.dumps({"scores": {"AP": ap, "AP_50": ap + 0.1}, "tags": named}))
    return path


def compared(
    folder: Path, paths: list[Path], **settings: object
) -> tuple[Context, dict[str, float]]:
    config = CompareConfig(scores=tuple(paths), **settings)
    context = Context.local(STAGE, config, folder / "stage")
    return context, compare(config, context)


def test_gains_are_counted_seed_by_seed_and_the_gap_with_them(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, ap, model=model, seed=seed)
        for model, aps in {
            "teacher": (0.2, 0.3), "student": (0.3, 0.35), "full": (0.4, 0.5),
        }.items()
        for seed, ap in enumerate(aps)
    ]  # fmt: skip
    _, summary = compared(tmp_path, paths)
    assert summary["base"] == pytest.approx(0.25)
    assert summary["score"] == pytest.approx(0.325)
    assert summary["goal"] == pytest.approx(0.45)
    assert summary["gain"] == pytest.approx((0.1 + 0.05) / 2)
    assert summary["closed"] == pytest.approx((0.1 / 0.2 + 0.05 / 0.2) / 2)


def test_a_gain_is_over_the_base_of_like_tags(tmp_path: Path) -> None:
    few, many = {"teacher": 0.1, "student": 0.15}, {"teacher": 0.3, "student": 0.4}
    aps = {
        (model, ratio): ap for ratio, of in ((0.01, few), (0.1, many)) for model, ap in of.items()
    }
    paths = [
        written(tmp_path, ap, model=model, ratio=ratio, seed=0)
        for (model, ratio), ap in aps.items()
    ]
    context, _ = compared(tmp_path, paths)
    with context.output("table").open() as file:
        rows = {(row["model"], row["ratio"]): row for row in csv.DictReader(file)}
    assert float(rows["student", "0.01"]["gain"]) == pytest.approx(0.05)
    assert float(rows["student", "0.1"]["gain"]) == pytest.approx(0.1)
    assert rows["teacher", "0.1"]["gain"] == ""


def test_the_page_draws_a_curve_for_each_detector_over_the_ratios(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, 0.1 * ratio, model=model, ratio=ratio, seed=0)
        for model in ("teacher", "<b>")
        for ratio in (1, 2, 5)
    ]
    context, _ = compared(tmp_path, paths)
    text = context.output("page").read_text()
    assert text.count("<polyline") == 2
    assert "<b>," not in text


def test_the_last_round_counts_as_the_result(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, 0.1, model="teacher", seed=0),
        written(tmp_path, 0.2, model="student", round=1, seed=0),
        written(tmp_path, 0.25, model="student", round=2, seed=0),
    ]
    _, summary = compared(tmp_path, paths)
    assert (summary["score"], summary["gain"]) == (pytest.approx(0.25), pytest.approx(0.15))
    assert "goal" not in summary


def test_two_scores_of_the_same_tags_are_refused(tmp_path: Path) -> None:
    paths = [written(tmp_path, 0.1, model="teacher"), written(tmp_path, 0.2, model="teacher")]
    with pytest.raises(DataError, match=r"same tags, \{'model': 'teacher'\}"):
        compared(tmp_path, paths)


def test_what_is_no_scores_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"AP": 1}')
    with pytest.raises(DataError, match=r"x.json holds no scores of events.evaluate"):
        read_scores(path)
