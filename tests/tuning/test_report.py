import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fovea.tuning import charts, report
from fovea.tuning.charts import Column, Mark, Scale
from fovea.tuning.command import main
from fovea.tuning.plan import load
from fovea.tuning.study import Study

StudyFile = Callable[..., Path]


@pytest.fixture
def study(study_file: StudyFile):
    space = {
        "x": {"float": [-5, 5]},
        "optimizer.rate": {"float": [1e-3, 1], "log": True},
        "optimizer.kind": {"choice": ["adam", "sgd"]},
        "optimizer.momentum": {"float": [0, 0.9], "when": "optimizer.kind == 'sgd'"},
    }
    path = study_file(
        space=space,
        study="<b>&toy".replace("<b>&", "a.b-"),
        prune={"method": "median", "startup": 2},
        budget={"trials": 6},
    )
    plan = load(path)
    with Study.create(plan) as made:
        made.run(plan)
        yield made


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_network_and_no_script(study: Study) -> None:
    links = Links()
    text = report.page(study)
    links.feed(text)
    assert all(link.startswith(("trials/", "data:")) for link in links.found)
    assert not {"script", "link", "iframe"} & set(links.tags)
    assert "http://" not in text.replace("http-equiv", "")
    assert "@import" not in text


def test_the_page_shows_every_trial_and_every_picture(study: Study) -> None:
    text = report.page(study)
    for record in study.records:
        assert f'href="trials/{record.folder}/"' in text
    for heading in ("History", "While they ran", "Importance", "Parallel coordinates", "Timeline"):
        assert f"<h2>{heading}</h2>" in text
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) >= 5 + 3
    for picture in pictures:
        ET.fromstring(picture)
        assert "nan" not in picture


def test_a_study_without_trials_has_a_page_that_says_so(study_file: StudyFile) -> None:
    with Study.create(load(study_file())) as empty:
        assert "No trial to show as best" in report.page(empty)
        assert report.data(empty)["best"] is None


def test_tables_hold_what_the_storage_holds(study: Study) -> None:
    rows = list(csv.DictReader(report.csv_text(study).splitlines()))
    data = json.loads(json.dumps(report.data(study)))
    best = study.best
    assert best is not None
    assert len(rows) == len(data["trials"]) == 6
    assert float(rows[best.number]["val/score"]) == best.values[0]
    assert data["trials"][best.number]["parameters"] == best.parameters
    assert data["best"] == best.number
    assert set(data["importances"]) <= set(data["trials"][0]["parameters"]) | {"optimizer.momentum"}


def test_words_of_a_study_cannot_become_markup() -> None:
    mark = Mark(0, 1, "good", "<script>alert(1)</script>")
    assert "<script" not in charts.scatter([mark, mark], x_name="<x>", y_name='"y"')
    assert "<b>" not in charts.parallel(
        [Column("<b>"), Column("c", choices=("<b>",))], [([1.0, 0.0], 1, "<b>")]
    )


@pytest.mark.parametrize("log", [False, True])
def test_a_scale_holds_its_ticks(log: bool) -> None:
    for low, high in ((1e-5, 1e-2), (0.2, 0.3), (5, 5), (1, 1e6)):
        scale = Scale.over([low, high], 0, 100, log=log)
        assert scale.ticks()
        assert all(-0.01 <= scale(tick) <= 100.01 for tick in scale.ticks())


@pytest.mark.browser
def test_the_page_asks_for_nothing_in_a_browser(study: Study, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium; none is on the path")
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_text(report.page(study), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked, said = list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())
        boxes = [shape.bounding_box() for shape in page.query_selector_all("svg")]
        browser.close()
    assert asked == [path.as_uri()]
    assert said == []
    assert all(box and box["width"] > 100 and box["height"] > 20 for box in boxes)


def test_the_command_line_makes_and_shows_a_study(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(study_file())
    assert main(["plan", path]) == 0
    assert "bayesian" in capsys.readouterr().out
    assert not Path("studies").exists()
    assert main([path, "--trials", "2", "search.seed=5"]) == 0
    assert "all 2 trials are done" in capsys.readouterr().out
    assert main(["status", "toy"]) == 0
    assert "2 complete" in capsys.readouterr().out
    assert main(["enqueue", "studies/toy", "x=2", "depth=3"]) == 0
    assert main(["retry", "studies/toy", "1"]) == 0
    assert main(["studies/toy", "--trials", "4"]) == 0
    capsys.readouterr()
    assert main(["best", "toy", "--pick", "trial:2"]) == 0
    assert "fovea run studies/toy/best.yaml" in capsys.readouterr().out
    assert main(["export", "toy"]) == 0
    with Study.open(Path("studies/toy")) as made:
        assert made.records[2].parameters == {"x": 2.0, "depth": 3}
        assert made.records[3].parameters == made.records[1].parameters
    for name in ("best.yaml", "report.html", "report.json", "trials.csv"):
        assert (Path("studies/toy") / name).is_file()


def test_several_goals_ask_which_trial_is_meant(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    from fovea.errors import ConfigError

    path = study_file(
        objective=None,
        objectives=[{"metric": "val/score"}, {"metric": "train/loss"}],
        space={"x": {"float": [-5, 5]}, "steps": {"int": [1, 6]}},
        enqueue=[{"x": 2.0, "steps": 1}, {"x": 0.0, "steps": 6}],
        baseline=False,
    )
    assert main([str(path)]) == 0
    with pytest.raises(ConfigError, match="--pick knee"):
        main(["best", "toy"])
    assert main(["best", "toy", "--pick", "metric:train/loss"]) == 0
    assert "steps=6" in capsys.readouterr().out
    assert main(["best", "toy", "--pick", "knee"]) == 0
    assert "<h2>Front</h2>" in Path("studies/toy/report.html").read_text()
