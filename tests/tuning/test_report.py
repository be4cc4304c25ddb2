import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.tuning import charts
from fovea.tuning.charts import Column, Mark, Scale
from fovea.tuning.plan import load
from fovea.tuning.report import panels
from fovea.tuning.report.facts import csv_text, data
from fovea.tuning.report.page import page
from fovea.tuning.report.view import View, is_of_test
from fovea.tuning.study import Study

StudyFile = Callable[..., Path]
SPACE = {
    "x": {"float": [-5, 5]},
    "optimizer.rate": {"float": [1e-3, 1], "log": True},
    "optimizer.kind": {"choice": ["adam", "sgd"]},
    "optimizer.momentum": {"float": [0, 0.9], "when": "optimizer.kind == 'sgd'"},
}
SINGLE = (
    "History", "While they ran", "Importance", "Timeline", "One parameter at a time",
    "Two parameters at a time", "Parallel coordinates", "Trials",
)  # fmt: skip
SEVERAL = (
    "The front", "Front", "Hypervolume", "History", "Timeline", "One parameter at a time",
    "Two parameters at a time", "Parallel coordinates", "Trials",
)  # fmt: skip


@pytest.fixture
def study(study_file: StudyFile):
    path = study_file(
        space=SPACE, study="a.b-toy", prune={"method": "median", "startup": 2}, budget={"trials": 9}
    )
    with Study.create(load(path)) as made:
        made.run(load(path))
        yield made


@pytest.fixture
def two_goals(study_file: StudyFile):
    path = study_file(
        objective=None,
        objectives=[{"metric": "val/score"}, {"metric": "train/loss"}],
        space={"x": {"float": [-5, 5]}, "steps": {"int": [1, 6]}},
        enqueue=[{"x": 2.0, "steps": 1}, {"x": 0.0, "steps": 6}],
        baseline=False,
        budget={"trials": 5},
    )
    with Study.create(load(path)) as made:
        made.run(load(path))
        yield made


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_network_and_the_light_one_no_script(study: Study) -> None:
    view = View.of(study)
    for is_light in (False, True):
        links, text = Links(), page(view, is_light=is_light)
        links.feed(text)
        assert all(link.startswith(("trials/", "data:")) for link in links.found)
        assert not {"link", "iframe"} & set(links.tags)
        assert ("script" in links.tags) is not is_light
        assert "http://" not in text.replace("http-equiv", "")
        assert "@import" not in text


@pytest.mark.acceptance(7)
def test_the_page_shows_every_trial_and_every_picture(study: Study) -> None:
    text = page(View.of(study))
    for record in study.records:
        assert f'href="trials/{record.folder}/"' in text
    for heading in SINGLE:
        assert f"<h2>{heading}</h2>" in text
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) >= 6 + 3
    for picture in pictures:
        ET.fromstring(picture)
        assert "nan" not in picture


def test_a_page_of_several_goals_shows_their_front(two_goals: Study) -> None:
    text = page(View.of(two_goals))
    for heading in SEVERAL:
        assert f"<h2>{heading}</h2>" in text
    assert "<h2>Importance</h2>" not in text
    assert "knee" in text
    assert 0 < data(View.of(two_goals))["hypervolume"] <= 1


@pytest.mark.parametrize("trials", [0, 1])
def test_a_study_of_fewer_than_two_trials_has_a_page_that_says_so(
    study_file: StudyFile, trials: int
) -> None:
    plan = load(study_file(budget={"trials": 1}))
    with Study.create(plan) as small:
        if trials:
            small.run(plan)
        text = page(View.of(small))
        assert ("1 trial finished" if trials else "No trials finished") in text
        assert (data(View.of(small))["best"] is None) is (trials == 0)


def test_failures_stand_on_the_page_by_cause(study_file: StudyFile) -> None:
    plan = load(
        study_file(fixed={"fate": "error"}, trial={"isolation": "inline", "abort_after": 2})
    )
    with Study.create(plan) as broken:
        broken.run(plan)
        text = page(View.of(broken))
        assert data(View.of(broken))["failures"] == {"data": [0, 1]}
    assert "data: trials 0, 1" in text
    assert "the toy&#x27;s data is broken. Mend the toy." in text


def test_tables_hold_what_the_storage_holds(study: Study) -> None:
    rows = list(csv.DictReader(csv_text(View.of(study)).splitlines()))
    found: dict[str, Any] = json.loads(json.dumps(data(View.of(study))))
    best = study.best
    assert best is not None
    assert len(rows) == len(found["trials"]) == 9
    assert float(rows[best.number]["val/score"]) == best.values[0]
    assert found["trials"][best.number]["parameters"] == best.parameters
    assert found["best"] == best.number
    assert found["gain"] == best.values[0] - study.records[0].values[0]
    assert set(found["importances"]) <= set(SPACE)


@pytest.mark.parametrize(
    ("metric", "settings", "is_it"),
    [
        ("test/psnr", {}, True),
        ("eval_test_loss", {}, True),
        ("AP", {"split": "test"}, True),
        ("val/psnr", {"split": "val"}, False),
        ("contest", {}, False),
    ],
)
def test_a_winner_of_the_test_split_is_known_by_name_or_by_setting(
    metric: str, settings: dict[str, Any], is_it: bool
) -> None:
    assert is_of_test(metric, settings) is is_it


def test_words_of_a_study_cannot_become_markup() -> None:
    mark = Mark(0, 1, "good", "<script>alert(1)</script>")
    assert "<script" not in charts.scatter([mark, mark], x_name="<x>", y_name='"y"')
    assert "<b>" not in charts.parallel(
        [Column("<b>"), Column("c", choices=("<b>",))], [([1.0, 0.0], 1, "<b>")]
    )


def test_the_dominated_volume_is_that_of_counted_cells() -> None:
    random = np.random.default_rng(0)
    for goals in (1, 2, 3):
        points = random.random((6, goals))
        cells = random.random((40_000, goals))
        is_in = (points[None] <= cells[:, None]).all(-1).any(-1)
        assert panels.dominated(points) == pytest.approx(is_in.mean(), abs=0.015)


@pytest.mark.parametrize("log", [False, True])
def test_a_scale_holds_its_ticks(log: bool) -> None:
    for low, high in ((1e-5, 1e-2), (0.2, 0.3), (5, 5), (1, 1e6)):
        scale = Scale.over([low, high], 0, 100, log=log)
        assert scale.ticks()
        assert all(-0.01 <= scale(tick) <= 100.01 for tick in scale.ticks())


@pytest.mark.browser
@pytest.mark.acceptance(7)
def test_in_a_browser_the_page_asks_for_nothing_and_lights_a_trial_up_everywhere(
    study: Study, chromium: Any, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(View.of(study)), encoding="utf-8")
    best = study.best
    assert best is not None
    shown = chromium.new_page()
    asked, said = list[str](), list[str]()
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.goto(path.as_uri())
    boxes = [shape.bounding_box() for shape in shown.query_selector_all("svg")]
    shown.hover(f'tr[data-t="{best.number}"]')
    lit = shown.locator(".lit").count()
    shown.click(".sortable th:nth-child(3)")
    column = shown.locator(".sortable tbody td:nth-child(3)").all_inner_texts()
    shown.close()
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert said == []
    assert all(box and box["width"] > 100 and box["height"] > 20 for box in boxes)
    assert lit >= 5
    assert [float(text) for text in column] == sorted(map(float, column), reverse=True)
