"""The pages that show the API, in a real browser: whole, quiet, and asking nobody else."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Service

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page", "sign"), [("docs", "#operations-photographs-predict_v1_predict_post"), ("redoc", "h1")]
)
def test_the_api_is_shown_without_asking_others(
    service: "Service", page: str, sign: str, tmp_path: Path
) -> None:
    if not CHROMIUM.is_file():
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1100, "height": 800})
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.goto(f"{service.url}/{page}")
        shown.wait_for_selector(sign, timeout=90_000, state="attached")
        shown.wait_for_timeout(500)
        shown.screenshot(path=tmp_path / f"{page}.png")
        browser.close()
    foreign = [url for url in asked if not url.startswith((service.url, "data:", "blob:"))]
    assert not foreign
    assert not said
