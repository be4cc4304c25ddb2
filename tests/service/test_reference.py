"""The pages that show the API, in a real browser: whole, quiet, and asking nobody else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Service


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page", "sign"), [("docs", "#operations-photographs-predict_v1_predict_post"), ("redoc", "h1")]
)
def test_the_api_is_shown_without_asking_others(
    service: "Service", chromium: Any, page: str, sign: str, tmp_path: Path
) -> None:
    asked: list[str] = []
    said: list[str] = []
    shown = chromium.new_page(viewport={"width": 1100, "height": 800})
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(f"{service.url}/{page}")
    shown.wait_for_selector(sign, timeout=90_000, state="attached")
    shown.wait_for_timeout(500)
    shown.screenshot(path=tmp_path / f"{page}.png")
    shown.close()
    foreign = [url for url in asked if not url.startswith((service.url, "data:", "blob:"))]
    assert not foreign
    assert not said
